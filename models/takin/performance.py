"""One voice from its first sound on: speech as it is heard becomes the motion of a whole face, as far as it
is final."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..engine import MotionSettings
from ..face_motion import FaceMotion
from ..speech.features import FRAME_RATE
from ..speech.listening import Listener
from .commands import Commands
from .config import FPS
from .generator import Feeling, MotionGenerator, Sampling, pose_command
from .live import Hear, LiveTakin
from .speaking import near_blinks, spoken_motion

if TYPE_CHECKING:
    from .engine import TakinEngine

TICKS = FRAME_RATE // FPS  # of sound in a frame of film
LIP_LEAD = 2  # ticks by which the learnt lips move before their sound


class Performance:
    """Push log-mel and loudness, get frames at 25 fps: the same ones however the sound is cut.

    Two motions are drawn side by side: the likeliest one, whose lips are shown, and one of the seed, which
    has the rest and is told when to blink and where to turn. So lips never depend on the seed.
    """

    def __init__(
        self, engine: "TakinEngine", sampling: Sampling, settings: MotionSettings, hear: Hear,
        listener: Listener, *,
        seconds: float = np.inf, each: Callable[[], None] = lambda: None,
    ):  # fmt: skip
        """seconds: of the recording, if they are known. each: called after every step of the diffusion."""
        options, self.network = engine.options, engine.network()
        self.settings, self.face, self.facts = settings, engine.face_change(), engine.facts(sampling.seed)
        self.commands = Commands(settings.blink_rate, sampling.seed, options.head, seconds)
        generator = MotionGenerator(
            self.network,
            sampling,
            Feeling(engine.label, options.exemplar),
            self._command,
            each,
            engine.device,
        )
        self.live = LiveTakin(listener, hear, generator)
        self.frames = 0

    def push(self, mel: np.ndarray, loudness: np.ndarray, total: int | None = None) -> FaceMotion | None:
        """The next features [n,40], [n] -> the frames that are final, None if there are none.

        total: how many frames there are in all, said with the last features; then all that are left are given.
        """
        steady, free = self.live.push(mel, loudness, last=total is not None)
        if total is not None:
            steady, free = steady[: total - self.frames], free[: total - self.frames]
        return self._shown(steady, free) if len(free) else None

    def _shown(self, steady: Tensor, free: Tensor) -> FaceMotion:
        first, self.frames = self.frames, self.frames + len(free)
        around = near_blinks(self.commands.lids(max(first - 1, 0), self.frames + 1))
        blinking = around[min(first, 1) :][: len(free)]
        starts = self.commands.starts[
            (self.commands.starts * FPS >= first) & (self.commands.starts * FPS < self.frames)
        ]
        facts = self.facts | {"blinks": starts.round(3).tolist()}
        motion = spoken_motion(
            steady, free, self.face, self._speaking(len(free)), blinking, self.settings, facts, first
        )
        self.live.gate = self.live.gate[TICKS * len(free) :]
        self.commands.forget(self.frames)
        return motion

    def _speaking(self, count: int) -> np.ndarray:
        """How much the next frames speak, 0..1."""
        ticks = TICKS * np.arange(count)[:, None] + np.arange(TICKS) + LIP_LEAD
        return self.live.gate[np.minimum(ticks, len(self.live.gate) - 1)].mean(1)

    def _command(self, start: int, stop: int) -> Tensor:
        """[2,stop-start,16] for the generator: nothing for the steady lips, lids and head for the rest."""
        self.commands.go_on(self.live.gate[self.commands.blinks.ticks - TICKS * self.frames :])
        pose, mask = self.commands.head(start, stop)
        told = pose_command(self.network, pose, mask, self.commands.lids(start, stop))
        return torch.stack([torch.zeros_like(told), told])
