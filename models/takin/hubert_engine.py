"""Takin-ADA on a HuBERT, as the paper has it: a network trained by training/takin/train_films.py and the
encoder it was trained on."""

from collections.abc import Callable

import torch

from ..engine import Speech
from ..speech.encoders import Encoder
from ..speech.hubert_layers import BLOCK, CONTEXT, HubertHearing, SpeechEncoder
from ..speech.listening import Heard
from ..speech.sound import RATE, mono
from .config import FEATURE_RATE
from .engine import TakinEngine, TakinOptions, heard_before
from .features import SpeechLayers
from .live import Hear
from .network import TakinNet


class HubertTakinEngine(TakinEngine):
    """The same, hearing by all layers of a HuBERT. Both networks shall be where they compute when either is called."""

    hears_live = False  # a frame's features depend on a second of what comes after it

    def __init__(
        self, network: Callable[[], TakinNet], speech_encoder: Callable[[], SpeechEncoder], encoder: str,
        options: TakinOptions | None = None, device: torch.device | None = None,
    ):  # fmt: skip
        super().__init__(network, speech_encoder, encoder, options, device)

    @property
    def look_ahead(self) -> float:
        """See TakinEngine; the encoder hears blocks of 20 s, and a second on both sides."""
        return super().look_ahead + (BLOCK + CONTEXT) / FEATURE_RATE

    def hearing(self, speech: Speech | None = None) -> Hear:
        """See TakinEngine; the encoder hears blocks of 20 s as they are needed."""
        assert speech is not None  # it hears no live voice
        if speech.encoded is not None:
            return heard_before(speech.encoded)
        layers = HubertHearing(
            self.speech_network(), mono(speech.waveform, speech.sample_rate, RATE), self.device
        )

        def hear(heard: Heard) -> SpeechLayers:
            first = heard.start // 2
            return SpeechLayers(layers.between(first, first + -(-len(heard.gate) // 2)), self.encoder)

        return hear


def check_encoder(file: str, wanted: str, encoder: Encoder) -> None:
    """ValueError unless a speech encoder has the very weights that `file` needs."""
    if encoder.name != wanted:
        raise ValueError(
            f"{file} was trained on the speech encoder {wanted}, but the chosen one is {encoder.name}. "
            "Choose the encoder that it was trained on; an encoder that was trained further is another one."
        )
