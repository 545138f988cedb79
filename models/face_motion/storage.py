"""FACE_MOTION on disk: safetensors with a JSON header. It comes back exactly, and no file can run anything."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .container import FaceFrame, FaceMotion
from .liveportrait_template import load_template, save_template

FORMAT, VERSION = "talking-portrait-face-motion", 1
FORMATS = {"safetensors": ".safetensors", "LivePortrait template": ".pkl"}
TENSORS = ("expression", "pose", "translation", "scale", "controls", "valid")
REFERENCE = ("expression", "pose", "translation", "controls")
LOAD, SAVE = "Load Face Motion", "Save Face Motion"


def save_any(motion: FaceMotion, path: Path) -> None:
    """Write a motion in the format that the ending of `path` names (FORMATS)."""
    (save_template if path.suffix.lower() == ".pkl" else save_motion)(motion, path)


def load_any(path: Path) -> FaceMotion:
    """Read a motion or a LivePortrait template; ValueError that names the file if that fails."""
    return (load_template if path.suffix.lower() == ".pkl" else load_motion)(path)


def save_motion(motion: FaceMotion, path: Path) -> None:
    """Write a motion; 25 frames per second take about 9 kB per second. ValueError if `source` is not plain data."""
    tensors = {name: getattr(motion, name).contiguous() for name in TENSORS}
    header: dict[str, Any] = {
        "version": VERSION, "fps": str(motion.fps), "absolute": sorted(motion.absolute), "source": dict(motion.source),
    }  # fmt: skip
    if motion.absolute_share:
        header["absolute_share"] = dict(motion.absolute_share)
    if motion.reference is not None:
        tensors |= {f"reference.{name}": getattr(motion.reference, name).contiguous() for name in REFERENCE}
        header["reference_scale"] = motion.reference.scale
    try:
        text = json.dumps(header)
    except TypeError as error:
        raise ValueError(f"{SAVE}: the facts about the motion's source are not plain data ({error}).") from None
    save_file(tensors, path, {"format": FORMAT, "motion": text})


def load_motion(path: Path) -> FaceMotion:
    """Read a motion; ValueError that names the file if it is missing, damaged, newer, or something else."""
    metadata, tensors = read_safetensors(path)
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{LOAD}: {path.name} holds no face motion; it is another kind of safetensors file.")
    header = read_header(metadata, path)
    parts = [*TENSORS, *(f"reference.{name}" for name in REFERENCE if "reference_scale" in header)]
    if missing := [name for name in parts if name not in tensors]:
        raise ValueError(f"{LOAD}: {path.name} lacks {', '.join(missing)}; save the motion again.")
    try:
        reference = None
        if "reference_scale" in header:
            values = {name: tensors[f"reference.{name}"] for name in REFERENCE}
            reference = FaceFrame(scale=float(header["reference_scale"]), **values)
        return FaceMotion(
            **{name: tensors[name] for name in TENSORS}, fps=Fraction(header["fps"]), reference=reference,
            absolute=frozenset(header["absolute"]), source=header["source"],
            absolute_share=dict(header.get("absolute_share", {})),
        )  # fmt: skip
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"{LOAD}: {path.name}: {error}") from None


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Header and tensors of a file; ValueError that names it if it is missing or damaged."""
    if not path.is_file():
        raise ValueError(
            f"{LOAD}: there is no file {path}; give a path, or a name in ComfyUI's output or input folder, with its ending."
        )
    try:
        with safe_open(str(path), "pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{LOAD}: {path.name} is damaged or no safetensors file ({error}).") from None


def read_header(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """The facts beside the tensors; ValueError that names the file if they are missing, unreadable or newer."""
    try:
        header = json.loads(metadata["motion"])
        newer = header["version"] > VERSION
        lacking = [name for name in ("fps", "absolute", "source") if name not in header]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{LOAD}: the header of {path.name} is damaged; save the motion again.") from None
    if newer:
        raise ValueError(f"{LOAD}: {path.name} was written by a newer version of this pack; update the pack.")
    if lacking:
        raise ValueError(f"{LOAD}: the header of {path.name} lacks {', '.join(lacking)}; save the motion again.")
    return header
