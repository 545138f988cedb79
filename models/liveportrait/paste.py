"""Drawn faces back into their picture."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..media.pixels import source_grid
from .crop import SIZE

BORDER = 16  # pixels of the crop over which it fades into the picture


def paste_mask() -> Tensor:
    """[512,512] bytes: white, fading over the outer 16 pixels with round corners (equal to LivePortrait's template)."""
    position = np.arange(SIZE)
    inside = np.maximum(BORDER - np.minimum(position, SIZE - position), 0)
    mask = np.floor(255 * np.clip(1 - np.hypot(inside[:, None], inside[None]) / BORDER, 0, 1))
    return torch.from_numpy(mask.astype(np.uint8))


@dataclass(frozen=True)
class PastePlan:
    """Where a crop lies in its picture: box (left, top, right, bottom), sampling grid [1,h,w,2], mask [h,w,1]
    in 0..1."""

    box: tuple[int, int, int, int]
    grid: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "PastePlan":
        """The same plan with its tensors elsewhere."""
        return PastePlan(self.box, self.grid.to(device), self.mask.to(device))


def plan_paste(to_picture: np.ndarray, width: int, height: int, keep_edges: bool = True) -> PastePlan:
    """Once per portrait; to_picture [3,3] maps pixels of the crop to those of a width x height picture.

    Where a crop reaches beyond its picture it is black there, and the drawn face is darker beside it.
    `keep_edges` lets the drawn face fade out towards those edges of the picture; off, it is pasted as
    published.
    """
    corners = (
        np.array([[0, 0, 1], [SIZE - 1, 0, 1], [SIZE - 1, SIZE - 1, 1], [0, SIZE - 1, 1]]) @ to_picture[:2].T
    )
    low, high = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1
    left, top = (int(np.clip(value, 0, side)) for value, side in zip(low, (width, height), strict=True))
    right, bottom = (int(np.clip(value, 0, side)) for value, side in zip(high, (width, height), strict=True))
    grid = source_grid(to_picture, (SIZE, SIZE), (left, top, right, bottom))
    mask = F.grid_sample(paste_mask()[None, None].float() / 255, grid, align_corners=True)[0, 0, ..., None]
    if keep_edges:
        mask = mask * edge_fade(corners, to_picture, width, height)[top:bottom, left:right, None]
    return PastePlan((left, top, right, bottom), grid, mask)


def edge_fade(corners: np.ndarray, to_picture: np.ndarray, width: int, height: int) -> Tensor:
    """[H,W] in 0..1: 0 at every edge of the picture that the crop crosses, 1 a crop border further in."""
    reach = max(BORDER * float(np.hypot(*to_picture[:2, 0])), 1.0)
    x, y = torch.arange(width, dtype=torch.float32), torch.arange(height, dtype=torch.float32)
    low, high = corners.min(0), corners.max(0)
    fade = torch.ones(height, width)
    for crossed, distance in (
        (low[0] < 0, x[None]), (low[1] < 0, y[:, None]), (high[0] > width - 1, width - 1 - x[None]),
        (high[1] > height - 1, height - 1 - y[:, None]),
    ):  # fmt: skip
        if crossed:
            fade = fade * (distance / reach).clamp(max=1)
    return fade


def pasted_part(faces: Tensor, picture: Tensor, plan: PastePlan) -> Tensor:
    """Faces [n,3,512,512] over the plan's box of a picture [H,W,3], in the same range on one device -> [n,h,w,3]."""
    left, top, right, bottom = plan.box
    drawn = F.grid_sample(faces.float(), plan.grid.expand(len(faces), -1, -1, -1), align_corners=True)
    part = picture[top:bottom, left:right]
    return torch.lerp(part, drawn.permute(0, 2, 3, 1).to(part.dtype), plan.mask.to(part.dtype))
