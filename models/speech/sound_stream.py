"""Hear a voice while it comes: what is told of a moment needs some of what follows it, and never changes.

Every block is heard within a window of the sound before it, whose loudest moment so far sets Whisper's floor. However
the sound is cut into pieces, the same is heard.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .features import FRAME_RATE
from .whisper_mel import HOP, RATE, WINDOW, log_mel_frames, scaled

EDGE = WINDOW // 2  # samples around a frame's centre that it needs


@dataclass(frozen=True)
class Listening:
    """Frames of 10 ms. block: told at once. ahead: that must have come behind them. before: in front of a block,
    within which it is heard."""

    block: int = FRAME_RATE // 5
    ahead: int = FRAME_RATE // 5
    before: int = 5 * FRAME_RATE


SOON = Listening()  # for a voice that is waited for
# for a sound that is there already: a second at once, with less behind it than what tells speech waits for anyway
AT_HAND = Listening(block=FRAME_RATE, ahead=FRAME_RATE // 2, before=4 * FRAME_RATE)


class SoundStream(ABC):
    """Push mono samples at 16 kHz, get what is heard of each moment, one row for `each` frames of 10 ms."""

    each = 1

    def __init__(self, device: torch.device | None = None, how: Listening = SOON):
        self.how, self.device = how, device or torch.device("cpu")
        self.wave = np.zeros(EDGE, np.float32)  # from half a window before frame `first` on
        self.first = self.told = 0
        self.loudest = -np.inf  # log10 of mel power

    @abstractmethod
    def hear(self, mel: Tensor) -> np.ndarray:
        """A window's scaled log-mel [80,n] -> a row for every `each` frames of it."""

    @abstractmethod
    def nothing(self) -> np.ndarray:
        """No rows."""

    @property
    def look_ahead(self) -> float:
        """Seconds behind the start of a block that must have come before it is told."""
        return (self.how.block + self.how.ahead) / FRAME_RATE + EDGE / RATE

    def push(self, wave: np.ndarray) -> np.ndarray:
        """The next samples [n] -> the rows that are ready; ValueError unless it is one row of finite numbers."""
        wave = np.asarray(wave, np.float32)
        if wave.ndim != 1 or not np.isfinite(wave).all():
            raise ValueError(
                f"live sound has shape {wave.shape}; one row of finite samples at 16 kHz is needed."
            )
        self.wave = np.concatenate([self.wave, wave])
        found = [self.nothing()]
        block, ahead = self.how.block, self.how.ahead
        while self._frames() >= self.told + block + ahead:
            found.append(self._block(self.told + block, self.told + block + ahead))
        return np.concatenate(found)

    def finish(self) -> np.ndarray:
        """The rows of what is left, followed by silence; a started 10 ms makes a frame."""
        total = self.first + -(-(len(self.wave) - EDGE) // HOP)
        self.wave = np.pad(self.wave, (0, EDGE + HOP))
        found = [self.nothing()]
        while self.told < total:
            stop = min(self.told + self.how.block, total)
            found.append(self._block(stop, min(stop + self.how.ahead, total)))
        return np.concatenate(found)

    def _frames(self) -> int:
        """Frames whose surroundings have come."""
        return self.first + max(0, (len(self.wave) - WINDOW) // HOP + 1)

    def _block(self, stop: int, heard: int) -> np.ndarray:
        """Tell the frames up to `stop`, having heard those up to `heard`."""
        wave = torch.from_numpy(self.wave[: (heard - self.first - 1) * HOP + WINDOW]).to(self.device)
        mel = log_mel_frames(wave)
        self.loudest = max(self.loudest, float(mel.max()))
        said = self.hear(scaled(mel, self.loudest))
        block = said[(self.told - self.first) // self.each : -(-(stop - self.first) // self.each)]
        self.told = stop
        self._forget()
        return block

    def _forget(self) -> None:
        """Keep no more sound than the next block is heard within; whole states of the encoder, two frames each."""
        spare = max(0, self.told - self.how.before - self.first) // 2 * 2
        self.wave, self.first = self.wave[spare * HOP :], self.first + spare
