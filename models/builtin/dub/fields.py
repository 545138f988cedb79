"""Maps that are given at landmarks: linear between them, on a coarse grid, stretched to the pixels of a rectangle."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor

from ...media.pixels import Box

NODES = 48  # of the grid along a rectangle's longer side


def displacement(places: np.ndarray, sources: np.ndarray, box: Box) -> Tensor:
    """[1,2,h,w] pixels from the places of a box to their sources, for K places [K,2] whose sources [K,2] are known.

    The places must surround the box.
    """
    x0, y0, x1, y1 = box
    step = max(1, round(max(x1 - x0, y1 - y0) / NODES))
    xs, ys = np.arange(x0, x1 + step, step) + 0.5, np.arange(y0, y1 + step, step) + 0.5
    values = LinearNDInterpolator(places, sources - places)(*np.meshgrid(xs, ys))
    coarse = torch.from_numpy(np.nan_to_num(values)).float().permute(2, 0, 1)[None]
    if step == 1:
        return coarse[..., : y1 - y0, : x1 - x0]
    across = torch.arange(x1 - x0) / step / (len(xs) - 1) * 2 - 1
    down = torch.arange(y1 - y0) / step / (len(ys) - 1) * 2 - 1
    grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)[None]
    return F.grid_sample(coarse, grid, align_corners=True)


def corners_around(box: Box) -> np.ndarray:
    """[4,2] places well outside of a box."""
    x0, y0, x1, y1 = box
    far = 0.5 * max(x1 - x0, y1 - y0)
    return np.array([[x, y] for y in (y0 - far, y1 + far) for x in (x0 - far, x1 + far)])


def affine(places: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """[3,2] the least-squares affine map of places [K,2] to sources [K,2]."""
    return np.linalg.lstsq(with_ones(places), sources, rcond=None)[0]


def with_ones(places: np.ndarray) -> np.ndarray:
    """[K,3] places [K,2] with a 1, for affine maps."""
    return np.concatenate([places, np.ones((len(places), 1))], 1)
