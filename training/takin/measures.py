"""What training/takin/evaluate.py counts: lips against truth, sounds against sounds, steps and blinks."""

import numpy as np
from torch import Tensor

from ...models.face_motion import CONTROLS, expression_to_controls
from ...models.takin.config import EXPRESSION, FPS
from ...models.takin.network import TakinNet
from .films import Film

LARGEST_LAG = 6


def control(motion: Tensor, name: str) -> np.ndarray:
    """One control [N] of motion [N,70]."""
    return expression_to_controls(motion[:, :EXPRESSION].unflatten(1, (21, 3)))[
        :, CONTROLS.index(name)
    ].numpy()


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson r; 0 where one does not move."""
    count = min(len(first), len(second))
    first, second = first[:count], second[:count]
    return float(np.corrcoef(first, second)[0, 1]) if first.std() > 1e-9 and second.std() > 1e-9 else 0.0


def best_lag(found: np.ndarray, truth: np.ndarray) -> int:
    """Frames by which `found` is late where it fits best."""
    scores = {
        lag: correlation(found[max(lag, 0) :], truth[max(-lag, 0) :])
        for lag in range(-LARGEST_LAG, LARGEST_LAG + 1)
    }
    return max(scores, key=lambda lag: (scores[lag], -abs(lag)))


def auc(lower: np.ndarray, higher: np.ndarray) -> float:
    """Chance that a value of `higher` is above one of `lower`."""
    difference = higher[:, None] - lower[None]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def at_middles(track: np.ndarray, film: Film, visemes: tuple[str, ...]) -> np.ndarray:
    """Values of a track at the middles of these sounds."""
    middles = [(start + end) / 2 * FPS for name, start, end in film.parts if name in visemes]
    return np.interp(np.array(middles) - 0.5, np.arange(len(track)), track)


def step_sizes(network: TakinNet, motion: Tensor) -> np.ndarray:
    """[N-1] root mean square over the 70 numbers, in deviations, of the step from each frame to the next."""
    return network.normalised(motion).diff(dim=0).square().mean(1).sqrt().numpy()


def count_blinks(lids: np.ndarray) -> int:
    """How often lids close further than half, having been more open than a fifth."""
    count, ready = 0, True
    for value in lids - np.median(lids):
        if ready and value > 0.5:
            count, ready = count + 1, False
        elif value < 0.2:
            ready = True
    return count
