"""How fast a mouth can move: what opens or closes too fast starts earlier and ends later."""

from fractions import Fraction

import numpy as np

# of a control's range in 40 ms: the jaw of a man who talks moves by at most 0.39 of its range, and 0.22 in 19 of 20
JAW_SPEED, LIP_SPEED = 0.15, 0.4
STEP = Fraction(1, 25)


def lowered(track: np.ndarray, step: float) -> np.ndarray:
    """The highest track [T] under this one that changes by at most `step` a frame: every minimum is reached."""
    slope = step * np.arange(len(track))
    after_what_was = np.minimum.accumulate(track - slope) + slope
    before_what_comes = np.minimum.accumulate((track + slope)[::-1])[::-1] - slope
    return np.minimum(after_what_was, before_what_comes)


def raised(track: np.ndarray, step: float) -> np.ndarray:
    """The lowest track [T] over this one that changes by at most `step` a frame: every maximum is reached."""
    return -lowered(-track, step)


def per_frame(speed: float, fps: Fraction) -> float:
    """A speed in 40 ms as a change from frame to frame."""
    return speed * float(1 / (fps * STEP))
