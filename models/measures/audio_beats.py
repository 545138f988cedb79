"""The beats of a sound, as KDTalker's score finds them: by librosa's onsets, and the tracker of its version 0.10.

librosa 0.11 finds other beats for the same onsets, so a score made with it cannot be compared with KDTalker's. The
tracker (Ellis 2007) is therefore here, with 0.10's choices; onsets and tempo are librosa's own.
"""

from dataclasses import dataclass

import librosa
import numpy as np
from scipy.signal import convolve
from scipy.signal.windows import hann

RATE, HOP = 22050, 512
TIGHTNESS = 100.0
QUIET = 0.01  # of the highest score: what is before the first louder moment begins no beat


@dataclass(frozen=True)
class Beats:
    """onsets [frames] strength; frames [K] and seconds [K] of the beats; tempo in beats per minute."""

    onsets: np.ndarray
    frames: np.ndarray
    seconds: np.ndarray
    tempo: float


def audio_beats(wave: np.ndarray, official: bool = False) -> Beats:
    """A mono wave [T] at 22,050 Hz -> its beats, by the librosa that is installed.

    `official`: by the tracker of librosa 0.10, which KDTalker used.
    """
    onsets = librosa.onset.onset_strength(y=wave, sr=RATE, hop_length=HOP, aggregate=np.median)
    if not onsets.any():
        return Beats(onsets, np.zeros(0, int), np.zeros(0), 0.0)
    tempo = float(np.ravel(librosa.feature.tempo(onset_envelope=onsets, sr=RATE, hop_length=HOP))[0])
    if official:
        found = tracked(onsets, tempo, RATE / HOP)
    else:
        found = librosa.beat.beat_track(onset_envelope=onsets, sr=RATE, hop_length=HOP, bpm=tempo)[1]
    found = np.asarray(found, int)
    return Beats(onsets, found, np.asarray(librosa.frames_to_time(found, sr=RATE, hop_length=HOP)), tempo)


def tracked(onsets: np.ndarray, tempo: float, frames_per_second: float) -> np.ndarray:
    """Onset strength [n] and a tempo -> frames of the beats: the path whose steps are near the tempo's and whose
    onsets are strong (dynamic programming), without weak ends."""
    period = round(60.0 * frames_per_second / tempo)
    spread = onsets.std(ddof=1)
    around = np.exp(-0.5 * (np.arange(-period, period + 1) * 32.0 / period) ** 2)
    local = convolve(onsets / spread if spread > 0 else onsets, around, "same")
    before, score = best_paths(local, period)
    last = last_beat(score)
    path = [last]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    beats = np.array(path[::-1])
    strength = convolve(local[beats], hann(5), "same")
    strong = np.flatnonzero(strength > 0.5 * np.sqrt(np.square(strength).mean()))
    return beats[strong.min() : strong.max()] if len(strong) else beats[:0]


def best_paths(local: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    """For each frame the beat before it on the best path that ends there (negative: none), and that path's score."""
    before, score = np.full(len(local), -1), np.zeros(len(local))
    steps = np.arange(-2 * period, -int(np.round(period / 2)) + 1)
    cost = -TIGHTNESS * np.log(-steps / period) ** 2
    begun = False
    for frame, own in enumerate(local):
        places = frame + steps
        total = cost + np.where(places >= 0, score[np.maximum(places, 0)], 0)
        best = int(np.argmax(total))
        score[frame] = own + total[best]
        begun = begun or own >= QUIET * local.max()
        before[frame] = places[best] if begun else -1
    return before, score


def last_beat(score: np.ndarray) -> int:
    """The last frame at which the score is a maximum that is no less than half of their median."""
    peaks = np.zeros(len(score), bool)
    peaks[1:-1] = (score[1:-1] > score[:-2]) & (score[1:-1] >= score[2:])
    peaks[-1] = score[-1] > score[-2]
    return int(np.flatnonzero(peaks & (2 * score > np.median(score[peaks]))).max())
