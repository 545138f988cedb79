"""ComfyUI's own models in a training."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import comfy.model_management
from torch import nn
from torch.utils.checkpoint import checkpoint


@contextmanager
def core_in_training() -> Iterator[None]:
    """While this lasts core computes what has gradients: its fused rotations have none."""
    before = comfy.model_management.in_training
    comfy.model_management.in_training = True
    try:
        yield
    finally:
        comfy.model_management.in_training = before


@contextmanager
def checkpointed(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """While this lasts these modules keep nothing but what they are given, and compute themselves again backward."""
    changed = list(blocks)
    for block in changed:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in changed:
            del block.forward
