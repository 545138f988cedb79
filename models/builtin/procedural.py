"""Motion that speech does not spell out: blinks, head and brows. Made in seconds, so any frame rate shows the same.

Head and brows are band-limited noise plus beats: where the voice gets louder than its own surroundings, the head nods
and the brows rise a little.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d

CLOCK = 100  # samples per second of everything in this file
BLINK_SECONDS = np.array([0.0, 0.05, 0.09, 0.13, 0.18, 0.24, 0.32])
BLINK_SHAPE = np.array([0.0, 0.75, 1.0, 1.0, 0.6, 0.25, 0.0])  # quick down, a moment shut, slower up
REFRACTORY_SECONDS = 1.0
RAMP_SECONDS = 0.4  # everything starts from the photo's own pose
PAUSE_FACTOR = 2.0  # people blink more when they pause


def noise(count: int, hertz: float, random: np.random.Generator) -> np.ndarray:
    """[count] noise of about unit deviation without anything above about `hertz`, within +-2."""
    sigma = CLOCK / (2 * np.pi * hertz)
    margin = int(4 * sigma)
    white = random.standard_normal(count + 2 * margin)
    smooth = gaussian_filter1d(white, sigma, mode="reflect")[margin : margin + count]
    deviation = np.sqrt(1 / (2 * np.sqrt(np.pi) * sigma))  # of white noise after this filter
    return 2 * np.tanh(smooth / deviation / 2)


def blink_times(seconds: float, per_minute: float, pause: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Start times of blinks: a random process with a dead time, likelier where `pause` [seconds*CLOCK] is 1."""
    if per_minute <= 0:
        return np.zeros(0)
    dead = min(REFRACTORY_SECONDS, 30 / per_minute)
    weight = 1 + (PAUSE_FACTOR - 1) * pause
    drawn = random.random(len(pause)) < weight / weight.mean() / (60 / per_minute - dead) / CLOCK
    times: list[float] = []
    for time in np.flatnonzero(drawn) / CLOCK:
        if time + BLINK_SECONDS[-1] < seconds and (not times or time - times[-1] >= dead):
            times.append(float(time))
    return np.array(times)


def blink_track(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Closure 0..1 at times `at` (seconds) of blinks that start at `times`."""
    if len(times) == 0:
        return np.zeros(len(at))
    latest = np.clip(np.searchsorted(times, at, side="right") - 1, 0, None)
    return np.interp(at - times[latest], BLINK_SECONDS, BLINK_SHAPE, left=0.0, right=0.0)


def beats(level: np.ndarray) -> np.ndarray:
    """How much louder each moment is than the half second around it; `level` 0..1 at CLOCK."""
    return gaussian_filter1d(level, 0.12 * CLOCK) - gaussian_filter1d(level, 0.5 * CLOCK)


def head_and_brows(level: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From loudness [T] 0..1: pose [T,3] (pitch, yaw, roll; degrees), shift [T,2] (keypoint units), brow [T]."""
    count = len(level)
    beat = beats(level)
    yaw = 2.6 * noise(count, 0.22, random) + 0.5 * noise(count, 0.7, random)
    pitch = 1.3 * noise(count, 0.25, random) + 4.0 * beat
    roll = 0.9 * noise(count, 0.18, random) + 0.02 * yaw
    shift = np.stack([0.008 * noise(count, 0.2, random), 0.005 * noise(count, 0.25, random) + 0.008 * beat], 1)
    brow = 1.5 * np.clip(beat, 0, None) + 0.1 * noise(count, 0.3, random)
    ramp = np.clip(np.arange(count) / (RAMP_SECONDS * CLOCK), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return np.stack([pitch, yaw, roll], 1) * ramp[:, None], shift * ramp[:, None], brow * ramp
