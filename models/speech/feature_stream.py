"""Log-mel features of a wave that comes in pieces: the same as those of the whole wave, however it is cut."""

import numpy as np

from .features import HOP, RATE, WINDOW, log_mel_block

EDGE = (WINDOW - HOP) // 2  # samples behind a frame's own 10 ms that it needs
KEPT = 2  # frames of sound before the next one that its window reaches back to
Features = tuple[np.ndarray, np.ndarray]  # log-mel [n,40], loudness [n] in dB of full scale


class FeatureStream:
    """Push 16 kHz mono samples, get the features of the 10 ms whose surroundings have come."""

    def __init__(self) -> None:
        self.wave = np.zeros(0, np.float32)  # from at most KEPT frames before the next one on
        self.heard = 0

    @property
    def look_ahead(self) -> float:
        """Seconds of sound behind a frame's start that must have come."""
        return (HOP + EDGE) / RATE

    def push(self, wave: np.ndarray) -> Features:
        """The next samples [n] -> the features that are ready; ValueError unless it is one row of finite numbers."""
        wave = np.asarray(wave, np.float32)
        if wave.ndim != 1 or not np.isfinite(wave).all():
            raise ValueError(
                f"live sound has shape {wave.shape}; one row of finite samples at 16 kHz is needed."
            )
        self.wave = np.concatenate([self.wave, wave])
        return self._features((len(self.wave) - self._lead() - EDGE) // HOP)

    def finish(self) -> Features:
        """The features of what is left; a started 10 ms makes a frame."""
        return self._features(-(-(len(self.wave) - self._lead()) // HOP))

    def _lead(self) -> int:
        """Samples kept before the next frame's first."""
        return min(self.heard, KEPT) * HOP

    def _features(self, count: int) -> Features:
        features = log_mel_block(self.wave, self._lead() // HOP, max(count, 0))
        if count > 0:
            keep = self.heard + count - min(self.heard + count, KEPT)
            self.wave = self.wave[self._lead() + (keep - self.heard) * HOP :]
            self.heard += count
        return features
