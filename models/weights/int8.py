"""Weights kept in 8 bits: each row of a matrix as whole numbers from -127 to 127 and the size of one step."""

from collections.abc import Mapping

import torch
from torch import Tensor

SCALE = ".scale"


def in_float(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor in float32; `NAME` [rows,...] of whole numbers was kept with `NAME.scale` [rows]."""
    return {
        key: value.float() * scale_of(state, key, value)
        for key, value in state.items()
        if not key.endswith(SCALE)
    }


def in_int8(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse: matrices in 8 bits, what has fewer dimensions in half precision."""
    kept = {}
    for key, value in state.items():
        if value.ndim == 1:
            kept[key] = value.half()
            continue
        rows = value.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).half()
        whole = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
        kept[key], kept[key + SCALE] = whole.reshape(value.shape), scale
    return kept


def scale_of(state: Mapping[str, Tensor], key: str, value: Tensor) -> Tensor:
    """The size of one step as [rows,1,...]; 1 for what is kept in floating point."""
    scale = state.get(key + SCALE)
    return torch.ones(()) if scale is None else scale.float().reshape(-1, *[1] * (value.ndim - 1))
