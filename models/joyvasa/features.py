"""JoyVASA's windows of sound, and how its frames lie in time."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

RATE, FPS = 16000, 25
SAMPLES_PER_FRAME = RATE // FPS
LEFT, RIGHT = 1280, 640  # samples of silence that the published code puts around the sound
LATE = LEFT // SAMPLES_PER_FRAME  # frames by which its motion comes after the sound for that


def published_frames(samples: int) -> int:
    """Frames that the published code makes of that many samples at 16 kHz."""
    return (samples + LEFT + RIGHT) // SAMPLES_PER_FRAME


def window_total(samples: int, window: int) -> int:
    """Windows of `window` frames that cover that many samples, padding included."""
    return -(-published_frames(samples) // window)


def sound_windows(wave: np.ndarray, window: int) -> Iterator[Tensor]:
    """[1,window*640] after one another, silence before, after and in the rest of the last one."""
    size = window * SAMPLES_PER_FRAME
    for number in range(window_total(len(wave), window)):
        start = number * size - LEFT
        part = wave[max(start, 0) : start + size].astype(np.float32)
        left = max(-start, 0)
        yield torch.from_numpy(np.pad(part, (left, size - left - len(part))))[None]
