"""How far a head can be turned before its map folds, and the smooth limit that keeps every motion within it."""

from collections.abc import Callable

import torch
from torch import Tensor

TRIED = (3.0, 4.5, 6.0, 7.5, 9.0, 10.5, 12.0, 13.5, 15.0, 17.0, 20.0)  # degrees
LEAST_AREA = 0.25  # smallest determinant of the Jacobian: content may shrink to no less than this share
FREE = 0.6  # share of a limit up to which a turn is left as it is


def fold_free(displacement: Callable[[Tensor], Tensor], cell: tuple[float, float]) -> Tensor:
    """[3] degrees of pitch, yaw and roll that a head can turn to either side without folds.

    displacement: poses [n,3] in degrees -> displacement [n,2,G,G] in pixels on a grid with cells of (width, height).
    """
    limits = []
    for axis in range(3):
        poses = torch.zeros(2 * len(TRIED), 3)
        poses[:, axis] = torch.tensor([sign * angle for angle in TRIED for sign in (-1, 1)])
        least = jacobian(displacement(poses), cell).flatten(1).amin(1).reshape(-1, 2).amin(1)
        good = int((least > LEAST_AREA).int().cumprod(0).sum())
        limits.append(TRIED[good - 1] if good else 0.5 * TRIED[0])
    return torch.tensor(limits)


def jacobian(displacement: Tensor, cell: tuple[float, float]) -> Tensor:
    """[n,G-1,G-1] determinant of the Jacobian of place -> place + displacement."""
    across = (displacement[..., :, 1:] - displacement[..., :, :-1])[..., :-1, :] / cell[0]
    down = (displacement[..., 1:, :] - displacement[..., :-1, :])[..., :-1] / cell[1]
    return (1 + across[:, 0]) * (1 + down[:, 1]) - across[:, 1] * down[:, 0]


def limited(pose: Tensor, limits: Tensor) -> Tensor:
    """Poses [n,3] in degrees in the ellipsoid of `limits` [3]: as they are well inside, smoothly held at its edge."""
    reach = (pose / limits).square().sum(1, keepdim=True).sqrt()
    held = FREE + (1 - FREE) * torch.tanh((reach - FREE) / (1 - FREE))
    return pose * torch.where(reach > FREE, held / reach.clamp(min=1e-6), torch.ones_like(reach))
