"""The part of a waveform that belongs to a film."""

import numpy as np

from .timing import samples_of

FITS = ("pad with silence", "official (stretch)")


def segment(wave: np.ndarray, frames: int, fps: float, fit: str, start: int = 0) -> np.ndarray:
    """The part of a 16 kHz wave that belongs to `frames` frames of a film from frame `start` on. Too short a
    wave is filled with silence, or left short and so stretched over the film as in the published script."""
    samples, first = samples_of(frames, fps), samples_of(start, fps)
    part = wave[first : first + samples]
    return np.pad(part, (0, samples - len(part))) if fit == FITS[0] else part
