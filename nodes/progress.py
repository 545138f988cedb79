"""Progress, previews and cancelling for every long loop of the pack."""

import time
from collections.abc import Callable

import comfy.model_management
import comfy.utils
import torch
from PIL import Image
from torch import Tensor

PREVIEW_INTERVAL_SECONDS = 0.5
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
