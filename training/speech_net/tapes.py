"""Tapes of 10 s to train hearing on: clips in a row, with pauses, through rooms, music, noise, telephones and breath.

A clip is an .npz of training/speech_net/corpus.py, neural_voices.py or recorded_voices.py.
"""

from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from ...models.speech.features import FRAME_RATE, RATE
from .hearings import SPEEDS, revoice
from .ipa import Segment
from .labels import label_tracks, segments_of
from .other_sounds import breath, coloured_noise, music, other_sound, passed, unit

SECONDS = 10.0
EMPTY, CLEAN = 0.15, 0.15  # shares of the tapes without any speech, and without any harm
PLAYED = 0.35  # share of the sounds without speech that are recordings of music
CHANCES = {
    "breath": 0.35, "equaliser": 0.5, "room": 0.45, "music": 0.35, "other": 0.15, "babble": 0.06, "noise": 0.6,
    "codec": 0.3, "clipping": 0.1, "revoiced": 0.12, "sped": 0.6,
}  # fmt: skip
QUIETEST = -45.0  # dB of full scale, of a tape's loudest sample


def read_clips(folder: Path, split: str = "train", without: tuple[str, ...] = ()) -> list[dict]:
    """The clips of a split, but for the voices `without`."""
    return [
        dict(np.load(path))
        for path in sorted(folder.glob(f"{split}_*.npz"))
        if path.stem.split("_")[1] not in without
    ]


def power(wave: np.ndarray) -> float:
    """Root mean square of the loud part of a wave."""
    loud = np.abs(wave) > 0.02 * max(float(np.abs(wave).max()), 1e-6)
    return max(float(np.sqrt(np.square(wave[loud]).mean())) if loud.any() else 0.0, 1e-6)


def spoken(clip: dict, random: np.random.Generator) -> tuple[np.ndarray, list[Segment]]:
    """A clip of unit power at another speed, now and then from another throat."""
    speed = int(random.choice(SPEEDS)) if random.random() < CHANCES["sped"] else 100
    wave = clip["wave"].astype(np.float32) / 32768
    if speed != 100:
        wave = resample_poly(wave, 100, speed)
    if random.random() < CHANCES["revoiced"]:
        wave = revoice(wave, random)
    stretch = 100 / speed
    return wave / power(wave), [(name, a * stretch, b * stretch) for name, a, b in segments_of(clip)]


def laid_out(clips: list[dict], random: np.random.Generator) -> tuple[np.ndarray, list[Segment]]:
    """Clips in a row on an empty tape: wave [T], and segments that fill it, `sil` between the clips."""
    tape, parts, time = np.zeros(int(SECONDS * RATE)), [], 0.0
    while time < SECONDS - 0.5:
        pause = random.uniform(0, 0.15 if random.random() < 0.5 else 1.2)
        parts.append(("sil", time, time + pause))
        time += pause
        if time >= SECONDS:
            break
        wave, said = spoken(clips[random.integers(len(clips))], random)
        start = int(time * RATE)
        heard = wave[: len(tape) - start]
        tape[start : start + len(heard)] += heard * 10 ** (random.normal(0, 2) / 20)
        parts += [(name, time + a, time + b) for name, a, b in said]
        time += len(wave) / RATE
    return tape, [part for part in parts if part[1] < SECONDS]


def breathe(tape: np.ndarray, parts: list[Segment], random: np.random.Generator) -> None:
    """Add breaths to pauses of more than 0.25 s."""
    for name, start, end in parts:
        first, last = int((start + 0.04) * RATE), int((min(end, SECONDS) - 0.04) * RATE)
        if name == "sil" and last - first > RATE // 5 and random.random() < 0.8:
            puff = breath(last - first, random)
            tape[first:last] += puff * 10 ** (-random.uniform(8, 30) / 20)


def room(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Echo that fades by 60 dB within 0.12 to 0.9 s."""
    fading = random.uniform(0.12, 0.9)
    count = int(fading * 1.2 * RATE)
    tail = random.standard_normal(count) * 10 ** (-3 * np.arange(count) / RATE / fading)
    if random.random() < 0.5:
        tail = passed(tail, 1, random.uniform(1500, 6000), "low")
    tail[: int(random.uniform(0.001, 0.015) * RATE)] = 0
    tail *= random.uniform(0.1, 1.0) / np.sqrt(np.square(tail).sum())
    tail[0] += 1
    return fftconvolve(wave, tail)[: len(wave)]


def telephone(wave: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A narrow band in 8 bits of mu-law, or a low-pass filter alone."""
    if random.random() < 0.5:
        return passed(wave, 6, random.uniform(3000, 6000), "low")
    narrow = passed(wave, 4, (random.uniform(150, 350), random.uniform(2800, 3600)), "band")
    narrow = narrow / max(float(np.abs(narrow).max()), 1e-6) * 0.9
    coded = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    return np.sign(coded) * (256 ** np.abs(coded) - 1) / 255


def excerpt(track: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """A part of a recording at a speed of 0.85 to 1.2, of unit power."""
    speed = random.uniform(0.85, 1.2)
    length = int(count * speed) + 2
    first = random.integers(max(1, len(track) - length))
    part = track[first : first + length]
    return unit(np.interp(np.arange(count) * speed, np.arange(len(part)), part))


def harmed(
    tape: np.ndarray, clips: list[dict], tracks: list[np.ndarray], random: np.random.Generator
) -> np.ndarray:
    """A tape of unit power through everything that happens to recordings, each by chance. tracks: real music."""

    def happens(name: str) -> bool:
        return random.random() < CHANCES[name]

    def below(low: float, high: float) -> float:
        return 10 ** (-random.uniform(low, high) / 20)

    if happens("equaliser"):
        taps = random.standard_normal(9) * 0.4 * np.exp(-np.arange(9) / 3)
        taps[0] += 1
        tape = np.convolve(tape, taps)[: len(tape)]
    if happens("room"):
        tape = room(tape, random)
    count = len(tape)
    if happens("music"):
        real = len(tracks) > 0 and random.random() < 0.6
        played = (
            excerpt(tracks[random.integers(len(tracks))], count, random) if real else music(count, random)
        )
        tape = tape + played * below(2, 25)
    if happens("other"):
        tape = tape + other_sound(count, random) * below(5, 30)
    if happens("babble"):
        voices = [clips[random.integers(len(clips))]["wave"].astype(np.float32) for _ in range(4)]
        tape = tape + unit(np.sum([np.resize(voice / power(voice), count) for voice in voices], 0)) * below(
            8, 25
        )
    if happens("noise"):
        tape = tape + coloured_noise(count, random) * below(5, 45)
    if happens("codec"):
        tape = telephone(tape, random)
    if happens("clipping"):
        peak = float(np.abs(tape).max()) / random.uniform(1.2, 5)
        tape = np.clip(tape, -peak, peak)
    return tape


def make_tape(
    clips: list[dict], tracks: list[np.ndarray], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Wave [160000] float32 at 16 kHz, and viseme classes [1000] at 100 Hz."""
    count, empty = int(SECONDS * RATE), random.random() < EMPTY
    tape, parts = (np.zeros(count), []) if empty else laid_out(clips, random)
    if empty and random.random() < 0.8:
        played = len(tracks) > 0 and random.random() < PLAYED
        tape = (
            excerpt(tracks[random.integers(len(tracks))], count, random)
            if played
            else other_sound(count, random)
        )
    if empty or random.random() > CLEAN:
        if random.random() < CHANCES["breath"]:
            breathe(tape, parts or [("sil", 0.0, SECONDS)], random)
        tape = harmed(tape, clips, tracks, random)
    tape = tape + random.standard_normal(count) * 10 ** (-random.uniform(50, 80) / 20)
    tape = tape * 10 ** (random.uniform(QUIETEST, 0) * random.random() / 20) / np.abs(tape).max()
    classes, _ = label_tracks(parts, int(SECONDS * FRAME_RATE))
    return tape.astype(np.float32), classes.astype(np.int8)
