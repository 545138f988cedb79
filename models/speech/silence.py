"""When the mouth rests: where nobody speaks, and where speech is so much quieter than its loud moments that
it is none."""

import numpy as np
from scipy.ndimage import gaussian_filter1d, grey_closing

from .features import FRAME_RATE, loudest

SILENCE_FLOOR_DB = -62.0  # of full scale: quieter than this is silence whatever the setting says
LOUD_REACH_DB = 39.0  # what is quieter than the peaks by more than this does not count as speech
GATE_SOFTNESS_DB = 6.0
# frames: a shorter silence is part of a word, such as the one inside p, t and k
BRIDGED = int(0.2 * FRAME_RATE)
SMOOTHING = 0.03 * FRAME_RATE
GATE_REACH = BRIDGED + int(4 * SMOOTHING)  # frames on both sides that the gate of a moment depends on
DOUBT = (0.2, 0.6)  # probability of speech from which it may be some, and from which it is


def within(track: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to `low`, 1 from `high`, straight in between."""
    return np.clip((track - low) / (high - low), 0, 1)


def speech_gate(loudness: np.ndarray, loud: float, threshold: float, spoken: np.ndarray) -> np.ndarray:
    """Gate [T] (0 silent, 1 speech) from loudness [T] and its loud moments (dB of full scale), and from
    `spoken` [T] 0..1, which is not bridged: who hears that nobody speaks knows p, t and k."""
    edge = max(loud + threshold, SILENCE_FLOOR_DB)
    heard = np.clip((loudness - edge) / GATE_SOFTNESS_DB + 0.5, 0, 1)
    bridged = spoken * grey_closing(heard, BRIDGED, mode="nearest")
    return gaussian_filter1d(bridged, SMOOTHING).astype(np.float32)


def silence_gate(
    loudness: np.ndarray, threshold: float, spoken: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of a whole clip's loudness [T] in dB of full scale: gate [T], and level [T] in 0..1 below the loudest speech.

    spoken [T] 0..1: whether it is speech; without it all sound is taken for speech.
    """
    spoken = np.ones(len(loudness), np.float32) if spoken is None else spoken
    loud = loudest(loudness[spoken > 0.5], LOUD_REACH_DB) if (spoken > 0.5).any() else -np.inf
    if loud <= SILENCE_FLOOR_DB:
        return np.zeros(len(loudness), np.float32), np.zeros(len(loudness), np.float32)
    return speech_gate(loudness, loud, threshold, spoken), relative_level(loudness, loud)


def relative_level(loudness: np.ndarray, loud: float) -> np.ndarray:
    """[T] 0..1 below the loud moments of a voice; both in dB of full scale."""
    return np.clip((loudness - loud) / 30 + 1, 0, 1).astype(np.float32)
