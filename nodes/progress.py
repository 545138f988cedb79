"""Progress, previews and cancelling for every long loop of the pack."""

import logging
import time
from collections.abc import Callable
from fractions import Fraction

import comfy.model_management
import comfy.utils
import torch
from comfy_execution.utils import get_executing_context
from PIL import Image
from server import PromptServer
from torch import Tensor

PREVIEW_INTERVAL_SECONDS = 0.5
ESTIMATE_AFTER_SECONDS = 2.0
PREVIEW_SIZE = 512


def ticker() -> Callable[[int, int], None]:
    """A callback `tick(done, total)` that moves the running node's progress bar and raises when the artist cancels."""
    bar = comfy.utils.ProgressBar(1)

    def tick(done: int, total: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        bar.update_absolute(done, max(total, 1))

    return tick


class FrameProgress:
    """Progress over `total` frames with a preview picture at most twice a second."""

    def __init__(self, total: int):
        self.bar = comfy.utils.ProgressBar(total)
        self.done = 0
        self._last_preview = 0.0

    def advance(self, frames: Tensor) -> None:
        """Count [n,H,W,3] finished frames; shows the last of them now and then, raises when the artist cancels."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.done += frames.shape[0]
        preview = None
        if time.monotonic() - self._last_preview >= PREVIEW_INTERVAL_SECONDS:
            preview = ("JPEG", to_picture(frames[-1]), PREVIEW_SIZE)
            self._last_preview = time.monotonic()
        self.bar.update_absolute(self.done, self.bar.total, preview)


def to_picture(image: Tensor) -> Image.Image:
    """[H,W,3] in 0..1 -> PIL picture."""
    return Image.fromarray(image[..., :3].clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())


class Estimate:
    """Tells the artist how long a film will take, from the time that its own frames take.

    The first frames cost more, for models are loaded then; where they are slow a bound is said at once, and
    what is likely as soon as others are done.
    """

    def __init__(self, total: int, fps: Fraction):
        self.film = f"{total} frames ({float(total / fps):.1f} s at {float(fps):g} fps)"
        self.total, self.started = total, time.monotonic()
        self.first: tuple[float, int] | None = None  # when the first frames were done, and how many
        self.told = False
        tell("")  # what an earlier run said is over

    def update(self, done: int) -> None:
        """Say it when enough frames are done to know."""
        now = time.monotonic()
        if self.told or done >= self.total:
            return
        if self.first is None:
            self.first = (now, done)
            if now - self.started > ESTIMATE_AFTER_SECONDS:
                tell(
                    f"{self.film}: at most {duration((now - self.started) / done * (self.total - done))} more"
                )
            return
        took, drawn = now - self.first[0], done - self.first[1]
        if took > ESTIMATE_AFTER_SECONDS or took / drawn * self.total > ESTIMATE_AFTER_SECONDS:
            self.told = True
            tell(f"{self.film}: about {duration(took / drawn * (self.total - done))} more")


def tell(text: str) -> None:
    """Show a line under the running node, and log it."""
    if text:
        logging.info("Talking Portrait: %s", text)
    context = get_executing_context()
    if context is not None:
        PromptServer.instance.send_progress_text(text, context.node_id)


def duration(seconds: float) -> str:
    """Seconds in words for people: 40 s, 12 min, 1 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
