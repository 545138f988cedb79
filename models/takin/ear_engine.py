"""Takin-ADA on the ear of the built-in engine: a network trained by training/takin/train.py on features of
prepare.py --ear."""

from fractions import Fraction

from ..engine import Speech
from ..speech.ear import KIND, ear_layers
from ..speech.encoding import EncodedSpeech
from ..speech.sound import RATE, mono
from .config import FEATURE_RATE
from .engine import TakinEngine, heard_before
from .live import Hear


class EarTakinEngine(TakinEngine):
    """The same, hearing a whole clip by all levels of Whisper tiny.en's encoder."""

    hears_live = False  # nobody has trained on features that are heard with 0.2 s of what follows

    def hearing(self, speech: Speech | None = None) -> Hear:
        """See TakinEngine."""
        assert speech is not None  # it hears no live voice
        if speech.encoded is not None:
            return heard_before(speech.encoded)
        layers = ear_layers(
            self.speech_network(), mono(speech.waveform, speech.sample_rate, RATE), self.device
        )
        return heard_before(EncodedSpeech(layers, Fraction(FEATURE_RATE), KIND, self.encoder, ""))
