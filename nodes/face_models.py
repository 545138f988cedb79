"""The face networks that ship with the pack, shared by the nodes that need them."""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..models.builtin.face.detector import FaceDetector
from ..models.builtin.face.person import PersonNet, person_mask
from .loading import load_shared
from .registry import WEIGHTS, missing_weight_message, weight_path


def read_face_weights(node: str) -> dict[str, Tensor]:
    """All tensors of the shipped file; ValueError in `node`'s name if it is missing or damaged."""
    try:
        with safe_open(str(weight_path(WEIGHTS["face"])), "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ValueError(missing_weight_message("face", node)) from error


def load_face_detector() -> FaceDetector:
    """The built-in FACE_DETECTION_MODEL."""
    return FaceDetector(read_face_weights("Load Face Detector (built-in)"))


def find_person(image: Tensor, node: str) -> Tensor:
    """Mask [H,W] in 0..1 of the person in a picture [H,W,3]."""
    model = load_shared("person mask", weight_path(WEIGHTS["face"]), torch.float32, build_person_net, node)
    return person_mask(model.ready(), image)


def build_person_net(state: dict[str, Tensor], metadata: Mapping[str, str], *, device: Any, **_: Any) -> PersonNet:
    """The person network; leaves only its own tensors in `state`."""
    own = {key.removeprefix("person."): value.float() for key, value in state.items() if key.startswith("person.")}
    state.clear()
    state.update(own)
    return PersonNet().to(device)
