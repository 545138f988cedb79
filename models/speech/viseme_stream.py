"""Hear visemes of a voice while it comes; see SoundStream."""

import numpy as np
import torch

from .sound_stream import SOON, Listening, SoundStream
from .viseme_hearing import Networks, mel_probabilities
from .visemes import VISEMES


class VisemeStream(SoundStream):
    """Push mono samples at 16 kHz, get viseme probabilities [n,14] at 100 Hz as soon as they can be told."""

    def __init__(self, networks: Networks, device: torch.device | None = None, how: Listening = SOON):
        super().__init__(device, how)
        self.networks = networks

    def hear(self, mel: torch.Tensor) -> np.ndarray:
        """See SoundStream."""
        return mel_probabilities(self.networks(), mel).numpy()

    def nothing(self) -> np.ndarray:
        """See SoundStream."""
        return np.zeros((0, len(VISEMES)), np.float32)
