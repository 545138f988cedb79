"""Parts of ComfyUI that its makers do not promise to keep: imported where they are used, so that one which moved
stops only what needs it, and every other node still loads."""

from importlib import import_module
from types import ModuleType

BLAZEFACE = (
    "comfy_extras.mediapipe.face_landmarker",
    "FaceLandmarker",
    "BLENDSHAPE_NAMES",
    "_detection_to_face_rect",
)
FACE_GEOMETRY = ("comfy_extras.mediapipe.face_geometry", "transformation_matrix_from_detection")
WAV2VEC2 = ("comfy.audio_encoders.audio_encoders", "load_audio_encoder_from_sd")


def core_part(module: str, *names: str) -> ModuleType:
    """A module of ComfyUI with these names in it. ValueError that says what to do where they are not there."""
    try:
        found = import_module(module)
    except ModuleNotFoundError:
        raise ValueError(moved(module)) from None
    if lacking := [name for name in names if not hasattr(found, name)]:
        raise ValueError(moved(f"{module}.{lacking[0]}"))
    return found


def moved(part: str) -> str:
    """What an artist is told of a part that this ComfyUI lacks."""
    return (
        f"this ComfyUI has no {part} as it is needed here: it was moved or renamed. Update the Talking Portrait "
        "pack, or go back to the ComfyUI that ran last. All that does not need it still works."
    )
