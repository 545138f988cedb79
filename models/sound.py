"""Sound as speech networks take it."""

import numpy as np
from torch import Tensor

RATE = 16000


def mono(waveform: Tensor, sample_rate: int, rate: int = RATE) -> np.ndarray:
    """[C,T] -> [T'] float32 at `rate` Hz: the mean of the channels, resampled by soxr in its high quality."""
    wave = waveform.float().mean(0).numpy()
    if sample_rate == rate:
        return wave
    import librosa  # the built-in engine needs no such package

    return librosa.resample(wave, orig_sr=sample_rate, target_sr=rate, res_type="soxr_hq")
