"""Which parts of a head's rectangle a batch of frames changes: the rest is the photo, and need not be drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch.nn.functional as F
from torch import Tensor

from .head import GRID

SHORTEST = 5  # cells: a shorter hole costs more than drawing it


@dataclass(frozen=True)
class Strip:
    """Rows of the head's rectangle, and parts of their columns."""

    rows: slice
    columns: tuple[slice, ...]


def most_in_cells(matte: Tensor) -> Tensor:
    """[GRID-1,GRID-1] most of a matte [1,1,h,w] in each cell of the coarse field, and one cell around."""
    fine = F.interpolate(matte, [max(GRID - 1, side) for side in matte.shape[-2:]], mode="nearest")
    return F.max_pool2d(F.adaptive_max_pool2d(fine, (GRID - 1, GRID - 1)), 3, 1, 1)[0, 0]


def moving_cells(
    displacement: Tensor, size: tuple[int, int], matte: Tensor, besides: tuple[slice, slice] | None
) -> Tensor:
    """[GRID-1,GRID-1] which cells of the coarse field change, for displacements [n,2,GRID,GRID] in pixels over a
    rectangle of `size` (height, width).

    matte: see most_in_cells. besides: rows and columns of pixels in which more moves than the head.
    """
    travel = displacement.abs().amax((0, 1))[None, None]
    moves = F.max_pool2d(travel, 2, 1)[0, 0] > 0
    reach = 1 + int(float(travel.max()) * GRID / max(1, min(size)))
    moves &= F.max_pool2d(matte[None], 2 * reach + 1, 1, reach)[0] > 0
    if besides is not None:
        rows, columns = (
            slice(int(part.start * GRID / side), int(part.stop * GRID / side) + 1)
            for part, side in zip(besides, size, strict=True)
        )
        moves[rows, columns] = True
    return moves


def strips(moves: Tensor, size: tuple[int, int], tall: int) -> Iterator[Strip]:
    """All cells that move in a rectangle of `size`, in strips of at most `tall` rows."""
    height, width = size
    per_row, per_column = (GRID - 1) / max(height - 1, 1), (GRID - 1) / max(width - 1, 1)
    for top in range(0, height, tall):
        bottom = min(top + tall, height)
        rows = slice(min(int(top * per_row), GRID - 2), min(int((bottom - 1) * per_row), GRID - 2) + 1)
        found = runs(moves[rows].any(0).tolist())
        if found:
            ends = [
                (ceil(a / per_column), width if b == GRID - 1 else ceil(b / per_column)) for a, b in found
            ]
            yield Strip(slice(top, bottom), tuple(slice(left, min(right, width)) for left, right in ends))


def runs(moves: list[bool]) -> list[tuple[int, int]]:
    """First cell of every run that moves and the cell after its last, over short holes."""
    found: list[tuple[int, int]] = []
    for place, moved in enumerate(moves):
        if moved and found and place - found[-1][1] < SHORTEST:
            found[-1] = (found[-1][0], place + 1)
        elif moved:
            found.append((place, place + 1))
    return found
