"""FACE_MOTION on disk: safetensors with a JSON header. It comes back exactly; nothing in a file is run."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ..atomic_file import atomic_file
from ..weights.safe_files import Damaged, Unreadable, parse_json, read_safetensors
from .container import FaceFrame, FaceMotion
from .frame_rate import parse_rate, written_rate
from .liveportrait_template import load_template, save_template

FORMAT, VERSION = "talking-portrait-face-motion", 1
FORMATS = {"safetensors": ".safetensors", "LivePortrait template": ".pkl"}
TENSORS = ("expression", "pose", "translation", "scale", "controls", "valid")
REFERENCE = ("expression", "pose", "translation", "controls")
LARGEST_HEADER = 1_000_000  # characters


def save_any(motion: FaceMotion, path: Path) -> None:
    """Write a motion in the format that the ending of `path` names (FORMATS), whole or not at all."""
    (save_template if path.suffix.lower() == ".pkl" else save_motion)(motion, path)


def load_any(path: Path) -> FaceMotion:
    """Read a motion or a LivePortrait template; ValueError that names the file if that fails."""
    return (load_template if path.suffix.lower() == ".pkl" else load_motion)(path)


def save_motion(motion: FaceMotion, path: Path) -> None:
    """Write a motion, about 9 kB for each second of 25 frames; ValueError if `source` is not plain data."""
    header: dict[str, Any] = {
        "version": VERSION, "fps": written_rate(motion.fps), "absolute": sorted(motion.absolute),
        "source": dict(motion.source), "absolute_share": dict(motion.absolute_share),
    }  # fmt: skip
    if motion.reference is not None:
        header["reference_scale"] = motion.reference.scale
    data = save(tensors_of(motion), {"format": FORMAT, "motion": header_text(header)})
    with atomic_file(path) as hidden:
        hidden.write_bytes(data)


def tensors_of(motion: FaceMotion) -> dict[str, torch.Tensor]:
    """Every tensor under its name in the file; copies, for safetensors refuses tensors that share memory."""
    tensors = {name: getattr(motion, name) for name in TENSORS}
    if motion.reference is not None:
        tensors |= {f"reference.{name}": getattr(motion.reference, name) for name in REFERENCE}
    return {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}


def header_text(header: dict[str, Any]) -> str:
    """The header as JSON that can be read again; ValueError if it cannot."""
    try:
        text = json.dumps(header, allow_nan=False)
        parse_json(text, LARGEST_HEADER)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the facts about the motion's source are not plain data ({error}).") from None
    return text


def load_motion(path: Path) -> FaceMotion:
    """Read a motion; ValueError that names the file if it is missing, damaged, newer, or something else."""
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}; give a path, or a name in ComfyUI's output or input folder, with its "
            "ending."
        )
    try:
        metadata, tensors = read_safetensors(path, [*TENSORS, *(f"reference.{name}" for name in REFERENCE)])
    except Unreadable as error:
        raise ValueError(f"{path.name} is damaged or no safetensors file ({error.reason}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{path.name} holds no face motion; it is another kind of safetensors file.")
    header = read_header(metadata, path)
    parts = [*TENSORS, *(f"reference.{name}" for name in REFERENCE if "reference_scale" in header)]
    if missing := [name for name in parts if name not in tensors]:
        raise ValueError(f"{path.name} lacks {', '.join(missing)}; save the motion again.")
    try:
        return assembled(header, tensors)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def read_header(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """The facts beside the tensors; ValueError that names the file if they are missing, damaged or newer."""
    try:
        header = parse_json(metadata.get("motion", ""), LARGEST_HEADER)
    except Damaged as error:
        raise ValueError(f"the header of {path.name} is damaged ({error}); save the motion again.") from None
    if not isinstance(header, dict) or type(header.get("version")) is not int:
        raise ValueError(f"the header of {path.name} is damaged (it has no version); save the motion again.")
    if header["version"] > VERSION:
        raise ValueError(f"{path.name} was written by a newer version of this pack; update the pack.")
    if lacking := [name for name in ("fps", "absolute", "source") if name not in header]:
        raise ValueError(f"the header of {path.name} lacks {', '.join(lacking)}; save the motion again.")
    return header


def assembled(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> FaceMotion:
    """The motion of a header and tensors; ValueError if they do not make one."""
    groups, source = header["absolute"], header["source"]
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise ValueError("its list of absolute groups is damaged.")
    shares = header.get("absolute_share", {})
    if not isinstance(shares, dict) or not all(type(share) in (int, float) for share in shares.values()):
        raise ValueError("its shares of absolute values are damaged.")
    if not isinstance(source, dict):
        raise ValueError("the facts about its source are damaged.")
    reference = None
    if "reference_scale" in header:
        scale = header["reference_scale"]
        if type(scale) not in (int, float):
            raise ValueError("the scale of its reference is no number.")
        reference = FaceFrame(
            scale=float(scale), **{name: tensors[f"reference.{name}"] for name in REFERENCE}
        )
    return FaceMotion(
        **{name: tensors[name] for name in TENSORS}, fps=parse_rate(header["fps"]), reference=reference,
        absolute=frozenset(groups), source=source, absolute_share=shares,
    )  # fmt: skip
