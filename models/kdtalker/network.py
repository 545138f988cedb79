"""The reference-guided denoiser: speech and a reference motion -> the noise in a noisy motion (KDTalker,
section 3.3; 42.9 M)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from .motion import POSE

BUCKETS, MAX_DISTANCE = 32, 128
CONDITIONS = 2  # tokens before the noisy frames: canonical keypoints, reference motion


@dataclass(frozen=True)
class Sizes:
    """Of a denoiser, as published where nothing else is said; the switches are those of the paper's Table 3.

    motion: numbers of a frame, 7 and three for each keypoint; rotary: pairs of a head's dimensions that turn, 0
    for none; window: frames that it learned at once.
    """

    motion: int = 70
    audio: int = 512
    width: int = 768
    heads: int = 12
    layers: int = 6
    time: int = 256
    rotary: int = 6
    attention: bool = True
    reference: bool = True
    window: int = 64

    @property
    def points(self) -> int:
        """Keypoints that move."""
        return (self.motion - POSE) // 3

    @property
    def tokens(self) -> int:
        """Before the noisy frames."""
        return CONDITIONS if self.reference else 0


ROOT = "point_model.model."


def read_sizes(state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Sizes:
    """From a state dict, and from the header of a file of our training what it was trained without.

    ValueError if the shapes are not a denoiser's."""
    shapes = {key.removeprefix(ROOT): value.shape for key, value in state.items()}
    try:
        width, motion = shapes["input_projection.weight"]
        time, _ = shapes["time_mlp.1.weight"]
        buckets, heads = shapes["time_rel_pos_bias.relative_attention_bias.weight"]
        _, condition = shapes["layers.0.0.mlp.1.weight"]
    except (KeyError, ValueError) as error:
        raise ValueError(f"it is not KDTalker's denoiser (no {error})") from None
    if heads < 1 or width % heads or (motion - POSE) % 3:
        raise ValueError(
            f"its width {width} does not fit {heads} heads, or its {motion} numbers of a frame keypoints"
        )
    rotary = shapes.get("layers.0.2.fn.fn.rotary_emb.freqs", (Sizes.rotary,))
    layers = 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith("layers."))
    told = metadata or {}
    return Sizes(
        motion, condition - time, width, heads, layers, time,
        rotary=rotary[0] if told.get("rotary", "on") == "on" else 0,
        attention=told.get("attention", "on") == "on", reference=told.get("reference", "on") == "on",
        window=int(told.get("window", Sizes.window)),
    )  # fmt: skip


def time_embedding(steps: Tensor, width: int = Sizes.width) -> Tensor:
    """[B] integer steps -> [B,width]: all sines, then all cosines."""
    half = width // 2
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

    def __init__(self, width: int, device=None, dtype=None):
        super().__init__()
        for name in ("gamma", "beta"):
            empty = torch.empty(1, 1, width, device=device, dtype=dtype)
            setattr(self, name, nn.Parameter(empty, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        gamma, beta = self.gamma.to(x).flatten(), self.beta.to(x).flatten()
        return F.layer_norm(x, gamma.shape, gamma, beta, 1e-5)


class ProjectedNorm(nn.Module):
    """A linear layer and a norm; the network applies them one by one."""

    def __init__(self, width: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.proj = operations.Linear(width, width, device=device, dtype=dtype)
        self.norm = Norm(width, device, dtype)


class ConditionedMLP(nn.Module):
    """Residual block whose scale and shift come from time and speech. The published network skips the second norm."""

    def __init__(self, sizes: Sizes, device=None, dtype=None, operations=nn):
        super().__init__()
        width = sizes.width
        linear = operations.Linear(sizes.time + sizes.audio, 2 * width, device=device, dtype=dtype)
        self.mlp = nn.Sequential(nn.SiLU(), linear)
        self.block1 = ProjectedNorm(width, device, dtype, operations)
        self.block2 = ProjectedNorm(width, device, dtype, operations)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.mlp(condition).chunk(2, -1)
        y = F.silu(self.block1.norm(self.block1.proj(x)) * (scale + 1) + shift)
        return x + F.silu(self.block2.proj(y))


class RotaryFrequencies(nn.Module):
    """Frequencies of pairs; x [B,H,T,D] -> the same with its first dimensions (12 of 64) turned, neighbouring
    pairs together."""

    def __init__(self, pairs: int, device=None, dtype=None):
        super().__init__()
        self.freqs = nn.Parameter(torch.empty(pairs, device=device, dtype=dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        pairs = len(self.freqs)
        angles = torch.arange(x.shape[-2], device=x.device)[:, None] * self.freqs.to(x.device, torch.float32)
        cos, sin = angles.cos().to(x), angles.sin().to(x)
        even, odd = x[..., : 2 * pairs].unflatten(-1, (pairs, 2)).unbind(-1)
        turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)
        return torch.cat([turned, x[..., 2 * pairs :]], -1)


class Attention(nn.Module):
    """Self-attention over all frames, with rotary (unless there are no pairs) and relative positions."""

    def __init__(self, sizes: Sizes, device=None, dtype=None, operations=nn):
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.to_qkv = operations.Linear(width, 3 * width, bias=False, device=device, dtype=dtype)
        self.proj = operations.Linear(width, width, device=device, dtype=dtype)
        self.rotary_emb = RotaryFrequencies(sizes.rotary, device, dtype) if sizes.rotary else nn.Identity()

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = rearrange(self.to_qkv(x), "b n (qkv h c) -> qkv b h n c", qkv=3, h=self.heads)
        y = F.scaled_dot_product_attention(
            self.rotary_emb(q), self.rotary_emb(k), v, attn_mask=bias.to(q)[None]
        )
        return self.proj(rearrange(y, "b h n c -> b n (h c)"))


class PreNorm(nn.Module):
    def __init__(self, width: int, fn: nn.Module, device=None, dtype=None):
        super().__init__()
        self.norm, self.fn = Norm(width, device, dtype), fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return self.fn(self.norm(x), bias)


class Residual(nn.Module):
    def __init__(self, fn: nn.Module):
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + self.fn(x, bias)


class RelativePositions(nn.Module):
    def __init__(self, heads: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.relative_attention_bias = operations.Embedding(BUCKETS, heads, device=device, dtype=dtype)

    def forward(self, tokens: int, like: Tensor) -> Tensor:
        """[heads,T,T], added to the attention scores of every layer."""
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

    def __init__(self, sizes: Sizes, device=None, dtype=None, operations=nn):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        width, self.width = sizes.width, sizes.width
        self.time_mlp = nn.Sequential(
            nn.Identity(),
            operations.Linear(width, sizes.time, **options),
            nn.SiLU(),
            operations.Linear(sizes.time, sizes.time, **options),
        )
        self.positional_encoding = UnusedFrequencies(**options)
        self.input_projection = operations.Linear(sizes.motion, width, **options)
        self.time_rel_pos_bias = RelativePositions(sizes.heads, **options, operations=operations)
        blocks = {**options, "operations": operations}

        def layer() -> nn.ModuleList:
            parts: list[nn.Module] = [ConditionedMLP(sizes, **blocks), ConditionedMLP(sizes, **blocks)]
            if sizes.attention:
                parts.append(Residual(PreNorm(width, Attention(sizes, **blocks), **options)))
            return nn.ModuleList(parts)

        self.layers = nn.ModuleList(layer() for _ in range(sizes.layers))
        self.output_projection = operations.Linear(width, sizes.motion, **options)

    def forward(self, tokens: Tensor, steps: Tensor, speech: Tensor) -> Tensor:
        time = self.time_mlp(time_embedding(steps, self.width).to(tokens))
        condition = torch.cat([time[:, None].expand(-1, tokens.shape[1], -1), speech], -1)
        bias = self.time_rel_pos_bias(tokens.shape[1], tokens)
        x = self.input_projection(tokens)
        for layer in self.layers:
            first, second, *attention = cast(nn.ModuleList, layer)
            x = second(first(x, condition), condition)
            for attend in attention:
                x = attend(x, bias)
        return self.output_projection(x)


class KDTalkerDenoiser(nn.Module):
    """The published checkpoint's tree, and the noise of N frames."""

    def __init__(self, sizes: Sizes | None = None, device=None, dtype=None, operations=nn):
        super().__init__()
        self.sizes = sizes or Sizes()
        model = DenoisingTransformer(self.sizes, device, dtype, operations)
        self.point_model = nn.ModuleDict({"model": model})

    def forward(
        self, noisy: Tensor, step: int | Tensor, reference: Tensor, canonical: Tensor, speech: Tensor
    ) -> Tensor:
        """noisy [B,N,M], step one or [B], reference [B,M], canonical [B,M-7], all normalised; speech [B,N,512],
        or [B,2+N,512] with that of the two conditions, else zeros -> noise [B,N,M]."""
        one = step if isinstance(step, Tensor) else torch.full((), step, device=noisy.device)
        steps = one.to(noisy.device).expand(len(noisy))
        given = self.sizes.tokens
        tokens = self.conditions(noisy, reference, canonical) if given else noisy
        silent = noisy.shape[1] + given - speech.shape[1]
        return self.point_model["model"](tokens, steps, F.pad(speech, (0, 0, silent, 0)))[:, given:]

    def conditions(self, noisy: Tensor, reference: Tensor, canonical: Tensor) -> Tensor:
        """[B,2+N,M]: canonical keypoints with 7 zeros before them, reference, noisy frames."""
        return torch.cat([F.pad(canonical, (POSE, 0))[:, None], reference[:, None], noisy], 1)


def build_denoiser(
    state: Mapping[str, Any],
    metadata: Mapping[str, str] | None,
    device=None,
    dtype=torch.float32,
    operations=nn,
) -> KDTalkerDenoiser:
    """For the loader: sizes come from the state dict and the header."""
    return KDTalkerDenoiser(read_sizes(state, metadata), device, dtype, operations)
