"""KDTalker's published files as state dicts."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..weights.safe_files import named_tensors

State = dict[str, Tensor]


def denoiser_state(content: Mapping[str, Any]) -> State:
    """KDTalker.pth (weights under `model`), or a flat file with the same keys. ValueError if they are not in it."""
    state = named_tensors(content.get("model", content))
    state = {key: value for key, value in state.items() if key.startswith("point_model.")}
    if not state:
        raise ValueError("it holds no weights called point_model..., so it is not KDTalker's denoiser")
    return state


def audio_encoder_state(content: Mapping[str, Any]) -> State:
    """wav2lip.pth (weights under `state_dict`), its audio encoder alone. ValueError if that is not in it."""
    state = named_tensors(content.get("state_dict", content))
    state = {key: value for key, value in state.items() if key.startswith("audio_encoder.")}
    if not state:
        raise ValueError("it holds no weights called audio_encoder..., so it is not Wav2Lip")
    return state


def learned_points(metadata: Mapping[str, str]) -> tuple[int, ...] | None:
    """The keypoints that a file of our training moves, by its header; None: all, as in the published file.

    ValueError if they are not keypoints.
    """
    told = metadata.get("points", "")
    if not told:
        return None
    numbers = told.split(" ")
    if not all(number.isdecimal() and int(number) < 21 for number in numbers):
        raise ValueError(f"its header says that it moves keypoints {told!r}, which are numbers from 0 to 20")
    return tuple(map(int, numbers))
