"""The motion engines that Load Motion Engine offers: one line each."""

from collections.abc import Callable

import torch

from ..models.engine import MotionEngine
from .loading import load_shared
from .registry import WEIGHTS, missing_weight_message, weight_path

NODE = "Load Motion Engine"


def _builtin() -> MotionEngine:
    from ..models.builtin.motion_engine import BuiltinMotionEngine
    from ..models.builtin.speech_net import build_speech_net

    path = weight_path(WEIGHTS["speech"])
    if not path.is_file():
        raise ValueError(missing_weight_message("speech", NODE))
    model = load_shared("speech", path, torch.float32, build_speech_net, NODE)
    return BuiltinMotionEngine(model.ready)


ENGINES: dict[str, Callable[[], MotionEngine]] = {"built-in": _builtin}


def load_engine(name: str) -> MotionEngine:
    """The engine called `name` in the menu."""
    return ENGINES[name]()
