"""Takin-ADA on a live voice: push sound, get the face motion that is final, and go on from where one stopped."""

import copy
from typing import TYPE_CHECKING

import numpy as np

from ..engine import MotionSettings, Speech
from ..face_motion import FaceMotion
from ..speech.feature_stream import FeatureStream
from ..speech.listening import Listener
from ..speech.sound import RATE, mono
from .config import FPS
from .generator import LIVE
from .performance import Performance

if TYPE_CHECKING:
    from .engine import TakinEngine


class LiveMotion:
    """One voice from its first sound on, however long. A copy made by `branch` goes on by itself, so a state
    can be used twice."""

    def __init__(self, engine: "TakinEngine", seed: int, settings: MotionSettings):
        if not engine.hears_live:
            raise ValueError(
                f"motion_engine hears by {engine.encoder}, which needs the whole sound. Choose the built-in "
                "speech_encoder in Load Motion Engine, or take Stream Talking Portrait."
            )
        self.engine, self.samples, self.features = engine, 0, FeatureStream()
        listener = Listener(settings.silence_threshold)
        self.hear = engine.hearing()
        self.performance = Performance(engine, engine.sampling(LIVE, seed), settings, self.hear, listener)

    @property
    def latency(self) -> float:
        """Seconds from a sound to the frame that shows it, at worst and without computing."""
        return self.performance.live.look_ahead + self.features.look_ahead

    def branch(self) -> "LiveMotion":
        """A copy that goes on without changing this one; the engine, its networks and its sampler are shared."""
        shared = (self.engine, self.performance.network, self.engine.options.sampler)
        return copy.deepcopy(self, {id(part): part for part in shared})

    def push(self, speech: Speech, last: bool = False) -> FaceMotion | None:
        """The next sound -> the frames at 25 fps that are final, or None if there are none yet; `last`: all
        that are left."""
        wave = mono(speech.waveform, speech.sample_rate)
        # back to where they compute, if they were moved since
        self.engine.network()
        self.engine.speech_network()
        self.samples += len(wave)
        self.engine.take_sound(self.hear, wave, last)
        mel, loudness = self.features.push(wave)
        if not last:
            return self.performance.push(mel, loudness)
        ending = self.features.finish()
        mel, loudness = np.concatenate([mel, ending[0]]), np.concatenate([loudness, ending[1]])
        return self.performance.push(mel, loudness, max(1, round(self.samples * FPS / RATE)))
