"""Hear a recording as it comes: what is usual for the voice is taken from what was heard so far, never from
what is still to come.

However the sound is cut, the same is heard: everything happens in blocks, each as soon as the network's reach
behind it is there.
"""

from dataclasses import dataclass

import numpy as np

from .features import BANDS, FRAME_RATE, normalise
from .presence import AHEAD, BEFORE, speech_presence
from .running_voice import RunningVoice
from .silence import DOUBT, GATE_REACH, speech_gate, within

REACH = 66  # frames at 100 Hz that the speech network hears around a frame
LIVE_BLOCK = 20  # frames that are heard at once; fewer wait less, more cost less
WHOLE_BLOCK = FRAME_RATE  # the same where nobody waits
# frames over which a voice is measured before the first is heard, where nobody waits
WARM_UP = 5 * FRAME_RATE


@dataclass(frozen=True)
class Heard:
    """Frames of a recording from number `start` on, 100 per second. gate [frames]: 0 silence, 1 speech.

    mel [before+frames+behind,40]: normalised, with the network's reach around them as far as there is any.
    """

    start: int
    mel: np.ndarray
    before: int
    gate: np.ndarray


class Listener:
    """Push log-mel and loudness, get blocks to hear. `look_ahead` is what must have come behind a block's
    start, in frames.

    threshold: MotionSettings.silence_threshold. block: frames that are heard at once. warm_up: frames at the
    start over which the voice is measured before anything is heard. mean [40]: the voiced mean of the
    recording, where it is known beforehand.
    """

    def __init__(
        self, threshold: float, block: int = LIVE_BLOCK, warm_up: int = 0, mean: np.ndarray | None = None
    ):
        self.threshold, self.block, self.warm_up, self.known = threshold, block, warm_up, mean
        self.voice = RunningVoice()
        self.mel = np.zeros((0, BANDS), np.float32)  # from frame `first` on, as the next three
        # spoken: how much is speech, 0..1, as far as it is told
        self.loudness = self.spoken = np.zeros(0, np.float32)
        self.first = self.given = self.measured = 0

    @property
    def look_ahead(self) -> int:
        """Frames behind the start of a block that it waits for, after the warm-up."""
        return self.block + REACH

    @property
    def heard(self) -> int:
        """Frames that have come so far."""
        return self.first + len(self.mel)

    def push(self, mel: np.ndarray, loudness: np.ndarray, last: bool = False) -> list[Heard]:
        """The next log-mel [n,40] and loudness [n] in dB of full scale -> the blocks that are ready; `last`:
        all that are left."""
        self.mel, self.loudness = np.concatenate([self.mel, mel]), np.concatenate([self.loudness, loudness])
        found = []
        while (
            self.given < self.heard
            if last
            else max(self.given + self.block + REACH, self.warm_up + AHEAD) <= self.heard
        ):
            found.append(self._block(min(self.given + self.block, self.heard), last))
        return found

    def _block(self, stop: int, last: bool) -> Heard:
        """The frames up to `stop`, with the voice as it is known a little behind it."""
        self._measure(min(max(stop + REACH - AHEAD, self.warm_up), self.heard), last)
        mean = self.voice.mean if self.known is None else self.known
        left = max(self.given - REACH, 0)
        piece = self.mel[left - self.first : stop + REACH - self.first]
        block = Heard(self.given, normalise(piece, mean), self.given - left, self._gate(stop))
        self.given = stop
        self._forget()
        return block

    def _measure(self, stop: int, last: bool) -> None:
        """Tell speech from other sounds, and learn the voice, up to frame `stop`."""
        told = self.first + len(self.spoken)
        if told < stop:
            end = self.heard if last else self.heard - AHEAD
            probability = speech_presence(self.mel, told - self.first, end - self.first)
            self.spoken = np.concatenate([self.spoken, within(probability, *DOUBT)])
        if self.measured < stop:
            new = slice(self.measured - self.first, stop - self.first)
            self.voice.hear(self.mel[new], self.loudness[new], self.spoken[new])
            self.measured = stop

    def _gate(self, stop: int) -> np.ndarray:
        left = max(self.given - GATE_REACH, self.first)
        near = slice(left - self.first, min(stop + GATE_REACH - self.first, len(self.spoken)))
        gate = speech_gate(self.loudness[near], self.voice.loudest, self.threshold, self.spoken[near])
        return gate[self.given - left : stop - left]

    def _forget(self) -> None:
        """Keep no more than later blocks look back at."""
        told = self.first + len(self.spoken)
        spare = min(self.given - REACH, self.measured, told - BEFORE) - self.first
        if spare > 0:
            self.mel, self.loudness, self.spoken = (
                self.mel[spare:],
                self.loudness[spare:],
                self.spoken[spare:],
            )
            self.first += spare
