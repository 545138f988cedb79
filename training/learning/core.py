"""ComfyUI's own models in a training."""

from collections.abc import Iterator
from contextlib import contextmanager

import comfy.model_management


@contextmanager
def core_in_training() -> Iterator[None]:
    """While this lasts core computes what has gradients: its fused rotations have none."""
    before = comfy.model_management.in_training
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before
