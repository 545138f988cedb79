"""Whisper tiny.en's encoder, which ships with the pack in 8 bits and hears for the built-in engine."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..weights.int8 import in_float
from .whisper_encoder import WhisperEncoder
from .whisper_mel import MELS

WIDTH, LAYERS, POSITIONS = 384, 4, 1500
LONGEST_WAVE = 10_000  # of the sinusoids, in units of 1 / (2 pi)


def sinusoids(count: int, width: int) -> Tensor:
    """[count,width] positions: sines, then cosines, of wavelengths that rise geometrically (Vaswani et al. 2017)."""
    rates = torch.exp(-np.log(LONGEST_WAVE) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(count)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


def encoder_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the file holds as the network takes it: float32, with the positions that need not be kept."""
    return in_float(content) | {"embed_positions.weight": sinusoids(POSITIONS, WIDTH)}


def build_encoder(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], device: Any = None, dtype: Any = None,
    operations: Any = torch.nn,
) -> WhisperEncoder:  # fmt: skip
    """For the loader: the shipped size is the only one."""
    return WhisperEncoder(MELS, WIDTH, LAYERS, POSITIONS, device=device, dtype=dtype, operations=operations)
