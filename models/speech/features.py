"""Log-mel features of speech at 100 frames per second, computed block by block so that memory stays small."""

from collections.abc import Callable, Iterator

import numpy as np
from scipy.signal import resample_poly

RATE = 16000
HOP, WINDOW, FFT = 160, 400, 512
BANDS, LOWEST_HZ, HIGHEST_HZ = 40, 60.0, 7600.0
FRAME_RATE = RATE // HOP
BLOCK_SECONDS = 30
EDGE_SECONDS = 1  # context on both sides of a block, longer than any filter's memory
PRE_EMPHASIS = 0.97
SOFTEST, LOUDEST = -4, 3  # of normalised log-mel
VOICED_REACH, VOICED_RANGE = 9.0, 6.0  # natural logarithm of power: below the peaks, below the loud moments


def mel_filters() -> np.ndarray:
    """[BANDS, FFT/2+1] triangular filters, equally spaced on the mel scale 2595 log10(1 + f/700)."""

    def to_mel(hz: float) -> float:
        return 2595 * np.log10(1 + hz / 700)

    edges = 700 * (10 ** (np.linspace(to_mel(LOWEST_HZ), to_mel(HIGHEST_HZ), BANDS + 2) / 2595) - 1)
    bins = np.arange(FFT // 2 + 1) * RATE / FFT
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rise, fall), 0, None).astype(np.float32)


def frame_total(samples: int, sample_rate: int) -> int:
    """Feature frames of that many samples: one per started 10 ms."""
    return -(-samples * FRAME_RATE // sample_rate)


def log_mel_block(wave: np.ndarray, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of `count` frames whose first is centred 5 ms after sample `first` * HOP of a 16 kHz wave.

    Returns log-mel [count,BANDS] (natural log of power) and loudness [count] in dB of full scale, without any
    offset of the wave (a constant is silence).
    """
    frames, before = framed(wave, first, count)
    power = (
        np.abs(np.fft.rfft((frames - PRE_EMPHASIS * before) * np.hanning(WINDOW).astype(np.float32), FFT))
        ** 2
    )
    return np.log(power.astype(np.float32) @ mel_filters().T + 1e-7), loudness_of(frames)


def framed(wave: np.ndarray, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """[count,WINDOW] the samples of each frame, and the same one sample earlier."""
    start = first * HOP + HOP // 2 - WINDOW // 2
    padded = np.pad(wave, (max(0, -start) + 1, WINDOW + HOP * count))
    begin = start + max(0, -start)
    index = begin + HOP * np.arange(count)[:, None] + np.arange(WINDOW)
    return padded[index + 1], padded[index]


def loudness_of(frames: np.ndarray) -> np.ndarray:
    """Loudness [n] in dB of full scale of frames [n,WINDOW]."""
    return (10 * np.log10(frames.var(1) + 1e-10)).astype(np.float32)


def resampled_blocks(waveform: np.ndarray, sample_rate: int) -> Iterator[tuple[np.ndarray, int, int]]:
    """Blocks of a [C,T] wave as mono 16 kHz: (wave, index of the block's first frame in it, frames in the block)."""
    samples = waveform.shape[1]
    total = frame_total(samples, sample_rate)
    divisor = np.gcd(RATE, sample_rate)
    for first in range(0, total, BLOCK_SECONDS * FRAME_RATE):
        count = min(BLOCK_SECONDS * FRAME_RATE, total - first)
        left = min(EDGE_SECONDS, first // FRAME_RATE)
        begin = (first // FRAME_RATE - left) * sample_rate
        end = (first // FRAME_RATE + BLOCK_SECONDS + EDGE_SECONDS) * sample_rate
        piece = np.asarray(waveform[:, begin:end], np.float32).mean(0)
        if sample_rate != RATE:
            piece = resample_poly(piece, RATE // divisor, sample_rate // divisor).astype(np.float32)
        yield piece, left * FRAME_RATE, count


def feature_blocks(waveform: np.ndarray, sample_rate: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Log-mel [n,BANDS] and loudness [n] (dB of full scale) of a [C,T] wave of any rate, BLOCK_SECONDS at a time."""
    for wave, first, count in resampled_blocks(waveform, sample_rate):
        yield log_mel_block(wave, first, count)


def speech_features(
    waveform: np.ndarray, sample_rate: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> tuple[np.ndarray, np.ndarray]:
    """Log-mel [T,BANDS] and loudness [T] (dB of full scale) of a [C,T] wave of any rate, 100 frames per second."""
    mels, loudness = [], []
    total = frame_total(waveform.shape[1], sample_rate)
    for mel, level in feature_blocks(waveform, sample_rate):
        mels.append(mel)
        loudness.append(level)
        progress(sum(map(len, mels)), total)
    return np.concatenate(mels), np.concatenate(loudness)


def loudest(energy: np.ndarray, reach: float) -> float:
    """95th percentile of what is within `reach` of the peaks: long pauses do not lower it, clicks do not raise it."""
    return float(np.percentile(energy[energy >= np.percentile(energy, 99.9) - reach], 95))


def voiced_mean(mel: np.ndarray) -> np.ndarray:
    """[40] mean of each band over the voiced part: every frame whose mean log energy is within 6 (26 dB) of
    the loudest."""
    energy = mel.mean(1)
    return mel[energy > loudest(energy, VOICED_REACH) - VOICED_RANGE].mean(0)


def normalise(mel: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
    """Remove what is constant in a recording: each band minus its voiced mean (or a known one), in units of
    3, -4..3."""
    return np.clip((mel - (voiced_mean(mel) if mean is None else mean)) / 3, SOFTEST, LOUDEST).astype(
        np.float32
    )
