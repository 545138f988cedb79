"""What the network is told to do frame by frame: blinks that fall when they are due, a head that follows another."""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..face_motion import FaceMotion
from ..face_motion.blinks import BLINK_SECONDS, Blinks, blink_track
from ..face_motion.rest import HEAD, as_changes
from ..face_motion.time import retime
from .config import FPS, POSE


def head_track(motion: FaceMotion) -> tuple[Tensor, Tensor]:
    """Of a motion at any rate, at 25 fps: its head [N,7] (config.POSE, as change from its rest), and where it
    was seen [N]."""
    led = retime(as_changes(motion, HEAD), Fraction(FPS))
    return torch.cat([led.scale[:, None], led.translation, led.pose], 1), led.valid


class Commands:
    """Lids and head of every frame. Lids are drawn from a seed as speech is heard; the head is that of
    `leader`, if there is one.

    After the leader's end, and where its face was not found, the head is the network's own.
    """

    def __init__(
        self, per_minute: float, seed: int, leader: FaceMotion | None = None, seconds: float = np.inf
    ):
        """seconds: the recording's length, if it is known; a blink that does not fit before its end is left out."""
        self.blinks, self.seconds = Blinks(per_minute, np.random.default_rng([seed, 1])), seconds
        self.starts = np.zeros(0)  # of the blinks, in seconds, as far as speech was heard
        self.pose, self.seen = (
            (torch.zeros(0, POSE), torch.zeros(0)) if leader is None else head_track(leader)
        )

    def go_on(self, gate: np.ndarray) -> None:
        """Draw blinks for the next ticks of sound, whose speech is `gate` [n] 0..1."""
        new = self.blinks.go_on(1 - gate)
        self.starts = np.concatenate([self.starts, new[new + BLINK_SECONDS[-1] < self.seconds]])

    def lids(self, start: int, stop: int) -> Tensor:
        """[stop-start] closure 0..1 of these frames."""
        return torch.from_numpy(blink_track(self.starts, (np.arange(start, stop) + 0.5) / FPS)).float()

    def head(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Pose [stop-start,7] in units, and the mask [stop-start,7] that says where it is commanded."""
        pose, mask = torch.zeros(stop - start, POSE), torch.zeros(stop - start, POSE)
        known = max(0, min(stop, len(self.pose)) - start)
        pose[:known], mask[:known] = (
            self.pose[start : start + known],
            self.seen[start : start + known, None].float(),
        )
        return pose, mask

    def forget(self, frame: int) -> None:
        """Blinks that were over before this frame are asked for no more."""
        self.starts = self.starts[self.starts + BLINK_SECONDS[-1] > frame / FPS - 1]
