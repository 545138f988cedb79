"""What happens to recordings, and sounds that are no speech, to measure hearing with (benchmarks/hearing.py).

None of these rules is one of those that the networks were trained on (training/speech_net/tapes.py, other_sounds.py).
"""

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

RATE = 16000


def unit(wave: np.ndarray) -> np.ndarray:
    """The wave at a power of 1."""
    return wave / max(float(wave.std()), 1e-9)


def loudly(wave: np.ndarray, decibels: float) -> np.ndarray:
    """The wave at a power of so many dB of full scale."""
    return unit(wave) * 10 ** (decibels / 20)


def with_sound(wave: np.ndarray, sound: np.ndarray, below: float) -> np.ndarray:
    """Speech with a sound whose power is so many dB below that of its loud parts."""
    loud = wave[np.abs(wave) > 0.05 * np.abs(wave).max()]
    return wave + unit(np.resize(sound, len(wave))) * float(loud.std()) * 10 ** (-below / 20)


def pink(count: int, seed: int = 0) -> np.ndarray:
    """Noise whose power falls with frequency."""
    random, hertz = np.random.default_rng(seed), np.fft.rfftfreq(count, 1 / RATE)
    spectrum = random.normal(size=len(hertz)) + 1j * random.normal(size=len(hertz))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 40)), count)


def echo(wave: np.ndarray, fading: float = 0.4) -> np.ndarray:
    """A room whose echo falls by 60 dB within `fading` seconds, as loud as the voice itself."""
    count = int(fading * RATE)
    tail = np.random.default_rng(4).standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    tail[: RATE // 200] = 0
    tail /= np.sqrt(np.square(tail).sum())
    tail[0] = 1
    return fftconvolve(wave, tail)[: len(wave)]


def telephone(wave: np.ndarray) -> np.ndarray:
    """300 to 3400 Hz in 8 bits of mu-law."""
    narrow = np.asarray(sosfilt(butter(4, (300, 3400), "band", fs=RATE, output="sos"), wave))
    narrow = narrow / np.abs(narrow).max()
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.sign(coded) * (256 ** np.abs(coded) - 1) / 255 * 0.5


def chords_and_drums(count: int, seed: int = 0) -> np.ndarray:
    """Three-note chords with overtones over kicks and snares at 120 beats per minute."""
    random, beat = np.random.default_rng(seed), RATE // 2
    sound, time = np.zeros(count + 2 * beat), np.arange(beat) / RATE
    for start in range(0, count, beat):
        root = 220 * 2 ** (random.integers(-5, 6) / 12)
        for tone in (root, 1.26 * root, 1.5 * root):
            overtones = np.sum([np.sin(2 * np.pi * k * tone * time) / k**1.3 for k in range(1, 8)], 0)
            sound[start : start + beat] += overtones * np.exp(-2 * time)
        sound[start : start + beat] += 2 * np.sin(2 * np.pi * 60 * time) * np.exp(-15 * time)
        sound[start + beat // 2 : start + beat // 2 + beat] += (
            0.7 * random.normal(size=beat) * np.exp(-25 * time)
        )
    return sound[:count]


def breaths(count: int, seed: int = 0) -> np.ndarray:
    """A breath of 0.6 s every 2 s."""
    air = np.asarray(sosfilt(butter(2, (600, 4500), "band", fs=RATE, output="sos"), pink(count, seed)))
    place = np.arange(count) / RATE % 2.0
    return air * np.clip(np.sin(np.pi * place / 0.6), 0, 1) * (place < 0.6)


def applause(count: int, seed: int = 0) -> np.ndarray:
    """Many hands: 80 claps a second."""
    random = np.random.default_rng(seed)
    claps = np.zeros(count)
    np.add.at(claps, random.integers(0, count, 80 * count // RATE), random.normal(1, 0.4, 80 * count // RATE))
    clap = random.standard_normal(RATE // 50) * np.exp(-np.arange(RATE // 50) / 40)
    return fftconvolve(claps, clap)[:count]


def hum(count: int) -> np.ndarray:
    """Mains hum with two overtones."""
    time = np.arange(count) / RATE
    return np.sum([np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3)], 0)
