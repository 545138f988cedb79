"""Takin-ADA on the ear of the built-in engine: a network trained by training/takin/train.py on features of
prepare.py --ear."""

from typing import cast

import numpy as np

from ..engine import Speech
from ..speech.sound import RATE, mono
from ..speech.sound_stream import AT_HAND, SOON
from .ear_hearing import EarHearing
from .engine import TakinEngine, heard_before
from .live import Hear


class EarTakinEngine(TakinEngine):
    """The same, hearing by all levels of Whisper tiny.en's encoder."""

    def hearing(self, speech: Speech | None = None) -> Hear:
        """See TakinEngine."""
        if speech is not None and speech.encoded is not None:
            return heard_before(speech.encoded)
        wave = None if speech is None else mono(speech.waveform, speech.sample_rate, RATE)
        how = SOON if speech is None else AT_HAND
        return EarHearing(self.speech_network, self.encoder, self.device, how, wave)

    def take_sound(self, hear: Hear, wave: np.ndarray, last: bool) -> None:
        """See TakinEngine."""
        cast(EarHearing, hear).push(wave, last)
