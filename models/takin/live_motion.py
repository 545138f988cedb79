"""Takin-ADA on a live voice: push sound, get the face motion that is final, and go on from where one stopped."""

import copy
from fractions import Fraction

import numpy as np
import torch

from ..builtin.motion_engine import at_frames, silence_gate
from ..builtin.procedural import blink_times, blink_track
from ..builtin.speech_features import FRAME_RATE, HOP, log_mel_block
from ..engine import MotionSettings, Speech
from ..face_motion import FaceMotion
from ..sound import mono
from .config import FPS
from .engine import LIP_LEAD, TakinEngine, blink_command
from .generator import LIVE, Feeling, MotionGenerator
from .live import LiveSpeech, LiveTakin
from .speaking import near_blinks, spoken_motion

FPS_FRACTION = Fraction(FPS)
HOURS = 4  # for which blinks are drawn beforehand
MEMORY = 30 * FRAME_RATE  # frames at 100 Hz over which silence is told from speech


class LiveMotion:
    """One voice from its first sound on. A copy made by `branch` goes on by itself, so that a state can be used twice."""

    def __init__(self, engine: TakinEngine, seed: int, settings: MotionSettings):
        if not engine.hears_live:
            raise ValueError(
                f"Generate Face Motion (live): motion_engine hears by {engine.encoder}, which needs the whole sound. Choose the "
                "built-in speech_encoder in Load Motion Engine, or take Stream Talking Portrait."
            )
        network, self.engine = engine.network(), engine
        self.settings, self.face = settings, engine.face_change()
        random = np.random.default_rng(seed)
        calm = np.zeros(HOURS * 3600 * FRAME_RATE, np.float32)
        blinks = blink_times(HOURS * 3600.0, settings.blink_rate, calm, random)
        self.closure = torch.from_numpy(blink_track(blinks, (np.arange(HOURS * 3600 * FPS) + 0.5) / FPS)).float()
        sampling = type(LIVE)(
            LIVE.window, LIVE.overlap, engine.options.steps, engine.options.guidance, (0.0, 1.0), seed
        )  # fmt: skip
        generator = MotionGenerator(
            network, sampling, Feeling(engine.label, engine.options.exemplar), blink_command(network, self.closure),
            device=engine.device,
        )  # fmt: skip
        self.live = LiveTakin(LiveSpeech(engine.speech_network(), engine.encoder, device=engine.device), generator)
        self.loudness = np.zeros(0, np.float32)  # of the last MEMORY frames
        self.rest = np.zeros(0, np.float32)  # samples whose 10 ms are not full
        self.frames = 0
        self.source = {
            "producer": f"{engine.id} (live)", "seed": seed, "steps": engine.options.steps, "emotion": engine.options.emotion,
            "emotion_intensity": engine.options.intensity, "licence": engine.licence,
        }  # fmt: skip

    @property
    def latency(self) -> float:
        """Seconds from a sound to the frame that shows it, at worst and without computing."""
        return self.live.latency

    def branch(self) -> "LiveMotion":
        """A copy that goes on without changing this one; the networks are shared."""
        other = copy.copy(self)
        other.live = copy.copy(self.live)
        other.live.speech, other.live.generator = copy.copy(self.live.speech), copy.copy(self.live.generator)
        other.live.generator.random = torch.Generator()
        other.live.generator.random.set_state(self.live.generator.random.get_state())
        return other

    def push(self, speech: Speech, last: bool = False) -> FaceMotion | None:
        """The next sound -> the frames at 25 fps that are final, or None if there are none yet; `last`: all that are left."""
        wave = mono(speech.waveform, speech.sample_rate)
        self.engine.network(), self.engine.speech_network()  # back to where they compute, if they were moved since
        self._measure(wave)
        steady, free = self.live.push(wave)
        if last:
            ending = self.live.finish()
            steady, free = torch.cat([steady, ending[0]]), torch.cat([free, ending[1]])
        if not len(free):
            return None
        first, self.frames = self.frames, self.frames + len(free)
        around = slice(max(first - 1, 0), self.frames + 1)
        blinking = near_blinks(self.closure[around])[first - around.start :][: len(free)]
        return spoken_motion(steady, free, self.face, self._spoken(first), blinking, self.settings, self.source, first)

    def _measure(self, wave: np.ndarray) -> None:
        """Loudness of the whole 10 ms that have come."""
        wave = np.concatenate([self.rest, wave])
        count = len(wave) // HOP
        if count:
            _, loudness = log_mel_block(wave, 0, count)
            self.loudness = np.concatenate([self.loudness, loudness])[-MEMORY:]
        self.rest = wave[count * HOP :]

    def _spoken(self, first: int) -> np.ndarray:
        """0 silence, 1 speech for frames `first` to the last that is final."""
        count = self.frames - first
        if not len(self.loudness):
            return np.zeros(count, np.float32)
        gate, _ = silence_gate(self.loudness, self.settings.silence_threshold)
        heard = self.live.samples // HOP  # frames at 100 Hz so far, of which the memory holds the last
        begin = heard - len(gate)
        known = at_frames(gate[:, None], max(1, round(len(gate) * FPS / FRAME_RATE)), FPS_FRACTION, LIP_LEAD)[:, 0]
        index = np.clip(np.arange(first, first + count) - round(begin * FPS / FRAME_RATE), 0, len(known) - 1)
        return known[index]
