"""How far two films of one size are apart, byte by byte: PSNR and L1, as they should be and as ACTalker's script
prints them."""

import math
from dataclasses import dataclass

import numpy as np

PEAK = 255.0


@dataclass
class PictureDistance:
    """Sums over pairs of frames [H,W,C] of bytes, given one after another.

    official: bytes are subtracted and squared as bytes, which wraps modulo 256, as in ACTalker's script.
    """

    official: bool = False
    squared: float = 0.0
    absolute: float = 0.0
    count: int = 0
    steps: float = 0.0
    step_count: int = 0

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Take the next pair."""
        a, b = (first, second) if self.official else (first.astype(np.int64), second.astype(np.int64))
        change, step = a - b, np.diff(a, axis=0) - np.diff(b, axis=0) ** 2
        self.squared += float((change**2).sum(dtype=np.int64))
        self.absolute += float(np.abs(change).sum(dtype=np.int64))
        self.steps += float(step.sum(dtype=np.int64))
        self.count, self.step_count = self.count + change.size, self.step_count + step.size

    @property
    def psnr(self) -> float:
        """Decibels of all pixels at once, not the mean of those of the frames; infinite for equal films."""
        mean = self.squared / self.count
        return math.inf if mean == 0 else 10 * math.log10(PEAK**2 / mean)

    @property
    def l1(self) -> float:
        """Mean of the absolute differences, 0 to 255."""
        return self.absolute / self.count

    @property
    def published_movie(self) -> float:
        """What ACTalker's script calls MOVIE: half of the mean square, and half of a difference between rows of which
        only the second film's is squared. It may be negative and says nothing of time; to compare with its figures."""
        return (self.squared / self.count + self.steps / self.step_count) / 2
