"""A waveform as wav2vec2-base-960h wants it: mono, 16 kHz, the film's length, zero mean and unit variance."""

import numpy as np
import torch
from torch import Tensor

from .timing import samples_of

FITS = ("pad with silence", "official (stretch)")


def segment(wave: np.ndarray, frames: int, fps: float, fit: str, start: int = 0) -> np.ndarray:
    """The part of a 16 kHz wave that belongs to `frames` frames of a film from frame `start` on. Too short a
    wave is filled with silence, or left short and so stretched over the film as in the published script."""
    samples, first = samples_of(frames, fps), samples_of(start, fps)
    part = wave[first : first + samples]
    return np.pad(part, (0, samples - len(part))) if fit == FITS[0] else part


def normalised(wave: np.ndarray) -> Tensor:
    """[T] -> [1,T] with zero mean and unit variance of this very segment (Wav2Vec2 feature extractor)."""
    sound = torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None]
    return (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)
