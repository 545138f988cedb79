"""Sounds that are no speech, made by rules: rooms, machines, knocks, sirens, breath, music. Mono at 16 kHz,
about unit power."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import cast

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

RATE = 16000
Sound = Callable[[int, np.random.Generator], np.ndarray]  # sound(samples, random) -> [samples]
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))


def unit(wave: np.ndarray) -> np.ndarray:
    """The wave without its mean, at a power of 1."""
    wave = wave - wave.mean()
    return wave / max(float(np.sqrt(np.square(wave).mean())), 1e-9)


def total(waves: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of at least one wave."""
    return reduce(np.add, waves)


def filtered(
    above: list[float] | np.ndarray, below: list[float] | np.ndarray, wave: np.ndarray
) -> np.ndarray:
    """A wave through the filter of two polynomials."""
    return cast(np.ndarray, lfilter(above, below, wave))


def passed(wave: np.ndarray, order: int, edges: float | tuple[float, float], kind: str) -> np.ndarray:
    """A wave through a Butterworth filter with edges in Hz."""
    return cast(np.ndarray, sosfilt(butter(order, edges, kind, fs=RATE, output="sos"), wave))


def wandering(count: int, seconds: float, random: np.random.Generator) -> np.ndarray:
    """[count] a smooth random track of about unit deviation that changes within `seconds`."""
    knots = np.arange(0, count + 2 * seconds * RATE, seconds * RATE)
    return np.interp(np.arange(count), knots, random.standard_normal(len(knots)))


def coloured_noise(count: int, random: np.random.Generator) -> np.ndarray:
    """Steady noise: power falls with frequency to the power of -0.5 (bright) to 2.5 (dark), with a random equaliser."""
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    knots = np.geomspace(40, 8000, 9)
    curve = np.interp(
        np.log(np.maximum(hertz, 40)), np.log(knots), random.normal(0, random.uniform(0, 5), len(knots))
    )
    gain = np.maximum(hertz, 30) ** (-random.uniform(-0.5, 2.5) / 2) * 10 ** (curve / 20)
    return unit(
        np.fft.irfft(
            gain * (random.standard_normal(len(hertz)) + 1j * random.standard_normal(len(hertz))), count
        )
    )


def wind(count: int, random: np.random.Generator) -> np.ndarray:
    """Noise that swells and fades, slowly or as fast as syllables do."""
    swell = np.exp(
        random.uniform(0.2, 1.2) * wandering(count, random.choice([0.1, 0.2, 0.4, 1.0, 2.0]), random)
    )
    return unit(coloured_noise(count, random) * swell)


def engine(count: int, random: np.random.Generator) -> np.ndarray:
    """Noise in even pulses, such as a motor, a printer, a train."""
    phase = np.cumsum(random.uniform(0.5, 30) * (1 + 0.05 * wandering(count, 0.5, random))) / RATE
    pulse = np.clip(np.sin(2 * np.pi * phase), 0, 1) ** random.uniform(0.3, 6)
    return unit(coloured_noise(count, random) * (pulse + random.uniform(0, 0.5)))


def hum(count: int, random: np.random.Generator) -> np.ndarray:
    """Mains hum or the tone of a fan with its overtones, over some noise."""
    base = random.choice([50.0, 60.0, random.uniform(40, 400)])
    time = np.arange(count) / RATE
    tones = total(
        random.random()
        / k ** random.uniform(0, 2)
        * np.sin(2 * np.pi * k * base * time + 7 * random.random())
        for k in range(1, int(random.integers(2, 20)))
    )
    return unit(unit(tones) + random.uniform(0, 0.5) * coloured_noise(count, random))


def siren(count: int, random: np.random.Generator) -> np.ndarray:
    """A gliding tone, alone or with overtones: siren, sweep, whistle, beeps."""
    low, high = np.sort(np.exp(random.uniform(np.log(120), np.log(4000), 2)))
    speed, shape = random.uniform(0.05, 6), random.integers(4)
    turn = (np.arange(count) / RATE * speed + random.random()) % 1
    way = (turn, 0.5 - 0.5 * np.cos(2 * np.pi * turn), np.abs(2 * turn - 1), (turn > 0.5).astype(float))[
        shape
    ]
    phase = 2 * np.pi * np.cumsum(low * (high / low) ** way) / RATE
    tone = total(
        np.sin(k * phase) / k ** random.uniform(0.5, 3) for k in range(1, int(random.integers(2, 9)))
    )
    if random.random() < 0.4:
        tone = tone * ((np.arange(count) / RATE * random.uniform(0.5, 8)) % 1 < random.uniform(0.2, 0.8))
    return unit(tone)


def knocks(count: int, random: np.random.Generator) -> np.ndarray:
    """Clicks, knocks, steps, keys, applause: short bursts at even or random times."""
    wave = np.zeros(count)
    rate = np.exp(random.uniform(np.log(0.5), np.log(60)))
    times = random.uniform(0, count, max(1, int(count / RATE * rate)))
    if random.random() < 0.3:
        times = np.arange(0, count, RATE / min(rate, 12)) + random.normal(
            0, 200, len(np.arange(0, count, RATE / min(rate, 12)))
        )
    np.add.at(wave, np.clip(times, 0, count - 1).astype(int), random.normal(0, 1, len(times)))
    length = int(RATE * random.uniform(0.002, 0.25))
    burst = coloured_noise(max(length, 64), random) * np.exp(
        -np.arange(max(length, 64)) / max(length, 64) * random.uniform(3, 9)
    )
    if random.random() < 0.4:
        burst = burst * np.sin(
            2 * np.pi * np.exp(random.uniform(np.log(60), np.log(3000))) * np.arange(len(burst)) / RATE
        )
    return unit(fftconvolve(wave, burst)[:count])


def breath(count: int, random: np.random.Generator) -> np.ndarray:
    """Breathing and rustling: soft bursts of bright noise."""
    wave, start = np.zeros(count), int(RATE * random.uniform(0, 1))
    while start < count:
        length = int(RATE * random.uniform(0.25, 1.4))
        puff = coloured_noise(length, random) * np.hanning(length) ** random.uniform(0.5, 2)
        part = min(length, count - start)
        wave[start : start + part] += puff[:part] * random.uniform(0.3, 1)
        start += length + int(RATE * random.uniform(0.2, 2))
    low = random.uniform(200, 1200)
    return unit(passed(wave, 2, (low, random.uniform(low + 800, 7000)), "band"))


def note(hertz: float, seconds: float, timbre: dict, random: np.random.Generator) -> np.ndarray:
    """One note: overtones with an envelope, or a plucked string (Karplus and Strong 1983)."""
    count = int(seconds * RATE)
    if timbre["plucked"]:
        period = max(2, int(RATE / hertz))
        line = np.zeros(count)
        line[:period] = random.uniform(-1, 1, min(period, count))
        loop = np.zeros(period + 2)
        loop[0], loop[period], loop[period + 1] = 1, -0.5 * timbre["ring"], -0.5 * timbre["ring"]
        return filtered([1.0], loop, line)
    time = np.arange(count) / RATE
    vibrato = timbre["vibrato"] * np.sin(2 * np.pi * 5.5 * time)
    phase = 2 * np.pi * hertz * np.cumsum(1 + vibrato) / RATE
    partials = [(k, a) for k, a in enumerate(timbre["partials"], 1) if k * hertz < 7800]
    tone = total(a * np.sin(k * phase) for k, a in partials) if partials else np.zeros(count)
    attack = np.clip(time / timbre["attack"], 0, 1)
    return tone * attack * np.exp(-time * timbre["decay"]) * np.clip((seconds - time) / 0.03, 0, 1)


def instrument(random: np.random.Generator) -> dict:
    """A timbre for `note`."""
    partials = random.random(int(random.integers(1, 16)))
    partials = partials / np.arange(1, len(partials) + 1) ** random.uniform(0.3, 2.2)
    return {
        "plucked": random.random() < 0.3, "ring": random.uniform(0.97, 0.999),
        "vibrato": random.choice([0, 0, 0.004, 0.01]),
        "partials": partials, "attack": random.choice([0.003, 0.02, 0.1]), "decay": random.choice([0, 1, 4]),
    }  # fmt: skip


def lead(pitches: np.ndarray, seconds: float, count: int, random: np.random.Generator) -> np.ndarray:
    """A tune on one unbroken tone that glides from note to note [hertz] of `seconds` each, such as a fiddle
    or a synthesiser."""
    index = np.minimum((np.arange(count) / RATE / seconds).astype(int), len(pitches) - 1)
    glide = max(1, int(RATE * random.uniform(0.005, 0.12)))
    path = np.convolve(np.log(pitches)[index], np.ones(glide) / glide, "same")
    vibrato = random.choice([0.0, 0.01, 0.025]) * np.sin(
        2 * np.pi * random.uniform(4, 7) * np.arange(count) / RATE
    )
    phase = np.cumsum(np.exp(path + vibrato)) / RATE
    strength = np.clip(0.6 + 0.5 * wandering(count, seconds, random), 0, 1)
    rests = np.repeat(random.random(len(pitches)) > 0.15, int(seconds * RATE))[:count]
    rests = np.convolve(np.pad(rests, (0, count - len(rests))), np.ones(200) / 200, "same")
    return unit(filtered([1.0], [1.0, -random.uniform(0, 0.9)], 2 * (phase % 1) - 1) * strength * rests)


def mixed_down(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Music through a pedal, a filter that opens and closes, and a room, each of them perhaps."""
    if random.random() < 0.3:
        wave = np.tanh(unit(wave) * random.uniform(0.5, 4))
    if random.random() < 0.4:
        low = np.exp(random.uniform(np.log(200), np.log(2500)))
        dull = passed(wave, 2, (low, min(3 * low, 7500)), "band")
        share = np.clip(0.5 + 0.5 * wandering(len(wave), random.choice([0.15, 0.4, 1.5]), random), 0, 1)
        wave = share * wave + (1 - share) * dull
    if random.random() < 0.5:
        tail = random.standard_normal(RATE) * np.exp(-np.arange(RATE) / (RATE * random.uniform(0.05, 0.4)))
        wave = unit(wave) + random.uniform(0.1, 0.8) * unit(fftconvolve(wave, tail)[: len(wave)])
    return unit(wave)


def drum(kind: int, random: np.random.Generator) -> np.ndarray:
    """A kick, a snare or a hat."""
    time = np.arange(int(RATE * 0.35)) / RATE
    if kind == 0:
        return 2 * np.sin(2 * np.pi * (50 * time + 4 * (1 - np.exp(-30 * time)))) * np.exp(-12 * time)
    hiss = random.standard_normal(len(time)) * np.exp(-time * (14 if kind == 1 else 50))
    if kind == 1:
        return hiss + np.sin(2 * np.pi * 190 * time) * np.exp(-18 * time)
    return passed(hiss, 2, 5000, "high")


def music(count: int, random: np.random.Generator) -> np.ndarray:
    """Chords, a tune, a bass and drums, each of them perhaps left out, in a random key, tempo and instrument."""
    beat, scale, root = (
        60 / random.uniform(60, 170),
        SCALES[random.integers(len(SCALES))],
        random.uniform(45, 57),
    )
    players = [(instrument(random), kind) for kind in ("chords", "tune", "bass") if random.random() < 0.7]
    drums, levels = random.random() < 0.6, random.uniform(0.2, 1, 4)
    wave = np.zeros(count + 4 * RATE)

    def play(sound: np.ndarray, at: float) -> None:
        start = int(at * RATE)
        if start < count:
            wave[start : start + len(sound)] += sound[: len(wave) - start]

    def pitch(step: int, octave: int) -> float:
        tone = root + scale[step % len(scale)] + 12 * (octave + step // len(scale))
        return 440 * 2 ** ((tone - 69) / 12)

    for bar in range(int(count / RATE / (4 * beat)) + 1):
        step = int(random.integers(7))
        for voice, (timbre, kind) in enumerate(players):
            tones = {"chords": (0, 2, 4), "tune": (0,), "bass": (0,)}[kind]
            lengths = {"chords": 4, "tune": random.choice([0.5, 1]), "bass": random.choice([1, 2])}[kind]
            for start in np.arange(0, 4, lengths):
                shift = int(random.integers(-3, 5)) if kind == "tune" else 0
                octave = {"chords": 0, "tune": 1, "bass": -1}[kind]
                for tone in tones:
                    sound = note(pitch(step + shift + tone, octave), lengths * beat, timbre, random)
                    play(levels[voice] * sound / max(np.abs(sound).max(), 1e-6), (4 * bar + start) * beat)
        for eighth in range(8 if drums else 0):
            kind = 0 if eighth in (0, 4) else 1 if eighth in (2, 6) else 2
            play(levels[3] * drum(kind, random), (4 * bar + eighth / 2) * beat)
    if random.random() < 0.35:
        length = beat * random.choice([0.5, 1, 2])
        tones = np.array(
            [pitch(int(random.integers(0, 14)), 0) for _ in range(int(count / RATE / length) + 2)]
        )
        wave[:count] += random.uniform(0.1, 0.6) * lead(tones, length, count, random)
    if not np.abs(wave[:count]).max() > 0:
        return coloured_noise(count, random)
    return mixed_down(wave[:count], random)


SOUNDS: dict[str, tuple[Sound, float]] = {
    "noise": (coloured_noise, 3.0), "wind": (wind, 2.0), "engine": (engine, 1.0), "hum": (hum, 1.0),
    "siren": (siren, 2.0),
    "knocks": (knocks, 1.5), "breath": (breath, 1.0), "music": (music, 6.0),
}  # fmt: skip


def other_sound(count: int, random: np.random.Generator) -> np.ndarray:
    """One of SOUNDS, or two of them together, [count] of unit power."""
    shares = np.array([share for _, share in SOUNDS.values()])
    makers = [make for make, _ in SOUNDS.values()]
    chosen = random.choice(len(makers), 1 if random.random() < 0.7 else 2, p=shares / shares.sum())
    return unit(total(random.uniform(0.3, 1) * makers[k](count, random) for k in chosen))
