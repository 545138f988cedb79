"""JoyVASA's motion generator: speech, the frames before and a noisy motion -> the clean motion (JoyVASA,
section 3.2)."""

import math
from typing import cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from ..speech.hubert import build_hubert
from .audio_encoder import hubert_config, padded_window
from .config import HEADS, JoyVASAConfig


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """[N] whole numbers -> [N,width], sine and cosine in turn."""
    frequencies = torch.exp(
        torch.arange(0, width, 2, device=positions.device).float() * (-math.log(10000.0) / width)
    )
    angles = positions.float()[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


class Attention(nn.Module):
    """Multi-head attention with torch's names; `blocked` [T,S] is true where it must not look."""

    def __init__(self, width: int, device=None, dtype=None, operations=nn):
        super().__init__()
        empty = {"device": device, "dtype": dtype}
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width, **empty), requires_grad=False)
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width, **empty), requires_grad=False)
        self.out_proj = operations.Linear(width, width, **empty)

    def forward(self, x: Tensor, memory: Tensor, blocked: Tensor | None = None) -> Tensor:
        weights, biases = self.in_proj_weight.to(x).chunk(3), self.in_proj_bias.to(x).chunk(3)
        q, k, v = (
            rearrange(F.linear(source, weight, bias), "b n (h c) -> b h n c", h=HEADS)
            for source, weight, bias in zip((x, memory, memory), weights, biases, strict=True)
        )
        y = F.scaled_dot_product_attention(
            q, k, v, attn_mask=None if blocked is None else ~blocked.to(x.device)
        )
        return self.out_proj(rearrange(y, "b h n c -> b n (h c)"))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the speech, two linear layers; norms come last."""

    def __init__(self, width: int, hidden: int, device=None, dtype=None, operations=nn):
        super().__init__()
        empty = {"device": device, "dtype": dtype}
        self.self_attn = Attention(width, **empty, operations=operations)
        self.multihead_attn = Attention(width, **empty, operations=operations)
        self.linear1 = operations.Linear(width, hidden, **empty)
        self.linear2 = operations.Linear(hidden, width, **empty)
        self.norm1, self.norm2, self.norm3 = (operations.LayerNorm(width, **empty) for _ in range(3))

    def forward(self, x: Tensor, speech: Tensor, blocked: Tensor) -> Tensor:
        x = self.norm1(x + self.self_attn(x, x))
        x = self.norm2(x + self.multihead_attn(x, speech, blocked))
        return self.norm3(x + self.linear2(F.gelu(self.linear1(x))))


class DenoisingNetwork(nn.Module):
    """The transformer over context and window."""

    def __init__(self, config: JoyVASAConfig, device=None, dtype=None, operations=nn):
        super().__init__()
        empty, width, frames = (
            {"device": device, "dtype": dtype},
            config.width,
            config.context + config.window,
        )
        self.register_buffer("alignment_mask", torch.empty(frames, frames, dtype=torch.bool, device=device))
        self.diff_step_map = nn.Sequential(
            operations.Linear(width, width, **empty), nn.GELU(), operations.Linear(width, width, **empty)
        )
        self.feature_proj = operations.Linear(config.motion, width, **empty)
        layers = (
            DecoderLayer(width, config.hidden, **empty, operations=operations) for _ in range(config.layers)
        )
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(layers)})
        self.motion_dec = nn.Sequential(
            operations.Linear(width, width // 2, **empty),
            nn.GELU(),
            operations.Linear(width // 2, config.motion, **empty),
        )
        self.width = width

    def tokens(self, motion: Tensor, steps: Tensor) -> Tensor:
        """[B,P+T,73] at diffusion steps [B] -> [B,P+T,256]."""
        x = self.feature_proj(motion)
        places = sinusoids(torch.arange(x.shape[1], device=x.device), self.width).to(x)
        return x + places + self.step_embedding(steps, x)[:, None]

    def step_embedding(self, steps: Tensor, like: Tensor) -> Tensor:
        """[B] -> [B,256]."""
        return self.diff_step_map(sinusoids(steps, self.width).to(like))

    def forward(self, motion: Tensor, speech: Tensor, steps: Tensor) -> Tensor:
        """motion [B,P+T,73], speech [B,P+T,256], steps [B] from 1 (clean) up -> clean motion [B,P+T,73]."""
        x = self.tokens(motion, steps)
        for layer in cast(nn.ModuleList, self.transformer["layers"]):
            x = layer(x, speech, self.alignment_mask)
        return self.motion_dec(x)


class NoiseSchedule(nn.Module):
    """The betas of the training; entry 0 is 0, for the clean motion."""

    betas: Tensor

    def __init__(self, steps: int, device=None, dtype=None):
        super().__init__()
        self.register_buffer("betas", torch.empty(steps + 1, device=device, dtype=dtype))


class JoyVASA(nn.Module):
    """The published checkpoint's tree. `audio_encoder` may be None where speech features are given."""

    start_audio_feat: nn.Parameter
    start_motion_feat: nn.Parameter
    null_audio_feat: nn.Parameter

    def __init__(
        self, config: JoyVASAConfig, audio_encoder: nn.Module | None, device=None, dtype=None, operations=nn
    ):
        super().__init__()
        empty, self.config = {"device": device, "dtype": dtype}, config
        shapes = {"start_audio_feat": (config.context, config.width),
            "start_motion_feat": (config.context, config.motion),
                  "null_audio_feat": (1, config.width)}  # fmt: skip
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.empty(1, *shape, **empty), requires_grad=False))
        self.audio_feature_map = operations.Linear(config.speech, config.width, **empty)
        self.denoising_net = DenoisingNetwork(config, **empty, operations=operations)
        self.diffusion_sched = NoiseSchedule(config.steps, **empty)
        self.audio_encoder = audio_encoder

    def encode(self, wave: Tensor) -> Tensor:
        """One window of sound [B,T*640] at 16 kHz -> speech features [B,T,256]."""
        return self.features(self.hidden(wave))

    def hidden(self, wave: Tensor) -> Tensor:
        """One window of sound [B,T*640] at 16 kHz -> what its HuBERT says [B,2T,768]."""
        assert self.audio_encoder is not None
        return self.audio_encoder(padded_window(wave)).last_hidden_state

    def features(self, hidden: Tensor) -> Tensor:
        """[B,2T,768] of one window -> speech features [B,T,256]."""
        return self.audio_feature_map(self.halved(hidden))

    def halved(self, hidden: Tensor) -> Tensor:
        """From HuBERT's 50 to 25 frames per second, [B,2T,C] -> [B,T,C]."""
        return F.interpolate(
            hidden.transpose(1, 2), scale_factor=0.5, mode="linear", align_corners=False
        ).transpose(1, 2)

    def start(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """What stands before the first window: learned motion [1,P,73] and speech [1,P,256]."""
        return self.start_motion_feat.to(like), self.start_audio_feat.to(like)

    def silence(self, like: Tensor) -> Tensor:
        """The learned features of a window without speech, [1,T,256], for guidance."""
        return self.null_audio_feat.to(like).expand(-1, self.config.window, -1)

    def forward(self, motion: Tensor, speech: Tensor, before: tuple[Tensor, Tensor], steps: Tensor) -> Tensor:
        """Noisy motion [B,T,73], speech [B,T,256], motion and speech before them, steps [B] -> clean motion
        [B,P+T,73]."""
        batch = len(motion)
        past_motion, past_speech = (value.expand(batch, -1, -1) for value in before)
        return self.denoising_net(
            torch.cat([past_motion, motion], 1), torch.cat([past_speech, speech], 1), steps
        )


def build_joyvasa(state, metadata, device=None, dtype=torch.float32, operations=nn) -> JoyVASA:
    """For the loader: every size comes from the weights."""
    encoder = build_hubert(hubert_config(state), device, dtype)
    return JoyVASA(JoyVASAConfig.from_state(state), encoder, device, dtype, operations)
