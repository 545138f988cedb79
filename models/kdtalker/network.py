"""The reference-guided denoiser: speech and a reference motion -> the noise in a noisy motion (KDTalker,
section 3.3; 42.9 M)."""

import math
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

MOTION, AUDIO, WIDTH, HEADS, LAYERS, TIME = 70, 512, 768, 12, 6, 256
BUCKETS, MAX_DISTANCE = 32, 128
ROTARY_PAIRS = 6  # rotary positions touch only the first 12 of a head's 64 dimensions


def time_embedding(steps: Tensor) -> Tensor:
    """[B] integer steps -> [B,768]: all sines, then all cosines."""
    half = WIDTH // 2
    frequencies = torch.exp(torch.arange(half, device=steps.device) * (-math.log(10000) / (half - 1)))
    angles = steps.float()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1)


def position_buckets(tokens: int, device=None) -> Tensor:
    """[T,T] bucket of each query-key distance: exact up to 7, then logarithmic up to 128 (T5), apart for
    either side."""
    index = torch.arange(tokens, device=device)
    distance = index[:, None] - index[None]
    far = distance.abs().clamp(min=1).float()
    logarithmic = 8 + (torch.log(far / 8) / math.log(MAX_DISTANCE / 8) * 8).long()
    bucket = torch.where(distance.abs() < 8, distance.abs(), logarithmic.clamp(max=15))
    return bucket + 16 * (distance < 0)


class Norm(nn.Module):
    """Layer norm over the last dimension, eps 1e-5, with parameters named gamma and beta [1,1,C]."""

    gamma: nn.Parameter
    beta: nn.Parameter

    def __init__(self, device=None, dtype=None):
        super().__init__()
        for name in ("gamma", "beta"):
            setattr(
                self,
                name,
                nn.Parameter(torch.empty(1, 1, WIDTH, device=device, dtype=dtype), requires_grad=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (WIDTH,), self.gamma.to(x).flatten(), self.beta.to(x).flatten(), 1e-5)


class ProjectedNorm(nn.Module):
    """A linear layer and a norm; the network applies them one by one."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.proj = operations.Linear(WIDTH, WIDTH, device=device, dtype=dtype)
        self.norm = Norm(device, dtype)


class ConditionedMLP(nn.Module):
    """Residual block whose scale and shift come from time and speech. The published network skips the second norm."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        linear = operations.Linear(TIME + AUDIO, 2 * WIDTH, device=device, dtype=dtype)
        self.mlp = nn.Sequential(nn.SiLU(), linear)
        self.block1 = ProjectedNorm(device, dtype, operations)
        self.block2 = ProjectedNorm(device, dtype, operations)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.mlp(condition).chunk(2, -1)
        y = F.silu(self.block1.norm(self.block1.proj(x)) * (scale + 1) + shift)
        return x + F.silu(self.block2.proj(y))


class RotaryFrequencies(nn.Module):
    """Six frequencies; x [B,H,T,64] -> the same with its first twelve dimensions turned, neighbouring pairs
    together."""

    def __init__(self, device=None, dtype=None):
        super().__init__()
        self.freqs = nn.Parameter(torch.empty(ROTARY_PAIRS, device=device, dtype=dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[-2], device=x.device)[:, None] * self.freqs.to(x.device, torch.float32)
        cos, sin = angles.cos().to(x), angles.sin().to(x)
        even, odd = x[..., : 2 * ROTARY_PAIRS].unflatten(-1, (ROTARY_PAIRS, 2)).unbind(-1)
        turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)
        return torch.cat([turned, x[..., 2 * ROTARY_PAIRS :]], -1)


class Attention(nn.Module):
    """Self-attention over all frames, with rotary and relative positions."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.to_qkv = operations.Linear(WIDTH, 3 * WIDTH, bias=False, device=device, dtype=dtype)
        self.proj = operations.Linear(WIDTH, WIDTH, device=device, dtype=dtype)
        self.rotary_emb = RotaryFrequencies(device, dtype)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = rearrange(self.to_qkv(x), "b n (qkv h c) -> qkv b h n c", qkv=3, h=HEADS)
        y = F.scaled_dot_product_attention(
            self.rotary_emb(q), self.rotary_emb(k), v, attn_mask=bias.to(q)[None]
        )
        return self.proj(rearrange(y, "b h n c -> b n (h c)"))


class PreNorm(nn.Module):
    def __init__(self, fn: nn.Module, device=None, dtype=None):
        super().__init__()
        self.norm, self.fn = Norm(device, dtype), fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return self.fn(self.norm(x), bias)


class Residual(nn.Module):
    def __init__(self, fn: nn.Module):
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + self.fn(x, bias)


class RelativePositions(nn.Module):
    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.relative_attention_bias = operations.Embedding(BUCKETS, HEADS, device=device, dtype=dtype)

    def forward(self, tokens: int, like: Tensor) -> Tensor:
        """[12,T,T], added to the attention scores of every layer."""
        table = self.relative_attention_bias.weight.to(like.device, torch.float32)
        return table[position_buckets(tokens, like.device)].permute(2, 0, 1)


class UnusedFrequencies(nn.Module):
    """In the published file, read by nothing."""

    def __init__(self, device=None, dtype=None):
        super().__init__()
        self.register_buffer("freq_bands", torch.empty(10, device=device, dtype=dtype))


class DenoisingTransformer(nn.Module):
    """tokens [B,2+N,70] = canonical keypoints, reference motion, N noisy frames; steps [B]; speech
    [B,2+N,512] -> [B,2+N,70]."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.time_mlp = nn.Sequential(
            nn.Identity(),
            operations.Linear(WIDTH, TIME, **options),
            nn.SiLU(),
            operations.Linear(TIME, TIME, **options),
        )
        self.positional_encoding = UnusedFrequencies(**options)
        self.input_projection = operations.Linear(MOTION, WIDTH, **options)
        self.time_rel_pos_bias = RelativePositions(**options, operations=operations)
        blocks = {**options, "operations": operations}
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    ConditionedMLP(**blocks),
                    ConditionedMLP(**blocks),
                    Residual(PreNorm(Attention(**blocks), **options)),
                ]
            )
            for _ in range(LAYERS)
        )
        self.output_projection = operations.Linear(WIDTH, MOTION, **options)

    def forward(self, tokens: Tensor, steps: Tensor, speech: Tensor) -> Tensor:
        time = self.time_mlp(time_embedding(steps).to(tokens))
        condition = torch.cat([time[:, None].expand(-1, tokens.shape[1], -1), speech], -1)
        bias = self.time_rel_pos_bias(tokens.shape[1], tokens)
        x = self.input_projection(tokens)
        for layer in self.layers:
            first, second, attention = cast(nn.ModuleList, layer)
            x = attention(second(first(x, condition), condition), bias)
        return self.output_projection(x)


class KDTalkerDenoiser(nn.Module):
    """The published checkpoint's tree, and the noise of N frames."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.point_model = nn.ModuleDict({"model": DenoisingTransformer(device, dtype, operations)})

    def forward(
        self, noisy: Tensor, step: int, reference: Tensor, canonical: Tensor, speech: Tensor
    ) -> Tensor:
        """noisy [B,N,70], reference [B,70], canonical [B,63], all normalised; speech [B,N,512] -> noise [B,N,70]."""
        tokens = torch.cat([F.pad(canonical, (7, 0))[:, None], reference[:, None], noisy], 1)
        steps = torch.full((len(noisy),), step, device=noisy.device)
        return self.point_model["model"](tokens, steps, F.pad(speech, (0, 0, 2, 0)))[:, 2:]


def build_denoiser(state, metadata, device=None, dtype=torch.float32, operations=nn) -> KDTalkerDenoiser:
    """For the loader: the published sizes are the only ones."""
    return KDTalkerDenoiser(device, dtype, operations)
