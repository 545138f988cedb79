"""Gates for what comes through sockets, one for each type: a value that any node may read, or ValueError in words.

Core leaves some sockets empty (the sound of a silent film), and other packs may put anything into them.
"""

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...models.contracts import (
    KeypointExtractor,
    MotionEngine,
    MotionSampler,
    PortraitRenderer,
    SpeechEncoder,
    SpokenMotion,
    members,
)
from ...models.face_motion import FaceMotion
from .values import shown

RATES = (1000, 768_000)  # Hz
SIDE = 32_768  # pixels: more is no picture but a mistake
BRIGHTEST = 2.0  # pictures may overshoot 1 a little after upscaling or sharpening; 255 is another scale
NUM_LANDMARKS = 478
LARGEST = 1e6  # pixels that a coordinate may lie away
ON_MASKS = 1.001


def needed(entry: Any, value: Any) -> ValueError:
    """What to say of a value that is not of the socket's type at all."""
    if value is None:
        return ValueError(f"{entry.id} is empty. {entry.tooltip}")
    return ValueError(f"{entry.id} is {shown(value)}, not {entry.io_type}. {entry.tooltip}")


def numeric(entry: Any, tensor: Any, what: str) -> Tensor:
    """A floating tensor whose values are all numbers."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
        raise ValueError(f"{entry.id} has {shown(tensor)} where {what} are needed. {entry.tooltip}")
    if not tensor.is_floating_point():
        raise ValueError(
            f"{entry.id} holds {tensor.dtype} values; floating point is needed, as ComfyUI's own nodes give it."
        )
    if not all(map(math.isfinite, ends(tensor))):
        raise ValueError(
            f"{entry.id} has {what} that are not numbers (NaN or infinite); look at the node that made it."
        )
    return tensor


def ends(tensor: Tensor) -> tuple[float, float]:
    """Lowest and highest value, NaN where there is one; no copy is made, for an hour of sound is large. 0 and
    0 of nothing."""
    low, high = tensor.aminmax() if tensor.numel() else (0.0, 0.0)
    return float(low), float(high)


def is_between(number: Any, low: float, high: float) -> bool:
    """Whether a number of any kind lies there; NaN lies nowhere."""
    return low <= number <= high


def gate_audio(entry: Any, value: Any) -> dict[str, Any]:
    """One clip: waveform [1,C,T] of numbers, and a sample rate in Hz as an int."""
    if value is None:
        raise ValueError(f"{entry.id} is empty: the video has no sound track. Connect Load Audio.")
    if not isinstance(value, Mapping) or not {"waveform", "sample_rate"} <= set(value):
        raise needed(entry, value)
    rate = value["sample_rate"]
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real) or not is_between(rate, *RATES):
        raise ValueError(
            f"{entry.id} has a sample rate of {shown_number(rate)} Hz; {RATES[0]} to {RATES[1]} are possible."
        )
    wave = value["waveform"]
    if not isinstance(wave, Tensor) or wave.ndim != 3 or wave.shape[1] == 0:
        raise ValueError(
            f"{entry.id} has a waveform of shape {shape(wave)}; [clips, channels, samples] is needed."
        )
    if wave.shape[0] != 1:
        raise ValueError(f"{entry.id} holds {wave.shape[0]} clips; it takes one. Split the batch first.")
    numeric(entry, wave, "samples")
    return {**value, "waveform": wave, "sample_rate": int(float(rate))}


def gate_image(entry: Any, value: Any) -> Tensor:
    """Pictures [B,H,W,C] in about 0..1, C 1, 3 or 4, B at least 1."""
    if value is None or not isinstance(value, Tensor):
        raise needed(entry, value)
    if value.ndim != 4 or value.shape[-1] not in (1, 3, 4) or 0 in value.shape[1:3]:
        raise ValueError(
            f"{entry.id} has shape {shape(value)}; [pictures, height, width, 1, 3 or 4 channels] is needed."
        )
    if len(value) == 0:
        raise ValueError(f"{entry.id} holds 0 pictures, so there is nothing to see. {entry.tooltip}")
    if max(value.shape[1:3]) > SIDE:
        raise ValueError(
            f"{entry.id} is {value.shape[2]}x{value.shape[1]} pixels; at most {SIDE} a side are taken."
        )
    numeric(entry, value, "pixels")
    low, high = ends(value)
    if high > BRIGHTEST or low < 1 - BRIGHTEST:
        raise ValueError(
            f"{entry.id} has values from {low:g} to {high:g}; pictures in ComfyUI go from 0 to 1. Divide by 255."
        )
    return value


def gate_mask(entry: Any, value: Any) -> Tensor:
    """One mask [1,H,W] in 0..1, or a mask for each frame where the input takes them."""
    if value is None or not isinstance(value, Tensor):
        raise needed(entry, value)
    mask = value[None] if value.ndim == 2 else value
    if mask.ndim != 3 or 0 in mask.shape[1:]:
        raise ValueError(f"{entry.id} has shape {shape(value)}; [1, height, width] is needed.")
    if len(mask) != 1 and not (len(mask) and getattr(entry, "one_per_frame", False)):
        raise ValueError(f"{entry.id} holds {len(mask)} masks; it takes one, which holds for all frames.")
    numeric(entry, mask, "values")
    low, high = ends(mask)
    if low < 1 - ON_MASKS or high > ON_MASKS:
        raise ValueError(f"{entry.id} has values from {low:g} to {high:g}; masks go from 0 to 1.")
    return mask.clamp(0, 1)


def gate_landmarks(entry: Any, value: Any) -> Mapping[str, Any]:
    """Core's FACE_LANDMARKS: faces by frame, each with a box and points of numbers, and the picture's size."""
    if not isinstance(value, Mapping) or not {"frames", "image_size"} <= set(value):
        raise needed(entry, value)
    size = value["image_size"]
    if not listed(size, 2) or not all(whole(side) and 0 < side <= SIDE for side in size):
        raise ValueError(
            f"{entry.id} has an image_size of {str(size)[:60]}; (height, width) in pixels is needed. {entry.tooltip}"
        )
    if not isinstance(value["frames"], (list, tuple)):
        raise ValueError(
            f"{entry.id} has {shown(value['frames'])} as its frames; a list is needed. {entry.tooltip}"
        )
    for number, faces in enumerate(value["frames"]):
        if not isinstance(faces, (list, tuple)):
            raise ValueError(
                f"{entry.id} has {shown(faces)} in frame {number}; a list of faces is needed. {entry.tooltip}"
            )
        for face in faces:
            check_face(entry, number, face)
    return value


def check_face(entry: Any, number: int, face: Any) -> None:
    """ValueError unless a face has a box, its points in pixels and in space, all of them numbers."""
    shapes = {"bbox_xyxy": (4,), "landmarks_xy": (-1, 2), "landmarks_3d": (-1, 3)}
    for name, wanted in shapes.items():
        track = face.get(name) if isinstance(face, Mapping) else None
        try:
            points = torch.as_tensor(track, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            points = torch.zeros(0, 0, 0)
        if points.ndim != len(wanted) or any(
            need not in (-1, have) for need, have in zip(wanted, points.shape, strict=True)
        ):
            raise ValueError(f"{entry.id}: a face in frame {number} has no usable {name}. {entry.tooltip}")
        if len(wanted) == 2 and len(points) < NUM_LANDMARKS:
            found = f"{entry.id}: a face in frame {number} has {len(points)} points"
            raise ValueError(f"{found}; MediaPipe's {NUM_LANDMARKS} are needed. {entry.tooltip}")
        if not torch.isfinite(points).all() or points.abs().max() > LARGEST:
            raise ValueError(
                f"{entry.id}: a face in frame {number} has {name} that are not numbers, or far outside the picture."
            )


def gate_box(entry: Any, value: Any) -> Any:
    """Core's BOUNDING_BOX in any of its shapes: a box, boxes, or a list of boxes for each frame; each of
    finite numbers."""
    if value is None:
        raise needed(entry, value)
    for box in boxes(entry, value):
        for side in ("x", "y", "width", "height"):
            number = box.get(side)
            if (
                isinstance(number, bool)
                or not isinstance(number, numbers.Real)
                or not is_between(number, -LARGEST, LARGEST)
            ):
                raise ValueError(
                    f"{entry.id} has {side} {shown_number(number)}; a number of pixels is needed."
                )
        if box["width"] <= 0 or box["height"] <= 0:
            raise ValueError(
                f"{entry.id} is {box['width']:g}x{box['height']:g} pixels; width and height must be above 0."
            )
    return value


def boxes(entry: Any, value: Any) -> Iterable[Mapping[str, Any]]:
    """All boxes in a BOUNDING_BOX; an empty list is a frame without one."""
    if isinstance(value, Mapping):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            if item is not None:
                yield from boxes(entry, item)
    else:
        raise needed(entry, value)


def gate_motion(entry: Any, value: Any) -> FaceMotion:
    """A FaceMotion, which has checked itself, or the plain mapping of arrays that another pack gives for one."""
    if isinstance(value, FaceMotion):
        return value
    if not isinstance(value, Mapping):
        raise needed(entry, value)
    try:
        return FaceMotion.of(value)
    except ValueError as error:
        raise ValueError(f"{entry.id} holds no motion: {error} {entry.tooltip}") from None


def gate_encoded(entry: Any, value: Any) -> Mapping[str, Any]:
    """Core's AUDIO_ENCODER_OUTPUT: encoded_audio [1,M,D] of numbers."""
    encoded = value.get("encoded_audio") if isinstance(value, Mapping) else None
    if not isinstance(encoded, Tensor) or encoded.ndim != 3:
        raise needed(entry, value)
    numeric(entry, encoded, "values")
    return value


def gate_conditioning(entry: Any, value: Any) -> list:
    """Core's CONDITIONING: at least one [tensor, facts]."""
    pairs = isinstance(value, list) and value and all(listed(item, 2) for item in value)
    if not pairs or not all(isinstance(item[0], Tensor) and isinstance(item[1], Mapping) for item in value):
        raise needed(entry, value)
    for item in value:
        numeric(entry, item[0], "values")
    return value


def gate_latent(entry: Any, value: Any) -> Mapping[str, Any]:
    """Core's LATENT: samples [B,4,H,W]."""
    samples = value.get("samples") if isinstance(value, Mapping) else None
    if not isinstance(samples, Tensor):
        raise needed(entry, value)
    if samples.ndim != 4 or samples.shape[1] != 4 or 0 in samples.shape[2:]:
        raise ValueError(
            f"{entry.id} has samples of shape {shape(samples)}; [frames, 4, height, width] is needed. {entry.tooltip}"
        )
    numeric(entry, samples, "values")
    return value


def gate_poses(entry: Any, value: Any) -> list:
    """Core's POSE_KEYPOINT: for each frame {"people": [{"pose_keypoints_2d": [x, y, sureness] * 18}]}."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(frame, Mapping) for frame in value):
        raise needed(entry, value)
    if not value:
        raise ValueError(f"{entry.id} holds 0 frames. {entry.tooltip}")
    for number, frame in enumerate(value):
        people = frame.get("people") or []
        if not isinstance(people, (list, tuple)):
            raise ValueError(
                f"{entry.id}: frame {number} has {shown(people)} as its people; a list is needed. {entry.tooltip}"
            )
        for person in people:
            joints = person.get("pose_keypoints_2d") if isinstance(person, Mapping) else None
            if not isinstance(joints, (list, tuple)) or not are_joints(joints):
                what = f"{entry.id}: a person in frame {number} has no 18 joints (x, y, sureness) of numbers"
                raise ValueError(f"{what}. {entry.tooltip}")
    return list(value)


def are_joints(values: Sequence[Any]) -> bool:
    """Whether these can be x, y and sureness of 18 joints or more."""
    if len(values) < 54 or len(values) % 3:
        return False
    return all(isinstance(value, numbers.Real) and math.isfinite(value) for value in values)


def having(*names: str) -> Callable[[Any, Any], Any]:
    """A gate for objects: they must have these attributes, whoever made them."""

    def gate(entry: Any, value: Any) -> Any:
        lacking = [name for name in names if not hasattr(value, name)]
        if value is None or len(lacking) == len(names):
            raise needed(entry, value)
        if lacking:
            what = f"{entry.id} is {shown(value)} without {', '.join(lacking)}"
            raise ValueError(f"{what}, which {entry.io_type} needs; the node that made it is at fault.")
        return value

    return gate


def gate_sampler(entry: Any, value: Any) -> Any:
    """A motion sampler, whoever made it, whose steps and window are whole numbers from 0."""
    sampler = having(*members(MotionSampler))(entry, value)
    for name in ("steps", "window"):
        count = getattr(sampler, name)
        if not whole(count) or count < 0:
            raise ValueError(f"{entry.id} has {name} {shown_number(count)}; a whole number from 0 is needed.")
    return sampler


def listed(value: Any, count: int) -> bool:
    """Whether this is a list or tuple of so many things."""
    return isinstance(value, (list, tuple)) and len(value) == count


def whole(value: Any) -> bool:
    """Whether this is a whole number."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def shape(value: Any) -> str:
    """A tensor's shape in words."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else shown(value)


def shown_number(value: Any) -> str:
    """A number that is wrong, or what was there instead of one."""
    return (
        f"{value:g}"
        if isinstance(value, float)
        else str(value)[:30]
        if isinstance(value, int)
        else shown(value)
    )


SOCKET_GATES: dict[str, Callable[[Any, Any], Any]] = {
    "AUDIO": gate_audio,
    "IMAGE": gate_image,
    "MASK": gate_mask,
    "FACE_LANDMARKS": gate_landmarks,
    "BOUNDING_BOX": gate_box,
    "FACE_MOTION": gate_motion,
    "CONDITIONING": gate_conditioning,
    "LATENT": gate_latent,
    "POSE_KEYPOINT": gate_poses,
    "MOTION_SAMPLER": gate_sampler,
    "MOTION_ENGINE": having(*members(MotionEngine)),
    "PORTRAIT_RENDERER": having(*members(PortraitRenderer)),
    "PORTRAIT": having("renderer", "portrait"),
    "FACE_DETECTION_MODEL": having("__class__"),
    "FANTASYTALKING": having("patcher", "ready", "device"),
    "AUDIO_ENCODER": having(*members(SpeechEncoder)),
    "AUDIO_ENCODER_OUTPUT": gate_encoded,
    "KEYPOINT_EXTRACTOR": having(*members(KeypointExtractor)),
    "CLIP_VISION_OUTPUT": having("penultimate_hidden_states"),
    "MODEL": having("model"),
    "VAE": having("decode"),
    "VIDEO": having("get_components"),
    "FOOTAGE": having("film", "points", "share", "shots"),
    "FACE_CROPS": having("squares", "size", "frame", "masks"),
    "LIVE_MOTION": having(*members(SpokenMotion)),
    "ACTALKER_AUDIO": having("tokens"),
    "ACTALKER_MOTION": having("tokens"),
}
