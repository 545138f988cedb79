"""Motion of head and brows, which speech does not spell out. Made in seconds, so any frame rate shows the same.

Head and brows are band-limited noise plus beats: where the voice gets louder than its own surroundings, the head nods
and the brows rise a little.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .blinks import CLOCK
from .smooth import smoothstep

RAMP_SECONDS = 0.4  # everything starts from the photo's own pose
REST_CLOSURE = 0.6  # how firmly the lips rest on each other in silence


def noise(count: int, hertz: float, random: np.random.Generator) -> np.ndarray:
    """[count] noise of about unit deviation without anything above about `hertz`, within +-2."""
    sigma = CLOCK / (2 * np.pi * hertz)
    margin = int(4 * sigma)
    white = random.standard_normal(count + 2 * margin)
    smooth = gaussian_filter1d(white, sigma, mode="reflect")[margin : margin + count]
    return 2 * np.tanh(smooth / noise_deviation(sigma) / 2)


def noise_kernel(hertz: float) -> np.ndarray:
    """[2n+1] what makes noise of unit deviation without anything above about `hertz` out of white noise."""
    sigma = CLOCK / (2 * np.pi * hertz)
    margin = int(4 * sigma)
    curve = np.exp(-0.5 * np.square(np.arange(-margin, margin + 1) / sigma))
    return curve / curve.sum() / noise_deviation(sigma)


def noise_deviation(sigma: float) -> float:
    """Of white noise of unit deviation after a Gaussian filter."""
    return float(np.sqrt(1 / (2 * np.sqrt(np.pi) * sigma)))


def started(count: int, first: int = 0) -> np.ndarray:
    """[count] ticks from tick `first` on: smoothly from 0, the photo's own pose, to 1 within RAMP_SECONDS."""
    return smoothstep((first + np.arange(count)) / (RAMP_SECONDS * CLOCK))


def beats(level: np.ndarray) -> np.ndarray:
    """How much louder each moment is than the half second around it; `level` 0..1 at CLOCK."""
    return gaussian_filter1d(level, 0.12 * CLOCK) - gaussian_filter1d(level, 0.5 * CLOCK)


def head_and_brows(
    level: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From loudness [T] 0..1: pose [T,3] (pitch, yaw, roll; degrees), shift [T,2] (keypoint units), brow [T]."""
    count = len(level)
    beat = beats(level)
    yaw = 2.6 * noise(count, 0.22, random) + 0.5 * noise(count, 0.7, random)
    pitch = 1.3 * noise(count, 0.25, random) + 4.0 * beat
    roll = 0.9 * noise(count, 0.18, random) + 0.02 * yaw
    shift = np.stack(
        [0.008 * noise(count, 0.2, random), 0.005 * noise(count, 0.25, random) + 0.008 * beat], 1
    )
    brow = 1.5 * np.clip(beat, 0, None) + 0.1 * noise(count, 0.3, random)
    ramp = started(count)
    return np.stack([pitch, yaw, roll], 1) * ramp[:, None], shift * ramp[:, None], brow * ramp
