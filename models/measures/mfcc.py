"""Cepstra of speech as SyncNet was trained on them: those of python_speech_features 0.6, in float64."""

import numpy as np
from scipy.fft import dct

RATE = 16000
LENGTH, STEP = 400, 160  # samples of a window, and between windows: 25 and 10 ms
FFT, FILTERS, COEFFICIENTS = 512, 26, 13
PRE_EMPHASIS, LIFTER = 0.97, 22
LEAST = np.finfo(float).eps  # what stands for zero before a logarithm


def mfcc(samples: np.ndarray) -> np.ndarray:
    """int16 samples [T] at 16 kHz, not scaled to 1 -> [windows,13]; coefficient 0 is the log of the window's energy.

    ValueError if there is no sample.
    """
    wave = np.asarray(samples, np.float64)
    if not len(wave):
        raise ValueError("audio has no samples, so nothing can be heard in it.")
    wave = np.append(wave[0], wave[1:] - PRE_EMPHASIS * wave[:-1])
    count = 1 + max(0, -(-(len(wave) - LENGTH) // STEP))
    padded = np.zeros((count - 1) * STEP + LENGTH)
    padded[: min(len(wave), len(padded))] = wave[: len(padded)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, LENGTH)[::STEP]
    power = np.square(np.abs(np.fft.rfft(windows, FFT))) / FFT
    energy, bands = power.sum(1), power @ mel_filters().T
    whole = np.asarray(dct(np.log(above_zero(bands)), type=2, axis=1, norm="ortho"))
    cepstra = whole[:, :COEFFICIENTS].copy()
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * np.arange(COEFFICIENTS) / LIFTER)
    cepstra[:, 0] = np.log(above_zero(energy))
    return cepstra


def above_zero(values: np.ndarray) -> np.ndarray:
    """Zeros become the least number of float64 that 1 can be told from."""
    return np.where(values == 0, LEAST, values)


def mel_filters() -> np.ndarray:
    """[26,257] triangles, even on the mel scale from 0 to 8 kHz, with corners on whole bins."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, top, FILTERS + 2) / 2595) - 1)
    corners = np.floor((FFT + 1) * hertz / RATE).astype(int)
    filters = np.zeros((FILTERS, FFT // 2 + 1))
    for number, (left, middle, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        filters[number, left:middle] = (np.arange(left, middle) - left) / (middle - left)
        filters[number, middle:right] = (right - np.arange(middle, right)) / (right - middle)
    return filters
