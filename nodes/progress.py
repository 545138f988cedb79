"""Progress, previews and cancelling for every long loop of the pack."""

import logging
import time
from collections.abc import Callable, Sequence
from fractions import Fraction

import comfy.model_management
import comfy.utils
import torch
from comfy_execution.utils import get_executing_context
from PIL import Image
from server import PromptServer
from torch import Tensor

from ..models.media.pixels import rounded_bytes

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

    def advance(self, count: int, picture: Callable[[], Tensor]) -> None:
        """Count finished frames, of which `picture()`, bytes [H,W,3] on the CPU, is the last; asks for it and shows it
        now and then, raises when the artist cancels."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.done += count
        preview = None
        if time.monotonic() - self._last_preview >= PREVIEW_INTERVAL_SECONDS:
            preview = ("JPEG", Image.fromarray(picture().numpy()), PREVIEW_SIZE)
            self._last_preview = time.monotonic()
        self.bar.update_absolute(self.done, self.bar.total, preview)


def picture_bytes(picture: Tensor) -> Tensor:
    """[H,W,3] in 0..1 or in bytes -> bytes on the CPU."""
    return (picture if picture.dtype == torch.uint8 else rounded_bytes(picture)).cpu()


class Estimate:
    """Tells the artist how long a film will take, from the time that its own frames take, and when it is done.

    The first frames cost more, for models are loaded then; where they are slow a bound is said at once, and
    what is likely as soon as others are done. notes: what else to say of the film, all the time.
    """

    def __init__(self, total: int, fps: Fraction, notes: Sequence[str] = ()):
        self.film = f"{total} frames ({float(total / fps):.1f} s at {float(fps):g} fps)"
        self.notes = "".join(f"; {note}" for note in notes)
        self.total, self.started = total, time.monotonic()
        self.first: tuple[float, int] | None = None  # when the first frames were done, and how many
        self.told: float | None = None
        self.say("starting")  # and what an earlier run said is gone

    def update(self, done: int) -> None:
        """Say it when enough frames are done to know, and again now and then."""
        now = time.monotonic()
        if done >= self.total:
            return
        if self.first is None:
            self.first = (now, done)
            if now - self.started > ESTIMATE_AFTER_SECONDS:
                self.say(f"at most {duration((now - self.started) / done * (self.total - done))} more")
        elif self.told is None or now - self.told > ESTIMATE_AFTER_SECONDS:
            took, drawn = now - self.first[0], done - self.first[1]
            self.say(f"about {duration(took / drawn * (self.total - done))} more", log=self.told is None)
            self.told = now

    def finish(self) -> None:
        """Say that it is done, and how long it took."""
        self.say(f"drawn in {duration(time.monotonic() - self.started)}")

    def say(self, what: str, log: bool = True) -> None:
        """Show it under the node."""
        tell(f"{self.film}: {what}{self.notes}", log)


def tell(text: str, log: bool = True) -> None:
    """Show a line under the running node in the place of what stood there, and log it."""
    if log:
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
