"""Keys and values of tokens: the same at every step, so they are computed once, before ComfyUI loads the video model.

They are kept as a model of their own, which ComfyUI's memory manager counts, moves and streams like any
other. The weights that made them need not stay in memory while the video is sampled. One table row per
distinct token: 0.8 MB in half precision at the sizes of Wan2.1-14B, so 41 MB per second of sound, however
many context windows the film has.
"""

from collections.abc import Iterable
from typing import Any

import comfy.model_management
import comfy.model_patcher
import comfy.ops
import torch
from torch import Tensor, nn


class KeptKeys(nn.Module):
    """Tables [1+n,2C] of every block: keys and values side by side. Row 0 stands for no token and is zero."""

    def __init__(self, tables: Iterable[Tensor]):
        super().__init__()
        self.blocks = nn.ModuleList(table_layer(table) for table in tables)

    def forward(self, block: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of tokens [...] -> their keys and values in one block, [...,C] each, on the device of the numbers."""
        keys, values = self.blocks[block](numbers).chunk(2, dim=-1)
        return keys, values


def table_layer(table: Tensor) -> nn.Module:
    """Core's embedding layer around a table: the kind of layer whose weights core can leave elsewhere and
    cast when needed."""
    rows, width = table.shape
    layer = comfy.ops.manual_cast.Embedding(rows, width, device="meta", dtype=table.dtype)
    layer.weight = nn.Parameter(table, requires_grad=False)
    return layer


def numbered(windows: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Token tensors [...,C] -> the distinct tokens [n,C] of all, and for each tensor the number of every
    token: 1 to n in the order of that table, 0 where a row is all zero (padding: a layer norm's output never
    is)."""
    rows = torch.cat([tokens.flatten(0, -2) for tokens in windows])
    held = rows.ne(0).any(-1)
    distinct, place = torch.unique(rows[held], dim=0, return_inverse=True)
    numbers = torch.zeros(len(rows), dtype=torch.long, device=rows.device)
    numbers[held] = place + 1
    parts = numbers.split([tokens.shape[:-1].numel() for tokens in windows])
    return distinct, [part.reshape(tokens.shape[:-1]) for part, tokens in zip(parts, windows, strict=True)]


def tables_of(blocks: Iterable[nn.Module], tokens: Tensor, home: torch.device) -> Iterable[Tensor]:
    """Tokens [n,C] -> the table of each block of an adapter, one after the other, on the device `home`."""
    # without a bias, no token's keys and values are exactly zero
    rows = torch.cat([torch.zeros_like(tokens[:1]), tokens])
    for block in blocks:
        yield torch.cat(block(rows), dim=-1).to(home)


def kept_keys(adapter: Any, tokens: Tensor, dtype: torch.dtype) -> Any:
    """Keys and values of tokens [n,C] as a patcher that core's samplers can load; `adapter` is the patcher of
    the network whose blocks make them, `dtype` what the video model computes in."""
    comfy.model_management.load_models_gpu([adapter])
    home = comfy.model_management.unet_offload_device()
    tokens = tokens.to(adapter.load_device, dtype)
    keys = KeptKeys(tables_of(adapter.model.blocks, tokens, home))
    comfy.model_management.archive_model_dtypes(keys)
    return comfy.model_patcher.CoreModelPatcher(keys, load_device=adapter.load_device, offload_device=home)
