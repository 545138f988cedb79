"""The ear of the built-in engine as Takin-ADA hears by it, block by block."""

from collections.abc import Callable

import numpy as np
import torch

from ..speech.ear import EarStream
from ..speech.listening import Heard
from ..speech.sound import RATE
from ..speech.sound_stream import Listening
from ..speech.whisper_encoder import WhisperEncoder
from .features import SpeechLayers


class EarHearing:
    """What the ear says of a sound, block by block: of one that is there (`wave`), or of one that is pushed."""

    def __init__(
        self, encoder: Callable[[], WhisperEncoder], name: str, device: torch.device, how: Listening,
        wave: np.ndarray | None = None,
    ):  # fmt: skip
        self.name, self.wave = name, wave
        self.stream = EarStream(encoder, device, how)
        self.layers = self.stream.nothing()  # from row `first` on
        self.first = self.taken = 0

    def push(self, wave: np.ndarray, last: bool = False) -> None:
        """The next samples at 16 kHz; `last`: and no more come."""
        parts = [self.layers, self.stream.push(wave), *([self.stream.finish()] if last else [])]
        self.layers = np.concatenate(parts)

    def __call__(self, heard: Heard) -> SpeechLayers:
        """See Hear; behind the end of the sound its last row is repeated."""
        first = heard.start // 2
        stop = first + -(-len(heard.gate) // 2)
        while self.wave is not None and self.first + len(self.layers) < stop and self.taken < len(self.wave):
            piece = self.wave[self.taken : self.taken + RATE]
            self.taken += len(piece)
            self.push(piece, last=self.taken == len(self.wave))
        rows = np.clip(np.arange(first, stop) - self.first, 0, len(self.layers) - 1)
        told = torch.from_numpy(self.layers[rows]).transpose(0, 1)
        spare = min(stop - self.first, len(self.layers) - 1)
        self.layers, self.first = self.layers[spare:], self.first + spare
        return SpeechLayers(told, self.name)
