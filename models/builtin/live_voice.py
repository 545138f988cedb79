"""The built-in engine on a voice that comes in pieces: push sound, get the frames that are final.

It hears through VisemeStream, to whose look-ahead the gate, the lips' smoothing and the speed limit add. What is usual
for the voice is taken from what was heard so far. However the sound is cut, the same frames come: everything happens in
blocks.
"""

import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..engine import MotionSettings, Speech
from ..face_motion import CONTROLS, FaceMotion
from ..face_motion.blinks import BLINK_SECONDS, CLOCK, Blinks, blink_track
from ..face_motion.time import joined
from ..speech.feature_stream import FeatureStream
from ..speech.features import BANDS
from ..speech.running_voice import RunningVoice
from ..speech.silence import DOUBT, GATE_REACH, SILENCE_FLOOR_DB, relative_level, speech_gate, within
from ..speech.sound import RATE, frame_count, mono
from ..speech.sound_stream import EDGE, Listening
from ..speech.viseme_stream import VisemeStream
from ..speech.visemes import SILENCE, VISEMES, articulation
from .live_rest import LiveRest
from .mouth import at_frames, limit_speed, mouth_controls, mouth_frames
from .styles import HEAD_STYLES

if TYPE_CHECKING:
    from .motion_engine import BuiltinMotionEngine

FPS = 25
TICKS = CLOCK // FPS  # in a frame
AROUND = 2  # frames before those that are shown, for closures and the lead of the lips
BLINKING = 1  # the random stream of a seed from which blinks are drawn; see rest_of_face.py for the others
REST = ("gazeX", "gazeY", "browInnerUp", "mouthSmile")


@dataclass(frozen=True)
class Pace:
    """What a frame waits for. hearing: of the visemes. gate: ticks behind a moment that tell whether it is speech.
    around: frames behind those that are shown, for closures and the lead of the lips. earlier: frames that the mouth
    knows ahead, so as to move at its own speed."""

    hearing: Listening
    gate: int
    around: int
    earlier: int

    @property
    def look_ahead(self) -> float:
        """Seconds from a sound to the frame that shows it, at worst and without computing."""
        heard = (self.hearing.block + self.hearing.ahead + self.gate) / CLOCK + EDGE / RATE
        return heard + (self.around + self.earlier + 1) / FPS


FILM = Pace(
    Listening(block=2 * CLOCK, ahead=CLOCK), GATE_REACH, AROUND, 4
)  # for a sound that is there already
LIVE = Pace(Listening(), 6, 1, 1)
QUICK = Pace(Listening(block=12, ahead=12, before=2 * CLOCK), 6, 1, 1)  # hears less well, and sooner


class LiveVoice:
    """See SpokenMotion: one voice from its first sound on, however long."""

    def __init__(self, engine: "BuiltinMotionEngine", seed: int, settings: MotionSettings, pace: Pace = LIVE):
        self.engine, self.seed, self.settings, self.samples = engine, seed, settings, 0
        self.pace = pace
        self.features = FeatureStream()
        self.visemes = VisemeStream(engine.networks, engine.device, pace.hearing)
        self.voice = RunningVoice()
        # features whose visemes are still to come
        self.mel, self.loudness = np.zeros((0, BANDS), np.float32), np.zeros(0, np.float32)
        # from tick `first` on: what was heard, and how loud; `made` of them have become motion
        self.heard, self.loud = np.zeros((0, len(VISEMES)), np.float32), np.zeros(0, np.float32)
        self.first = self.made = 0
        # from frame `kept` on, at CLOCK: mouth, and pose, shift and REST; `given` frames were given
        self.mouth, self.still = np.zeros((0, len(CONTROLS)), np.float32), np.zeros((0, 5 + len(REST)))
        self.kept = self.given = 0
        self.shown = np.zeros((0, len(CONTROLS)), np.float32)  # the mouth of the frame that was given last
        self.rest = LiveRest(HEAD_STYLES[engine.style], settings, seed)
        self.blinks = Blinks(settings.blink_rate, np.random.default_rng([seed, BLINKING]))
        self.starts = np.zeros(0)

    @property
    def latency(self) -> float:
        """Seconds from a sound to the frame that shows it, at worst and without computing."""
        return self.pace.look_ahead

    def branch(self) -> "LiveVoice":
        """A copy that goes on without changing this one; the engine and its networks are shared."""
        shared = (self.engine, self.engine.networks, self.engine.device)
        return copy.deepcopy(self, {id(part): part for part in shared})

    def push(self, speech: Speech, last: bool = False) -> FaceMotion | None:
        """The next sound -> the frames at 25 fps that are final, or None if there are none yet; `last`: all
        that are left."""
        wave = mono(speech.waveform, speech.sample_rate)
        self.samples += len(wave)
        total = max(1, frame_count(Fraction(self.samples, RATE), Fraction(FPS)))
        return self.listen(wave, total if last else None)

    def listen(self, wave: np.ndarray, total: int | None) -> FaceMotion | None:
        """The same of mono sound [n] at 16 kHz; `total`: frames of the voice, if this is its end."""
        (mel, loudness), heard = self.features.push(wave), self.visemes.push(wave)
        if total:
            ending = self.features.finish()
            mel, loudness = np.concatenate([mel, ending[0]]), np.concatenate([loudness, ending[1]])
            heard = np.concatenate([heard, self.visemes.finish()])
        self.mel, self.loudness = np.concatenate([self.mel, mel]), np.concatenate([self.loudness, loudness])
        size = self.pace.hearing.block
        blocks = range(0, len(heard), size)
        parts = [
            self._hear(heard[start : start + size], total if start == blocks[-1] else None)
            for start in blocks
        ]
        parts = [part for part in parts if part is not None]
        return joined(parts) if parts else None

    def _hear(self, heard: np.ndarray, total: int | None) -> FaceMotion | None:
        """The visemes [n,14] of the next block -> the frames that are final by them; `total` of the last one."""
        mel, loudness = self.mel[: len(heard)], self.loudness[: len(heard)]
        self.mel, self.loudness = self.mel[len(heard) :], self.loudness[len(heard) :]
        self.voice.hear(mel, loudness, spoken(heard))
        self.heard, self.loud = np.concatenate([self.heard, heard]), np.concatenate([self.loud, loudness])
        told = self.first + len(self.heard)
        self._move(told if total else max(told - self.pace.gate, self.made))
        return self._frames(total)

    def _move(self, stop: int) -> None:
        """Make the motion of the ticks up to `stop`, of what was heard around them."""
        new = slice(self.made - self.first, stop - self.first)
        if new.stop == new.start:
            return
        loud, moves = self.voice.loudest, articulation(self.heard)
        gate = level = np.zeros(len(self.loud), np.float32)
        if loud > SILENCE_FLOOR_DB:
            gate = speech_gate(self.loud, loud, self.settings.silence_threshold, spoken(self.heard))
            level = relative_level(self.loud, loud)
        mouth = mouth_controls(self.heard[new], moves[new], gate[new], level[new], self.settings.mouth_amount)
        rest = self.rest.push(level[new], gate[new])
        still = np.concatenate(
            [rest.pose, rest.shift, np.stack([rest.controls[name] for name in REST], 1)], 1
        )
        self.mouth, self.still = np.concatenate([self.mouth, mouth]), np.concatenate([self.still, still])
        self.starts = np.concatenate([self.starts, self.blinks.go_on(1 - gate[new])])
        self.made, before = stop, max(stop - GATE_REACH, self.first)
        self.heard, self.loud = self.heard[before - self.first :], self.loud[before - self.first :]
        self.first = before

    def _frames(self, total: int | None) -> FaceMotion | None:
        """The frames that are final; all up to `total`, if the voice has ended."""
        known = total or self.made // TICKS - self.pace.around
        stop = total or known - self.pace.earlier
        if stop <= self.given:
            return None
        if total:
            missing = max(0, (total + AROUND - self.kept) * TICKS - len(self.mouth))
            self.mouth, self.still = (
                np.pad(track, ((0, missing), (0, 0)), "edge") for track in (self.mouth, self.still)
            )
        first, count = self.given - self.kept, stop - self.given
        mouth = mouth_frames(self.mouth, known + 1 - self.kept, Fraction(FPS), self.settings.lip_lead / 1000)
        mouth = np.concatenate([self.shown, mouth[first : known - self.kept]])
        limit_speed(mouth, Fraction(FPS))
        controls = mouth[len(self.shown) :][:count]
        self.shown = controls[-1:].copy()
        still = at_frames(self.still, first + count, Fraction(FPS))[first:]
        motion = self._motion(controls, still)
        keep = max(stop - AROUND, 0)
        self.mouth, self.still = (track[(keep - self.kept) * TICKS :] for track in (self.mouth, self.still))
        self.kept, self.given = keep, stop
        return motion

    def _motion(self, controls: np.ndarray, still: np.ndarray) -> FaceMotion:
        """The next frames from their mouth [n,12] and from pose, shift and REST [n,9]."""
        count = len(controls)
        times = (self.given + np.arange(count) + 0.5) / FPS
        shut = blink_track(self.starts, times)
        begun = self.starts[(self.starts >= self.given / FPS) & (self.starts < (self.given + count) / FPS)]
        self.starts = self.starts[self.starts > times[-1] - BLINK_SECONDS[-1]]
        for index, name in enumerate(REST):
            controls[:, CONTROLS.index(name)] += still[:, 5 + index]
        controls[:, CONTROLS.index("eyeBlinkLeft")] = shut
        controls[:, CONTROLS.index("eyeBlinkRight")] = shut * (1 - self.settings.blink_asymmetry)
        translation = np.pad(still[:, 3:5], ((0, 0), (0, 1))).astype(np.float32)
        return FaceMotion.from_controls(
            torch.from_numpy(controls), torch.from_numpy(still[:, :3].astype(np.float32)),
            torch.from_numpy(translation), torch.ones(count), Fraction(FPS),
            source=self.engine.facts(self.seed) | {"blinks": begun.round(3).tolist()},
        )  # fmt: skip


def spoken(heard: np.ndarray) -> np.ndarray:
    """How much of what was heard [n,14] is speech, 0..1."""
    return within(1 - heard[:, SILENCE], *DOUBT)
