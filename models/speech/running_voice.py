"""What is usual for a voice so far, kept in a fixed amount of memory: its mean spectrum, and how loud its
loud moments are.

The running form of `voiced_mean` and `loudest` (speech_features.py): counts by energy stand for the frames
themselves, so that what counts as loud is decided anew as more is heard.
"""

import numpy as np

from .features import BANDS, FRAME_RATE, VOICED_RANGE, VOICED_REACH
from .silence import LOUD_REACH_DB

ENERGY_FLOOR, ENERGY_STEP, ENERGY_BINS = -17.0, 0.25, 112  # natural logarithm of power
LOUDNESS_FLOOR, LOUDNESS_STEP, LOUDNESS_BINS = -101.0, 0.5, 220  # dB of full scale
HALF_LIFE = 30.0  # seconds of speech after which what was heard counts half
TRUST_LEVEL, TRUST_SHAPE = 3.0, 15.0  # frames of speech that the usual level and spectrum below count for
USUAL_LEVEL = -5.5  # mean of the log-mel of ordinary speech whose loud moments are at -23 dB of full scale
# Mean log-mel of the loud moments of 280 clips of the training voices (training/speech_net/corpus.py), band
# by band, less its own mean.
USUAL_SHAPE = np.array([
    -1.3, 0.1, 0.6, 0.7, 0.9, 1.2, 1.2, 1.0, 0.4, -0.2, -0.6, -0.9, -1.1, -1.0, -0.8, -0.8, -0.6, -0.5, -0.5,
    -0.5,
    -0.5, -0.3, 0.2, 0.8, 1.1, 1.0, 1.1, 1.4, 1.5, 1.4, 1.0, 0.4, -0.2, -0.6, -0.8, -1.1, -1.1, -0.8, -0.7,
    -1.0,
])  # fmt: skip


def places(values: np.ndarray, floor: float, step: float, bins: int) -> np.ndarray:
    """Number of the bin that each value falls into."""
    return np.clip(((values - floor) / step).astype(int), 0, bins - 1)


def loud_place(counts: np.ndarray, reach: float) -> int:
    """Bin of the 95th percentile of what is within `reach` bins of the peaks, as `loudest` has it."""
    total = np.cumsum(counts)
    peak = int(np.searchsorted(total, 0.999 * total[-1]))
    near = np.where(np.arange(len(counts)) >= peak - reach, counts, 0)
    return int(np.searchsorted(np.cumsum(near), 0.95 * near.sum()))


class RunningVoice:
    """Tell it what was heard, ask what is usual. What is old counts less; what is no speech does not count."""

    def __init__(self) -> None:
        # by mean log energy: sum of log-mel, number of frames
        self.bands = np.zeros((ENERGY_BINS, BANDS + 1))
        self.levels = np.zeros(LOUDNESS_BINS)

    def hear(self, mel: np.ndarray, loudness: np.ndarray, spoken: np.ndarray) -> None:
        """Log-mel [T,40], loudness [T] in dB of full scale, and how much of it is speech [T] 0..1."""
        keep = 0.5 ** (float(spoken.sum()) / FRAME_RATE / HALF_LIFE)
        rows = np.concatenate([mel, np.ones((len(mel), 1))], 1) * spoken[:, None]
        bands, levels = self.bands * keep, self.levels * keep
        np.add.at(bands, places(mel.mean(1), ENERGY_FLOOR, ENERGY_STEP, ENERGY_BINS), rows)
        np.add.at(levels, places(loudness, LOUDNESS_FLOOR, LOUDNESS_STEP, LOUDNESS_BINS), spoken)
        self.bands, self.levels = bands, levels  # new ones, so that a copy of this object keeps its own

    @property
    def loudest(self) -> float:
        """Loudness of the loud moments in dB of full scale; minus infinity before any speech."""
        if not self.levels.any():
            return -np.inf
        return LOUDNESS_FLOOR + LOUDNESS_STEP * (loud_place(self.levels, LOUD_REACH_DB / LOUDNESS_STEP) + 0.5)

    @property
    def mean(self) -> np.ndarray:
        """[40] mean of each band over the loud moments; of voices in general as long as little is known."""
        counts = self.bands[:, -1]
        if not counts.any():
            return (USUAL_LEVEL + USUAL_SHAPE).astype(np.float32)
        least = loud_place(counts, VOICED_REACH / ENERGY_STEP) - VOICED_RANGE / ENERGY_STEP
        *total, count = self.bands[max(0, int(np.ceil(least))) :].sum(0)
        mean = np.array(total) / count
        level = (count * mean.mean() + TRUST_LEVEL * USUAL_LEVEL) / (count + TRUST_LEVEL)
        shape = (count * (mean - mean.mean()) + TRUST_SHAPE * USUAL_SHAPE) / (count + TRUST_SHAPE)
        return (level + shape).astype(np.float32)
