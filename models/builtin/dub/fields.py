"""Maps that are given at landmarks: linear between them, on a coarse grid, stretched to the pixels of a rectangle."""

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import LinearNDInterpolator
from torch import Tensor

from ...media.pixels import Box

NODES = 48  # of the grid along a rectangle's longer side


class Nodes:
    """A coarse grid over a box of pixels."""

    def __init__(self, box: Box):
        x0, y0, x1, y1 = self.box = box
        self.step = max(1, round(max(x1 - x0, y1 - y0) / NODES))
        self.xs = np.arange(x0, x1 + self.step, self.step) + 0.5
        self.ys = np.arange(y0, y1 + self.step, self.step) + 0.5

    @cached_property
    def places(self) -> np.ndarray:
        """[P,2] all nodes, row after row."""
        return np.stack(np.meshgrid(self.xs, self.ys), -1).reshape(-1, 2)

    def stretched(self, values: np.ndarray) -> Tensor:
        """[1,C,h,w] values [P,C] of the nodes at the pixels of the box."""
        x0, y0, x1, y1 = self.box
        coarse = torch.from_numpy(values).float().T.reshape(1, -1, len(self.ys), len(self.xs))
        if self.step == 1:
            return coarse[..., : y1 - y0, : x1 - x0]
        across = torch.arange(x1 - x0) / self.step / (len(self.xs) - 1) * 2 - 1
        down = torch.arange(y1 - y0) / self.step / (len(self.ys) - 1) * 2 - 1
        grid = torch.stack(torch.meshgrid(across, down, indexing="xy"), -1)[None]
        return F.grid_sample(coarse, grid, align_corners=True)


def displacement(places: np.ndarray, sources: np.ndarray, nodes: Nodes) -> np.ndarray:
    """[P,2] pixels from nodes to their sources, for K places [K,2] whose sources [K,2] are known.

    The places must surround the nodes.
    """
    return np.nan_to_num(LinearNDInterpolator(places, sources - places)(nodes.places))


def depth_inside(outline: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[P] how deep places [P,2] lie inside a closed outline [K,2] in its unit; less than 0 outside."""
    start, way = outline, np.roll(outline, -1, 0) - outline
    away = places[:, None] - start
    along = (away * way).sum(-1) / np.maximum(np.square(way).sum(-1), 1e-9)
    nearest = np.linalg.norm(away - np.clip(along, 0, 1)[..., None] * way, axis=-1).min(1)
    beside = (away[..., 1] >= 0) != (away[..., 1] >= way[:, 1])
    crosses = beside & (away[..., 0] < way[:, 0] * away[..., 1] / np.where(way[:, 1] == 0, 1, way[:, 1]))
    return np.where(crosses.sum(1) % 2 == 1, nearest, -nearest)


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
