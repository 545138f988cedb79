"""Small functions that all parts of the warp share: smooth steps, tables over one coordinate, local frames."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TABLE = 256
REACH = 1.25  # tables cover -REACH..REACH of their unit


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return (3 - 2 * x).mul_(x).mul_(x)


def greater(a: Tensor, b: Tensor | float) -> Tensor:
    """1 where `a` is larger than `b`, else 0, as floats shaped like `a`: on a CPU many times as fast as torch.where."""
    return torch.gt(a, b, out=torch.empty_like(a))


def slope(field: Tensor) -> Tensor:
    """Steepness per pixel of a field [...,h,w], at least 2x2, from its neighbours' difference."""
    down, across = torch.empty_like(field), torch.empty_like(field)
    torch.sub(field[..., 2:, :], field[..., :-2, :], out=down[..., 1:-1, :]).mul_(0.5)
    torch.sub(field[..., 2:], field[..., :-2], out=across[..., 1:-1]).mul_(0.5)
    for end, inner in ((0, 1), (-1, -2)):
        sign = 1.0 if end == 0 else -1.0
        down[..., end, :] = sign * (field[..., inner, :] - field[..., end, :])
        across[..., end] = sign * (field[..., inner] - field[..., end])
    return down.square_().addcmul_(across, across).sqrt_()


@dataclass(frozen=True)
class Frame:
    """A local frame in the picture: origin (x, y) and unit length in pixels, direction of u; v is a quarter turn on."""

    origin: tuple[float, float]
    unit: float
    axis: tuple[float, float]

    @classmethod
    def between(cls, left: np.ndarray, right: np.ndarray) -> "Frame":
        """Frame in the middle of two points, u along them, their distance as unit."""
        difference = (right - left)[:2].astype(float)
        unit = float(max(np.linalg.norm(difference), 1e-3))
        middle = (left + right)[:2] / 2
        return cls(
            (float(middle[0]), float(middle[1])),
            unit,
            (float(difference[0] / unit), float(difference[1] / unit)),
        )

    def to_local(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels -> (u, v)."""
        dx, dy = (x - self.origin[0]) / self.unit, (y - self.origin[1]) / self.unit
        return dx * self.axis[0] + dy * self.axis[1], dy * self.axis[0] - dx * self.axis[1]

    def to_pixels(self, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """(u, v) -> pixels."""
        x = self.origin[0] + self.unit * (u * self.axis[0] - v * self.axis[1])
        return x, self.origin[1] + self.unit * (u * self.axis[1] + v * self.axis[0])

    def points(self, landmarks: np.ndarray) -> np.ndarray:
        """[K,2+] landmarks in pixels -> [K,2] (u, v)."""
        local = self.to_local(
            torch.from_numpy(landmarks[:, 0]).float(), torch.from_numpy(landmarks[:, 1]).float()
        )
        return torch.stack(local, 1).numpy()


def table_of(points: np.ndarray) -> Tensor:
    """[TABLE] values of v over u in -REACH..REACH through [K,2] points; level beyond the outermost ones."""
    ordered = points[np.argsort(points[:, 0])]
    grid = np.linspace(-REACH, REACH, TABLE)
    return torch.from_numpy(np.interp(grid, ordered[:, 0], ordered[:, 1])).float()


def look_up(tables: Tensor, u: Tensor) -> Tensor:
    """Values of [K,TABLE] tables at u [...] -> [K,...], linear between entries."""
    place = ((u + REACH) * ((TABLE - 1) / (2 * REACH))).clamp(0, TABLE - 1.001)
    low = place.long()
    part, flat = place - low, low.flatten()
    shape = (len(tables), *u.shape)
    left, right = (side.index_select(1, flat).reshape(shape) for side in (tables, tables[:, 1:]))
    return torch.lerp(left, right, part)
