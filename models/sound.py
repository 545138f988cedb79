"""Sound as speech networks take it."""

import librosa
import numpy as np
from torch import Tensor

RATE = 16000


def mono_16k(waveform: Tensor, sample_rate: int) -> np.ndarray:
    """[C,T] -> [T'] float32: the mean of the channels, resampled by soxr in its high quality."""
    wave = waveform.float().mean(0).numpy()
    return wave if sample_rate == RATE else librosa.resample(wave, orig_sr=sample_rate, target_sr=RATE, res_type="soxr_hq")
