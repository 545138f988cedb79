"""From features of sound, as they come, to motion, as it is final: a listener, a speech network and a
generator in a row."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..speech.features import FRAME_RATE
from ..speech.listening import Heard, Listener
from .features import SpeechLayers
from .generator import MotionGenerator

Hear = Callable[[Heard], SpeechLayers]


class LiveTakin:
    """Push log-mel and loudness, get face motion [takes,n,70] in units at 25 frames per second.

    `gate` [n]: how much is speech, 0..1 at 100 Hz, of what was heard; whoever reads it may cut off what is over.
    """

    def __init__(self, listener: Listener, hear: Hear, generator: MotionGenerator):
        self.listener, self.hear, self.generator = listener, hear, generator
        self.gate = np.zeros(0, np.float32)

    @property
    def look_ahead(self) -> float:
        """Seconds of features that a frame waits for, at worst and after the warm-up."""
        return self.listener.look_ahead / FRAME_RATE + self.generator.latency

    def push(self, mel: np.ndarray, loudness: np.ndarray, last: bool = False) -> Tensor:
        """The next features [n,40], [n] -> the frames that are final; `last`: all that are left, half a frame
        counts."""
        heard = self.listener.push(mel, loudness, last)
        self.gate = np.concatenate([self.gate, *(block.gate for block in heard)])
        found = [self.generator.push(self.hear(block)) for block in heard]
        return torch.cat([*found, self.generator.finish() if last else self.generator.nothing], 1)
