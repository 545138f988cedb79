"""What a face does while nothing is said, and underneath whatever is: it breathes, its lips live, it swallows.

All tracks are at CLOCK and small; people breathe in 12 to 18 times a minute at rest.
"""

import numpy as np

from ..face_motion.blinks import CLOCK
from ..face_motion.procedural import noise

BREATHS_HERTZ = 0.25
BREATH_PITCH, BREATH_RISE = 0.35, 0.008  # degrees; keypoint units
SMILE, BROW = 0.07, 0.06  # deviations of the controls
SWALLOW_SECONDS = 0.7
SWALLOW_PITCH, SWALLOW_TUCK = 0.5, 0.15
FIRST_SWALLOW, SWALLOWS = 2.0, (7.0, 16.0)  # seconds of silence until the first, and from one to the next


def breath(ticks: int, random: np.random.Generator) -> np.ndarray:
    """[T] of about unit amplitude: in quicker than out, no two alike."""
    pace = 1 + 0.15 * noise(ticks, 0.1, random)
    phase = 2 * np.pi * (random.random() + BREATHS_HERTZ * np.cumsum(pace) / CLOCK)
    return np.sin(phase + 0.4 * np.sin(phase)) * (1 + 0.2 * noise(ticks, 0.1, random))


def swallows(silent: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[T] 0..1: now and then in a long silence; `silent` [T] 0..1."""
    track, waited = np.zeros(len(silent)), 0.0
    due = FIRST_SWALLOW + random.uniform(0, 3)
    length = round(SWALLOW_SECONDS * CLOCK)
    shape = np.sin(np.pi * np.arange(length) / length) ** 2
    for tick, rests in enumerate(silent.tolist()):
        waited = waited + 1 / CLOCK if rests > 0.5 else 0.0
        if waited >= due and (silent[tick : tick + length] > 0.5).all() and tick + length <= len(silent):
            track[tick : tick + length] = shape
            waited, due = 0.0, random.uniform(*SWALLOWS)
    return track
