"""LivePortrait's motion templates (.pkl): read without running what a pickle may hold, and written.

Layout (LivePortrait `src/live_portrait_pipeline.py`): n_frames, output_fps, motion [{scale [1,1], R [1,3,3],
exp [1,21,3], t [1,3]}], and per frame the ratios of eye opening c_eyes_lst [1,2] and lip opening c_lip_lst
[1,1].
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..atomic_file import atomic_file
from ..weights.safe_files import Damaged, Unreadable, load_arrays, numbers
from .container import GROUPS, FaceFrame, FaceMotion
from .frame_rate import checked_rate, rate_of
from .resolve import resolve
from .rig import CONTROLS
from .rotation import pose_degrees

SHAPES = {"exp": (21, 3), "R": (3, 3), "t": (3,), "scale": ()}
OPEN_EYE, OPEN_LIPS = 0.4, 0.45  # LivePortrait's ratios of an open eye, and of a mouth at jawOpen 1


def load_template(path: Path) -> FaceMotion:
    """Read a template as absolute motion; ValueError that names the file if it is missing, damaged, unsafe or
    another."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}.")
    try:
        data = load_arrays(path)
    except Unreadable as error:
        raise ValueError(
            f"{path.name} is no LivePortrait motion template that may be opened safely ({error.reason})."
        ) from None
    frames = data.get("motion") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not frames:
        raise ValueError(f"{path.name} holds no list called motion; it is no LivePortrait motion template.")
    try:
        tracks = {key: stacked(frames, key) for key in SHAPES}
        return FaceMotion.from_expression(
            tracks["exp"], pose_degrees(tracks["R"]), tracks["t"], tracks["scale"],
            rate_of(data.get("output_fps", 25)),
            source={"producer": "LivePortrait template"}, absolute=frozenset(GROUPS),
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def stacked(frames: list[Any], key: str) -> torch.Tensor:
    """[N,...] one value of every frame; ValueError that names frame and value."""
    values = []
    for number, frame in enumerate(frames):
        if not isinstance(frame, Mapping) or key not in frame:
            raise ValueError(f"frame {number} has no {key}; it is no LivePortrait motion template.")
        try:
            value = numbers(frame[key])
        except Damaged as error:
            raise ValueError(f"{key} of frame {number} is {error}.") from None
        if value.size != np.prod(SHAPES[key], dtype=int):
            raise ValueError(f"{key} of frame {number} has shape {value.shape}; {SHAPES[key]} is needed.")
        values.append(value.reshape(SHAPES[key]))
    return torch.from_numpy(np.stack(values))


def save_template(motion: FaceMotion, path: Path, face: FaceFrame | None = None) -> None:
    """Write a template; changes become absolute values of `face`, by default of a neutral face that looks ahead."""
    policy = {group: "absolute" for group in GROUPS}
    own = resolve(motion, face or FaceFrame(), policy)
    controls = motion.controls.clamp(0, 1).numpy()
    blink, jaw = (
        [CONTROLS.index(name) for name in names]
        for names in (("eyeBlinkRight", "eyeBlinkLeft"), ("jawOpen",))
    )
    frames = [
        {"scale": own.scale[i].reshape(1, 1).numpy(), "R": own.rotation[i][None].numpy(),
         "exp": own.expression[i][None].numpy(), "t": own.translation[i][None].numpy()}
        for i in range(len(motion))
    ]  # fmt: skip
    template = {
        "n_frames": len(motion), "output_fps": float(checked_rate(motion.fps)), "motion": frames,
        "c_eyes_lst": [OPEN_EYE * (1 - row[None, blink]) for row in controls],
        "c_lip_lst": [OPEN_LIPS * row[None, jaw] for row in controls],
    }  # fmt: skip
    with atomic_file(path) as hidden:
        hidden.write_bytes(pickle.dumps(template, protocol=4))
