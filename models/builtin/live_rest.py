"""What the speech does not spell out, for a voice that comes in pieces: head, gaze, brows and breath of
rest_of_face.py, drawn as time goes on and never by what is still to come. Nobody swallows: that takes knowing that a
silence goes on."""

import numpy as np
from scipy.signal import lfilter

from ..engine import MotionSettings
from ..face_motion.blinks import CLOCK
from ..face_motion.gaze import (
    COUNTER,
    DEGREES,
    ON_FACE,
    ON_FACE_SECONDS,
    SILENT,
    SPEAKING,
    Habit,
    look_away,
    saccade_seconds,
)  # fmt: skip
from ..face_motion.procedural import noise_kernel, started
from ..face_motion.smooth import smoothstep
from . import idle
from .head import PAUSE_SECONDS, POSTURE_SECONDS, spring
from .rest_of_face import BROWS, GAZE, HEAD, IDLE, RestOfFace
from .styles import HeadStyle

FAST, SLOW = 0.12, 0.5  # seconds over which loudness is averaged: a beat is louder than what was around it


class RunningNoise:
    """The noise of procedural.noise, drawn as time goes on."""

    def __init__(self, hertz: float, random: np.random.Generator):
        self.kernel, self.random = noise_kernel(hertz), random
        self.white = random.standard_normal(len(self.kernel) - 1)

    def take(self, count: int) -> np.ndarray:
        """The next [count] ticks."""
        self.white = np.concatenate([self.white, self.random.standard_normal(count)])
        smooth = np.convolve(self.white, self.kernel, "valid")
        self.white = self.white[count:]
        return 2 * np.tanh(smooth / 2)


class Running:
    """A filter of the ticks [n,K] that come, from rest, which goes on where it stopped."""

    def __init__(self, above: list[float], below: list[float], width: int):
        self.above, self.below = above, below
        self.state = np.zeros((len(below) - 1, width))

    def push(self, track: np.ndarray) -> np.ndarray:
        """The next ticks, filtered."""
        out, self.state = lfilter(self.above, self.below, track, axis=0, zi=self.state)
        return np.asarray(out)


def average(seconds: float) -> Running:
    """The mean of one track over about so many seconds before each tick."""
    keep = float(np.exp(-1 / (seconds * CLOCK)))
    return Running([1 - keep], [1.0, -keep], 1)


class LivePostures:
    """Where the head turns to: another posture where a phrase starts or ends, and when one was held for long."""

    def __init__(self, style: HeadStyle, random: np.random.Generator):
        self.style, self.random = style, random
        self.posture, self.side = np.zeros(3), np.ones(2)
        self.speaks, self.steady = False, 0.0
        self.held, self.due = 0.0, random.uniform(*POSTURE_SECONDS)
        self.turning, self.siding = Running(*spring(), 3), Running(*spring(), 2)

    def push(self, gate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How much is speech [n] -> posture [n,3] in degrees, and the sides [n,2] to which stress turns the head."""
        postures, sides = [], []
        for speaks in (gate > 0.5).tolist():
            changed = speaks != self.speaks and self.steady >= PAUSE_SECONDS
            self.steady = self.steady + 1 / CLOCK if speaks == self.speaks else 0.0
            self.speaks, self.held = speaks, self.held + 1 / CLOCK
            if changed and self.held > 0.6 or self.held >= self.due:
                drawn = np.clip(self.random.standard_normal(3), -1.8, 1.8)
                self.posture = drawn * self.style.posture
                self.side = np.where(self.random.random(2) < 0.5, -1.0, 1.0)
                self.held, self.due = 0.0, self.random.uniform(*POSTURE_SECONDS)
            postures.append(self.posture)
            sides.append(self.side)
        return self.turning.push(np.array(postures)), self.siding.push(np.array(sides))


class LiveGaze:
    """Fixations and saccades as those of gaze.py, but that they wait for no blink."""

    def __init__(self, random: np.random.Generator):
        self.random, self.time = random, 0.0
        self.start, self.place, self.before = 0.0, np.zeros(2), np.zeros(2)
        self.away, self.leave = False, SPEAKING.at * random.gamma(3.0, 1 / 3)
        self.next = random.uniform(*ON_FACE_SECONDS)

    def push(self, gate: np.ndarray) -> np.ndarray:
        """[n,2] degrees where the eyes look, were the head still."""
        return np.array([self._tick(SPEAKING if speaks else SILENT) for speaks in (gate > 0.5).tolist()])

    def _tick(self, habit: Habit) -> np.ndarray:
        if self.time >= self.leave:
            self.away = not self.away
            stay = habit.away if self.away else habit.at
            self._look(look_away(self.random) if self.away else np.zeros(2))
            self.leave = self.time + stay * self.random.gamma(3.0, 1 / 3)
            self.next = self.time + self.random.uniform(*ON_FACE_SECONDS)
        elif not self.away and self.time >= self.next and self.time < self.leave - ON_FACE_SECONDS[0]:
            self._look(ON_FACE * self.random.standard_normal(2) * (1.0, 0.6))
            self.next = self.time + self.random.uniform(*ON_FACE_SECONDS)
        self.time += 1 / CLOCK
        return self._now()

    def _look(self, place: np.ndarray) -> None:
        self.before, self.place, self.start = self._now(), place, self.time

    def _now(self) -> np.ndarray:
        share = smoothstep(np.array((self.time - self.start) / saccade_seconds(self.before, self.place)))
        return self.before + (self.place - self.before) * share


class LiveRest:
    """Push loudness and gate, get the rest of the face of those ticks."""

    def __init__(self, style: HeadStyle, settings: MotionSettings, seed: int):
        streams = {kind: np.random.default_rng([seed, kind]) for kind in (HEAD, GAZE, IDLE, BROWS)}
        self.style, self.settings, self.ticks = style, settings, 0
        self.fast, self.slow = average(FAST), average(SLOW)
        self.postures, self.gaze = LivePostures(style, streams[HEAD]), LiveGaze(streams[GAZE])
        self.drift = [RunningNoise(hertz, streams[HEAD]) for hertz in (0.25, 0.22, 0.18)]
        self.shift = [RunningNoise(hertz, streams[HEAD]) for hertz in (0.2, 0.25)]
        self.pace, self.depth, self.smile = (RunningNoise(hertz, streams[IDLE]) for hertz in (0.1, 0.1, 0.12))
        self.brows = [RunningNoise(hertz, streams[BROWS]) for hertz in (0.3, 0.08)]
        self.phase = float(streams[IDLE].random())

    def push(self, level: np.ndarray, gate: np.ndarray) -> RestOfFace:
        """Loudness [n] and how much is speech [n], 0..1, of the next ticks."""
        count, life, amounts = len(level), self.settings.life_amount, self.settings
        ramp = started(count, self.ticks)
        stress = (level * gate)[:, None]
        beat = (self.fast.push(stress) - self.slow.push(stress))[:, 0]
        breath = life * ramp * self._breath(count)
        postures, sides = self.postures.push(gate)
        ways = np.concatenate([np.ones((count, 1)), sides], 1)
        drift = np.stack([noise.take(count) for noise in self.drift], 1)
        pose = ramp[:, None] * (
            postures + drift * self.style.drift + beat[:, None] * ways * self.style.stress
        )
        pose[:, 0] += idle.BREATH_PITCH * breath
        shift = np.stack([noise.take(count) for noise in self.shift], 1) * (0.008, 0.005)
        shift[:, 1] += 0.008 * beat + idle.BREATH_RISE * breath
        pose, shift = amounts.head_amount * pose, amounts.head_amount * ramp[:, None] * shift
        gaze = np.clip((self.gaze.push(gate) + COUNTER * pose[:, 1::-1]) / DEGREES, -1, 1)
        quick, slow = (noise.take(count) for noise in self.brows)
        brow = amounts.brow_amount * (1.5 * beat.clip(0) + 0.1 * quick)
        controls = {
            "gazeX": amounts.gaze_amount * gaze[:, 0],
            "gazeY": amounts.gaze_amount * gaze[:, 1],
            "browInnerUp": ramp * (brow + life * idle.BROW * slow),
            "mouthSmile": ramp * life * idle.SMILE * self.smile.take(count),
        }
        self.ticks += count
        return RestOfFace(pose, shift, controls)

    def _breath(self, count: int) -> np.ndarray:
        """As idle.breath."""
        steps = idle.BREATHS_HERTZ * (1 + 0.15 * self.pace.take(count)) / CLOCK
        turns = self.phase + np.cumsum(steps)
        self.phase = float(turns[-1]) % 1 if count else self.phase
        phase = 2 * np.pi * turns
        return np.sin(phase + 0.4 * np.sin(phase)) * (1 + 0.2 * self.depth.take(count))
