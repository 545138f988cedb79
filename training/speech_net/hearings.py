"""Other voices, rooms and microphones for the training clips: every change that a hearing of a clip goes through.

`revoice` takes the voice out of a clip (linear prediction, 18 poles per 10 ms) and speaks it again with another throat:
a new pitch, formants moved by up to 18 % and sharper or flatter, darker or brighter, buzzier or breathier. The rest:
equalisers, rooms, telephone bands, clipping, noise.
"""

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from ...models.speech.features import FRAME_RATE, HOP, RATE, log_mel_block
from .labels import label_tracks, segments_of
from .other_sounds import filtered, passed

SPEEDS = (76, 84, 92, 100, 108, 118, 130)  # percent
POLES, SEGMENT, FFT = 18, 480, 1024
PITCH_HZ = (75.0, 260.0)


def levinson(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Linear prediction of each row: [F,P+1] autocorrelation -> coefficients [F,P+1] (first 1), residual power [F]."""
    order = correlation.shape[1] - 1
    filters, error = np.zeros_like(correlation), correlation[:, 0].copy()
    filters[:, 0] = 1
    for step in range(1, order + 1):
        reflection = -(filters[:, :step] * correlation[:, step:0:-1]).sum(1) / error
        filters[:, 1 : step + 1] += reflection[:, None] * filters[:, step - 1 :: -1][:, :step]
        error = error * np.clip(1 - reflection**2, 1e-6, None)
    return filters, error


def voicing(frames: np.ndarray) -> np.ndarray:
    """How periodic each row is, 0..1: highest autocorrelation at the lags of 60 to 400 Hz."""
    spectrum = np.abs(np.fft.rfft(frames, FFT)) ** 2
    spectrum[:, FFT // 16 :] = 0  # below 1 kHz
    correlation = np.fft.irfft(spectrum)[:, : RATE // 60]
    peak = correlation[:, RATE // 400 :].max(1) / (correlation[:, 0] + 1e-9)
    return np.clip((peak - 0.3) / 0.3, 0, 1)


def excitation(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pulses of a wandering pitch and some tilt, of unit power, and white noise of some power, both [count]."""
    knots = np.arange(0, count + RATE, RATE // 4)
    wander = np.interp(np.arange(count), knots, random.normal(0, 0.12, len(knots)))
    pitch = np.exp(random.uniform(*np.log(PITCH_HZ)) + wander)
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0)
    pulses = filtered([1.0], [1.0, -random.uniform(-0.4, 0.9)], pulses)
    return pulses / pulses.std(), random.standard_normal(count) * 10 ** (random.uniform(-8, 6) / 20)


def revoice(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same words from another throat, [T] -> [T] at 16 kHz."""
    padded = np.pad(wave, (SEGMENT // 2, SEGMENT + HOP))
    starts = np.arange(0, len(wave), HOP)
    window = np.hanning(SEGMENT)
    pieces = padded[starts[:, None] + np.arange(SEGMENT)] * window
    correlation = np.fft.irfft(np.abs(np.fft.rfft(pieces, FFT)) ** 2)[:, : POLES + 1]
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-6
    filters, error = levinson(correlation)
    response = np.abs(np.fft.rfft(filters * random.uniform(0.985, 1.0) ** np.arange(POLES + 1), FFT))
    power = (response**-2).mean(1, keepdims=True)
    response = response ** random.uniform(0.8, 1.35)
    response *= np.sqrt((response**-2).mean(1, keepdims=True) / power)
    bins = np.arange(FFT // 2 + 1)
    moved = np.clip(bins * random.uniform(0.84, 1.18), 0, FFT // 2)
    low = np.minimum(moved.astype(int), FFT // 2 - 1)
    response = response[:, low] * (1 - moved + low) + response[:, low + 1] * (moved - low)
    pulses, hiss = excitation(len(padded), random)
    voiced = voicing(pieces) * random.uniform(0.7, 1.0)
    index = starts[:, None] + np.arange(SEGMENT)
    source = (voiced[:, None] * pulses[index] + np.sqrt(1 - voiced[:, None] ** 2) * hiss[index]) * window
    spoken = np.fft.irfft(np.fft.rfft(source, FFT) * np.sqrt(error / SEGMENT)[:, None] / response)
    out = np.zeros(len(padded) + FFT)
    for start, piece in zip(starts, spoken, strict=True):
        out[start : start + FFT] += piece
    return out[SEGMENT // 2 : SEGMENT // 2 + len(wave)]


def through_air(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Equaliser, room, telephone band, clipping, noise and gain, each by chance."""
    if random.random() < 0.5:
        taps = random.standard_normal(9) * 0.4 * np.exp(-np.arange(9) / 3)
        taps[0] += 1
        wave = np.convolve(wave, taps)[: len(wave)]
    if random.random() < 0.3:
        tail = random.standard_normal(RATE // 4) * np.exp(
            -np.arange(RATE // 4) / (RATE * random.uniform(0.02, 0.08))
        )
        room = np.concatenate([[1.0], 0.15 * random.uniform(0.2, 1) * tail / np.sqrt(np.square(tail).sum())])
        wave = fftconvolve(wave, room)[: len(wave)]
    if random.random() < 0.15:
        wave = passed(wave, 4, (280, 3500), "band")
    if random.random() < 0.1:
        peak = np.abs(wave).max() / random.uniform(1.5, 6)
        wave = np.clip(wave, -peak, peak)
    level = np.sqrt(np.square(wave).mean())
    colour = random.standard_normal(len(wave))
    colour = np.cumsum(colour) if random.random() < 0.3 else colour
    colour -= colour.mean()
    wave = wave + colour / colour.std() * level * 10 ** (-random.uniform(10, 50) / 20)
    return wave * 10 ** (random.uniform(-20, 0) / 20) / max(np.abs(wave).max(), 1e-6)


def spoken(
    clip: dict, revoiced: float, random: np.random.Generator
) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """A clip at another speed, perhaps from another throat (chance `revoiced`), with silence around: wave, segments."""
    speed = int(random.choice(SPEEDS))
    wave = resample_poly(clip["wave"].astype(np.float32) / 32768, 100, speed)
    if random.random() < revoiced:
        wave = revoice(wave, random)
    before, after = random.uniform(0, 0.8, 2)
    wave = np.pad(wave, (int(before * RATE), int(after * RATE)))
    parts = [
        (name, start * 100 / speed + before, end * 100 / speed + before)
        for name, start, end in segments_of(clip)
    ]
    return wave, [("sil", 0.0, before), *parts, ("sil", parts[-1][2], len(wave) / RATE)]


def hearing(
    clip: dict, revoiced: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One hearing of a clip: log-mel [T,40], viseme class [T], articulation [T,6]; `revoiced`: chance of revoice."""
    wave, parts = spoken(clip, revoiced, random)
    wave = through_air(wave, random)
    frames = len(wave) * FRAME_RATE // RATE
    mel, _ = log_mel_block(wave.astype(np.float32), 0, frames)
    return mel, *label_tracks(parts, frames)
