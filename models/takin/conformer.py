"""Conformer blocks with relative positions (Gulati et al. 2020, section 2; attention after Transformer-XL, appendix B).

Pre-norm, two half feed-forwards around attention and convolution. The convolution has a layer norm where the
paper has a batch norm, so that a sequence does not depend on its neighbours in the batch. With a condition,
each of the four branches is scaled and shifted by it (FiLM).
"""

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


def relative_positions(tokens: int, width: int, device: Any = None) -> Tensor:
    """[2T-1, width] sinusoids of the distances T-1, ..., 0, ..., -(T-1) between query and key."""
    distance = torch.arange(tokens - 1, -tokens, -1, device=device, dtype=torch.float32)
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000.0) / width))
    angles = distance[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)


def relative_shift(scores: Tensor) -> Tensor:
    """[..., T, 2T-1] scores by distance -> [..., T, T] scores by key: entry (i, j) is that of distance i - j."""
    *lead, queries, distances = scores.shape
    padded = F.pad(scores, (1, 0)).reshape(*lead, distances + 1, queries)
    return padded[..., 1:, :].reshape(*lead, queries, distances)[..., :queries]


class RelativeAttention(nn.Module):
    """Self-attention whose scores are (q + u) k + (q + v) r, r a projection of the distance's sinusoid."""

    def __init__(self, width: int, heads: int, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.query_key_value = operations.Linear(width, 3 * width, **options)
        self.position = operations.Linear(width, width, bias=False, **options)
        self.leave = operations.Linear(width, width, **options)
        self.content_bias = nn.Parameter(torch.zeros(heads, width // heads, **options))
        self.position_bias = nn.Parameter(torch.zeros(heads, width // heads, **options))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """x [B,T,D], positions [2T-1,D] -> [B,T,D]."""
        heads, size = self.content_bias.shape
        query, key, value = rearrange(self.query_key_value(x), "b t (qkv h c) -> qkv b h t c", qkv=3, h=heads)
        distance = rearrange(self.position(positions.to(x)), "d (h c) -> h c d", h=heads)
        by_distance = (query + self.position_bias.to(x)[:, None]) @ distance
        bias = relative_shift(by_distance) / math.sqrt(size)
        y = F.scaled_dot_product_attention(
            query + self.content_bias.to(x)[:, None], key, value, attn_mask=bias
        )
        return self.leave(rearrange(y, "b h t c -> b t (h c)"))


class FeedForward(nn.Module):
    """Two linear layers with SiLU between."""

    def __init__(self, width: int, factor: int, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        self.up = operations.Linear(width, factor * width, device=device, dtype=dtype)
        self.down = operations.Linear(factor * width, width, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.up(x)))


class Convolution(nn.Module):
    """Gated pointwise, depthwise over time, norm, SiLU, pointwise; [B,T,D] -> [B,T,D]."""

    def __init__(self, width: int, kernel: int, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.gate = operations.Linear(width, 2 * width, **options)
        self.depthwise = operations.Conv1d(width, width, kernel, padding=kernel // 2, groups=width, **options)
        self.norm = operations.LayerNorm(width, **options)
        self.leave = operations.Linear(width, width, **options)

    def forward(self, x: Tensor) -> Tensor:
        y = self.depthwise(F.glu(self.gate(x), -1).transpose(1, 2)).transpose(1, 2)
        return self.leave(F.silu(self.norm(y)))


class ConformerBlock(nn.Module):
    """x [B,T,D] -> [B,T,D]; `film` [B,8,1,D] holds scale and shift of the four branches, if the block was
    made `conditioned`."""

    def __init__(
        self, width: int, heads: int, feed_forward: int, kernel: int, conditioned: bool = False,
        device: Any = None, dtype: Any = None, operations: Any = nn,
    ):  # fmt: skip
        super().__init__()
        options = {"device": device, "dtype": dtype, "operations": operations}
        self.enter = FeedForward(width, feed_forward, **options)
        self.attention = RelativeAttention(width, heads, **options)
        self.convolution = Convolution(width, kernel, **options)
        self.exit = FeedForward(width, feed_forward, **options)
        self.norms = nn.ModuleList(operations.LayerNorm(width, device=device, dtype=dtype) for _ in range(5))
        self.film = operations.Linear(width, 8 * width, device=device, dtype=dtype) if conditioned else None

    def forward(
        self, x: Tensor, positions: Tensor, condition: Tensor | None = None, dropout: float = 0.0
    ) -> Tensor:
        """`condition` [B,D] for a conditioned block; `dropout` of each branch's output, in training."""
        film = None if self.film is None else self.film(condition).unflatten(-1, (4, 2, -1))

        def entered(branch: int) -> Tensor:
            y = self.norms[branch](x)
            return y if film is None else y * (1 + film[:, branch, 0, None]) + film[:, branch, 1, None]

        def dropped(y: Tensor) -> Tensor:
            return F.dropout(y, dropout) if dropout else y

        x = x + 0.5 * dropped(self.enter(entered(0)))
        x = x + dropped(self.attention(entered(1), positions))
        x = x + dropped(self.convolution(entered(2)))
        x = x + 0.5 * dropped(self.exit(entered(3)))
        return self.norms[4](x)
