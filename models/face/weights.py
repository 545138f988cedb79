"""The face networks' weights, which ship inside the pack, and the objects made of them."""

import weakref
from pathlib import Path
from typing import Any

import comfy.model_management
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .detector import FaceDetector, managed
from .person import PersonNet, person_mask

FACE_WEIGHTS = Path(__file__).resolve().parent.parent / "builtin" / "weights" / "face_nets.safetensors"
_alive: "weakref.WeakValueDictionary[str, object]" = weakref.WeakValueDictionary()


def load_face_weights(prefix: str = "", path: Path = FACE_WEIGHTS) -> dict[str, Tensor]:
    """Tensors whose names begin with prefix, prefix removed (fp16 weights, int32 indices, fp32 geometry).

    Raises ValueError with the file's name where it is missing or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            found = {
                name[len(prefix) :]: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)
            }
    except (OSError, SafetensorError) as error:
        raise ValueError(_damaged(path, str(error))) from error
    if not found:
        raise ValueError(_damaged(path, f"nothing in it is called '{prefix}...'"))
    return found


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path} cannot be read ({reason}). It is part of this node pack (4 MB) and is never downloaded on "
        "its own: install or clone the pack again."
    )


class PersonSegmenter:
    """Finds the person in a picture; 0.1 M parameters, fast on a CPU, under ComfyUI's memory manager."""

    def __init__(self, weights: dict[str, Tensor]):
        network = PersonNet().eval().requires_grad_(False)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
        self.patcher = managed(network)

    def mask(self, image: Tensor) -> Tensor:
        """Image [H,W,C] in 0..1 (C = 1, 3 or 4) to person probability [H,W] in 0..1 on the CPU."""
        comfy.model_management.load_models_gpu([self.patcher])
        rgb = image[..., :3].detach().cpu().float().nan_to_num(0.0).clamp(0, 1).expand(-1, -1, 3)
        return person_mask(self.patcher.model, rgb)


def load_face_detector() -> FaceDetector:
    """The built-in detector, shared by everybody who holds it at the same time; ValueError if its file is damaged."""
    return _shared("detector", FaceDetector, "")


def load_person_segmenter() -> PersonSegmenter:
    """The built-in person segmenter, shared by everybody who holds it at the same time; ValueError if its
    file is damaged."""
    return _shared("person", PersonSegmenter, "person.")


def _shared(name: str, kind: type, prefix: str) -> Any:
    made = _alive.get(name)
    if made is None:
        try:
            _alive[name] = made = kind(load_face_weights(prefix))
        except (KeyError, RuntimeError) as error:  # a whole file that holds other tensors
            raise ValueError(_damaged(FACE_WEIGHTS, str(error).splitlines()[-1].strip())) from error
    return made
