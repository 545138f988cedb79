"""FACE_MOTION on disk: safetensors with a JSON header, and LivePortrait's pickled motion templates, read safely."""

import io
import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .container import GROUPS, FaceFrame, FaceMotion
from .rotation import pose_degrees, rotation_matrix

FORMAT, VERSION = "talking-portrait-face-motion", 1
TENSORS = ("expression", "pose", "translation", "scale", "controls", "valid")
REFERENCE = ("expression", "pose", "translation", "controls")
NODE = "Load Face Motion"


def save_motion(motion: FaceMotion, path: Path) -> None:
    """Write a motion; 25 frames per second take about 9 kB per second."""
    tensors = {name: getattr(motion, name).contiguous() for name in TENSORS}
    header: dict[str, Any] = {
        "version": VERSION, "fps": str(motion.fps), "absolute": sorted(motion.absolute), "source": dict(motion.source),
    }  # fmt: skip
    if motion.reference is not None:
        tensors |= {f"reference.{name}": getattr(motion.reference, name).contiguous() for name in REFERENCE}
        header["reference_scale"] = motion.reference.scale
    save_file(tensors, path, {"format": FORMAT, "motion": json.dumps(header)})


def load_motion(path: Path) -> FaceMotion:
    """Read a motion; ValueError that names the file if it is missing, damaged, or something else."""
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except FileNotFoundError:
        raise ValueError(f"{NODE}: there is no file {path}.") from None
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{NODE}: {path.name} is damaged or no safetensors file ({error}).") from None
    if metadata.get("format") != FORMAT:
        raise ValueError(f"{NODE}: {path.name} holds no face motion; it is another kind of safetensors file.")
    header = json.loads(metadata["motion"])
    if header["version"] > VERSION:
        raise ValueError(f"{NODE}: {path.name} was written by a newer version of this pack; update the pack.")
    if missing := [name for name in TENSORS if name not in tensors]:
        raise ValueError(f"{NODE}: {path.name} lacks {', '.join(missing)}.")
    reference = None
    if "reference_scale" in header:
        parts = {name: tensors[f"reference.{name}"] for name in REFERENCE}
        reference = FaceFrame(scale=header["reference_scale"], **parts)
    try:
        return FaceMotion(
            **{name: tensors[name] for name in TENSORS}, fps=Fraction(header["fps"]), reference=reference,
            absolute=frozenset(header["absolute"]), source=header["source"],
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{NODE}: {path.name}: {error}") from None


class _ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and plain containers; everything else in a file is refused, not run."""

    ALLOWED = {
        (module, name)
        for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
        for name in ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer")
    } | {("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_template(path: Path) -> FaceMotion:
    """Read a LivePortrait motion template (.pkl: n_frames, output_fps, motion[{scale, R, exp, t}]) without running it."""
    try:
        data = _ArraysOnly(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError:
        raise ValueError(f"{NODE}: there is no file {path}.") from None
    except (pickle.UnpicklingError, EOFError, IndexError, AttributeError, ValueError) as error:
        raise ValueError(f"{NODE}: {path.name} is no LivePortrait motion template that may be opened safely ({error}).") from None
    if not isinstance(data, dict) or not data.get("motion"):
        raise ValueError(f"{NODE}: {path.name} holds no list called motion; it is no LivePortrait motion template.")

    def stack(key: str, *shape: int) -> torch.Tensor:
        return torch.from_numpy(np.stack([np.asarray(frame[key], np.float32).reshape(shape) for frame in data["motion"]]))

    return FaceMotion.from_expression(
        stack("exp", 21, 3), pose_degrees(stack("R", 3, 3)), stack("t", 3), stack("scale", 1)[:, 0],
        Fraction(data.get("output_fps", 25)).limit_denominator(1000), source={"producer": "LivePortrait template"},
        absolute=frozenset(GROUPS),
    )  # fmt: skip


def save_template(motion: FaceMotion, path: Path) -> None:
    """Write an absolute motion as a LivePortrait template; ValueError for changes, which have no template form."""
    if missing := set(GROUPS) - motion.absolute:
        raise ValueError(f"Save Face Motion: a template needs absolute values, but {', '.join(sorted(missing))} are changes.")
    rotation = rotation_matrix(motion.pose)
    frames = [
        {"scale": motion.scale[i].reshape(1, 1).numpy(), "R": rotation[i][None].numpy(),
         "exp": motion.expression[i][None].numpy(), "t": motion.translation[i][None].numpy()}
        for i in range(len(motion))
    ]  # fmt: skip
    path.write_bytes(pickle.dumps({"n_frames": len(motion), "output_fps": float(motion.fps), "motion": frames}))
