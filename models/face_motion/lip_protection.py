"""What speech needs of the lips while something else moves them: p, b, m stay shut and vowels stay open.

Everything is read from the gap between the lips' keypoints, so it holds for any engine. Closed and open are
places in the motion's own range, because absolute motion does not say where a particular person's lips touch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
from torch import Tensor

from .container import FaceMotion
from .rig import Y
from .smooth import smoothstep

UPPER_LIP, LOWER_LIP = 17, 19
ACTIVE_RANGE = 0.008  # keypoint units that the gap must travel nearby to count as speech: jawOpen 0.16
NEARBY_SECONDS = 0.3
EASE_SECONDS = 0.15  # of the slow track: a smile that changed with every syllable would flutter
LEAST_SPAN = 0.01
SHUT_BELOW, OPEN_ABOVE = 0.1, 0.5  # of the way from the motion's closed lips to its open ones


@dataclass(frozen=True)
class LipState:
    """Tracks [N] in 0..1: speech (slow), shut and open (lips of a speaker; both 0 where nobody speaks), and
    gap above closed lips.

    gap is in keypoint units and never below 0.
    """

    speech: Tensor
    shut: Tensor
    open: Tensor
    gap: Tensor


def lip_gap(expression: Tensor) -> Tensor:
    """[N,21,3] -> [N] height between the lips in keypoint units, up to a constant of the person."""
    return expression[:, LOWER_LIP, Y] - expression[:, UPPER_LIP, Y]


def lip_state(motion: FaceMotion) -> LipState:
    """When the lips of a motion speak, and when they are shut or open; nothing for a motion that holds still."""
    gap = lip_gap(motion.expression).double().numpy()
    rate = float(motion.fps)
    if len(gap) == 0:
        none = torch.zeros(0)
        return LipState(none, none, none, none)
    window = 2 * max(1, round(NEARBY_SECONDS * rate)) + 1
    travel = maximum_filter1d(gap, window, mode="nearest") - minimum_filter1d(gap, window, mode="nearest")
    speech = smoothstep(travel / ACTIVE_RANGE)
    speaking = gap[speech > 0.5] if (speech > 0.5).any() else gap
    low, high = np.quantile(speaking, (0.05, 0.95))
    place = (gap - low) / max(high - low, LEAST_SPAN)
    opened = smoothstep((place - SHUT_BELOW) / (OPEN_ABOVE - SHUT_BELOW))
    slow = gaussian_filter1d(speech, EASE_SECONDS * rate, mode="nearest")
    tracks = (slow, speech * (1 - opened), speech * opened, np.clip(gap - low, 0, None))
    return LipState(*(torch.from_numpy(track).float() for track in tracks))
