"""Which parts of a head's rectangle a batch of frames changes: the rest is the photo, and need not be drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from .head import GRID

STILL, PERSON, BOTH = range(
    3
)  # what a cell of the coarse field shows: the photo, the person alone, both layers
ALL = 0.998  # of the matte: the background then shows by less than half a level
SHORTEST = 5  # cells: a shorter run costs more by itself than drawn with its neighbours


@dataclass(frozen=True)
class Strip:
    """Rows of the head's rectangle, parts of their columns, and for each whether nothing but the person is in it."""

    rows: slice
    columns: tuple[slice, ...]
    whole: tuple[bool, ...]


def cell_range(matte: Tensor) -> Tensor:
    """[2,GRID-1,GRID-1] least and most of a matte [1,1,h,w] in each cell of the coarse field, and one cell around."""
    size = (GRID - 1, GRID - 1)
    both = torch.cat([-matte, matte], 1)
    fine = F.interpolate(both, [max(GRID - 1, side) for side in matte.shape[-2:]], mode="nearest")
    least, most = F.max_pool2d(F.adaptive_max_pool2d(fine, size), 3, 1, 1)[0]
    return torch.stack([-least, most])


@dataclass(frozen=True)
class Cells:
    """Cells [GRID-1,GRID-1] of the coarse field: which move, and which hold nothing but the person then."""

    moves: Tensor
    whole: Tensor


def cells_shown(
    displacement: Tensor, size: tuple[int, int], mattes: Tensor | None,
    besides: tuple[slice, slice] | None, further: float = 0.0,
) -> Cells:  # fmt: skip
    """For displacements [n,2,GRID,GRID] in pixels over a rectangle of `size` (height, width).

    mattes: see cell_range, None for a picture in one layer. besides: rows and columns of pixels in which something
    moves `further` pixels within the head.
    """
    cell = max(1, min(size)) / GRID
    travel = displacement.abs().amax((0, 1))[None, None]
    moves = F.max_pool2d(travel, 2, 1)[0, 0] > 0
    whole = torch.ones_like(moves)
    if mattes is not None:
        reach = 1 + int(float(travel.max()) / cell)
        least, most = F.max_pool2d(torch.stack([-mattes[0], mattes[1]])[None], 2 * reach + 1, 1, reach)[0]
        whole = -least > ALL
        moves &= most > 0
    if besides is not None:
        rows, columns = (
            slice(int(part.start * GRID / side), int(part.stop * GRID / side) + 1)
            for part, side in zip(besides, size, strict=True)
        )
        moves[rows, columns] = True
        reach = 1 + int(further / cell)
        mixed = F.max_pool2d((~whole)[None, None].float(), 2 * reach + 1, 1, reach)[0, 0] > 0
        whole[rows, columns] &= ~mixed[rows, columns]
    return Cells(moves, whole)


def strips(cells: Cells, size: tuple[int, int], tall: int) -> Iterator[Strip]:
    """All that moves in a rectangle of `size`, in strips of at most `tall` rows."""
    height, width = size
    per_row, per_column = (GRID - 1) / max(height - 1, 1), (GRID - 1) / max(width - 1, 1)
    for top in range(0, height, tall):
        bottom = min(top + tall, height)
        rows = slice(min(int(top * per_row), GRID - 2), min(int((bottom - 1) * per_row), GRID - 2) + 1)
        kinds = torch.where(cells.whole[rows].all(0), PERSON, BOTH) * cells.moves[rows].any(0)
        found = runs(kinds.tolist())
        if found:
            ends = [
                (ceil(a / per_column), width if b == GRID - 1 else ceil(b / per_column)) for a, b, _ in found
            ]
            columns = tuple(slice(left, min(right, width)) for left, right in ends)
            yield Strip(slice(top, bottom), columns, tuple(kind == PERSON for _, _, kind in found))


def runs(kinds: list[int]) -> list[tuple[int, int, int]]:
    """First cell, cell after the last, and kind of every run that is not STILL; short ones join their neighbours."""
    found: list[list[int]] = []
    for place, kind in enumerate(kinds):
        if found and found[-1][2] == kind:
            found[-1][1] = place + 1
        else:
            found.append([place, place + 1, kind])
    joined: list[list[int]] = []
    for number, (first, last, kind) in enumerate(found):
        inner = kind != STILL or number + 1 < len(found)
        short = last - first < SHORTEST or (
            kind != STILL and joined and joined[-1][1] - joined[-1][0] < SHORTEST
        )
        if joined and joined[-1][2] != STILL and short and inner:
            joined[-1][1:] = [last, BOTH]
        elif kind == STILL or not joined or joined[-1][2] != kind:
            joined.append([first, last, kind])
        else:
            joined[-1][1] = last
    return [(first, last, kind) for first, last, kind in joined if kind != STILL]
