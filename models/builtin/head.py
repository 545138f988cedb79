"""The head of the built-in engine: postures that change with the phrases, nods and turns on stressed words, drift.

Everything is made at CLOCK from loudness and a seed, so any frame rate shows the same.
"""

import numpy as np
from scipy.signal import lfilter

from ..face_motion.blinks import CLOCK
from ..face_motion.procedural import noise, started
from .styles import HeadStyle

PAUSE_SECONDS = 0.3  # a shorter one ends no phrase
POSTURE_SECONDS = (1.8, 4.5)  # a posture is held for no longer
SPRING_HERTZ, SPRING_DAMPING = 0.75, 0.72  # a posture is reached within half a second, and a little overshot


def head_pose(
    beat: np.ndarray, gate: np.ndarray, style: HeadStyle, random: np.random.Generator
) -> np.ndarray:
    """Pose [T,3] (pitch, yaw, roll; degrees) from stress [T] (see beats) and how much is speech [T], at CLOCK."""
    starts = posture_starts(gate, random)
    held = np.searchsorted(starts, np.arange(len(beat)), side="right")
    count = len(starts) + 1
    postures = np.clip(random.standard_normal((count, 3)), -1.8, 1.8)
    postures[0] = 0  # the photo's own
    side = np.where(random.random((count, 2)) < 0.5, -1.0, 1.0)
    ways = np.concatenate([np.ones((len(beat), 1)), settled(side[held])], 1)
    drift = np.stack([noise(len(beat), hertz, random) for hertz in (0.25, 0.22, 0.18)], 1)
    pose = settled(postures[held] * style.posture) + drift * style.drift + beat[:, None] * ways * style.stress
    return pose * started(len(beat))[:, None]


def posture_starts(gate: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Ticks at which the head takes another posture: where a phrase starts or ends, and when it was held for long."""
    speaks = gate > 0.5
    changes = np.flatnonzero(np.diff(speaks)) + 1
    changes = changes[np.diff(changes, append=len(gate) + CLOCK) >= PAUSE_SECONDS * CLOCK]
    starts, now = [], 0.0
    while now < len(gate):
        due = now + CLOCK * random.uniform(*POSTURE_SECONDS)
        early = np.searchsorted(changes, now + 0.6 * CLOCK, side="right")
        now = float(changes[early]) if early < len(changes) and changes[early] < due else due
        starts.append(now)
    return np.array(starts)


def settled(targets: np.ndarray) -> np.ndarray:
    """Targets [T,K] as a head follows them: a spring with damping, from rest."""
    above, below = spring()
    return np.asarray(lfilter(above, below, targets, axis=0))


def spring() -> tuple[list[float], list[float]]:
    """Its filter."""
    omega = 2 * np.pi * SPRING_HERTZ / CLOCK
    drag = 2 * SPRING_DAMPING * omega
    return [omega**2], [1 + drag + omega**2, -(2 + drag), 1.0]
