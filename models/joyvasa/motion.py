"""JoyVASA's 70 numbers per frame in LivePortrait's units, and how its authors render them."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from ..face_motion import GROUPS, FaceFrame, FaceMotion
from ..weights.safe_files import Damaged, Unreadable, load_arrays, load_json, numbers

# what comes after them is not used
ORDER = (("exp", 63), ("scale", 1), ("t", 3), ("pitch", 1), ("yaw", 1), ("roll", 1))
HEAD = ("scale", "t", "pitch", "yaw", "roll")
STATISTICS = {"mean_exp": 63, "std_exp": 63} | {
    f"{kind}_{name}": size for name, size in ORDER[1:] for kind in ("min", "max")
}
LARGEST_JSON = 1_000_000  # bytes
RELATIVE = dict.fromkeys(GROUPS, "relative")
STILL_HEAD, STILL_FACE = {"pose": "still"}, dict.fromkeys(("lips", "eyes", "rest"), "still")
# animation region -> rules for `resolve`; size and place move in all of them
PUBLISHED_RULES: dict[str, dict[str, str]] = {
    "all": {**RELATIVE, "lips": "absolute"},
    "exp": {**RELATIVE, "lips": "absolute", **STILL_HEAD},
    "pose": {**RELATIVE, **STILL_FACE},
    "lip": {**RELATIVE, **STILL_FACE, **STILL_HEAD, "lips": "relative"},
}


@dataclass(frozen=True)
class MotionTemplate:
    """Mean and deviation of the expression, limits of the head: [n] float32 each, under the names of the
    motion template."""

    values: Mapping[str, Tensor]

    def parts(self, vector: Tensor) -> dict[str, Tensor]:
        """[N,70 or more] normalised -> parts [N,n] in keypoint units and degrees."""
        split = vector[:, :70].split([size for _, size in ORDER], -1)
        result = {}
        for (name, _), value in zip(ORDER, split, strict=True):
            if name == "exp":
                result[name] = value * self.values["std_exp"] + self.values["mean_exp"]
            else:
                low, high = self.values[f"min_{name}"], self.values[f"max_{name}"]
                result[name] = value * (high - low) + low
        return result


def smooth_head(parts: Mapping[str, Tensor], kept: float) -> dict[str, Tensor]:
    """Exponential smoothing of the head: `kept` of the frame before, the rest of the frame itself (the
    authors keep 0.99)."""
    return HeadSmoothing(kept).push(parts)


class HeadSmoothing:
    """The same of a motion that comes in pieces."""

    def __init__(self, kept: float):
        if not 0 <= kept < 1:
            raise ValueError(
                f"Load Motion Engine: head_smoothing is {kept:g}; from 0 (none) to below 1 is possible."
            )
        self.kept, self.state = kept, dict[str, Any]()

    def push(self, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The next frames, smoothed."""
        result, kept = dict(parts), self.kept
        for name in HEAD if kept else ():
            track = parts[name].double().numpy()
            before = self.state.get(name, kept * track[:1])
            smoothed, self.state[name] = lfilter([1 - kept], [1, -kept], track, axis=0, zi=before)
            result[name] = torch.from_numpy(smoothed).float()
        return result


def face_motion(
    parts: Mapping[str, Tensor], source: Mapping[str, Any], first: FaceFrame | None = None
) -> FaceMotion:
    """Absolute motion at 25 fps about its own first frame, as its authors render it: lips as they are, the
    rest as a change. first: that frame, of a motion that goes on."""
    pose = torch.cat([parts["pitch"], parts["yaw"], parts["roll"]], 1)
    motion = FaceMotion.from_expression(
        parts["exp"].unflatten(1, (21, 3)), pose, parts["t"], parts["scale"][:, 0], Fraction(25),
        source=source,
        absolute=frozenset(GROUPS),
    )  # fmt: skip
    return FaceMotion(**{**vars(motion), "reference": first or motion.frame(0)})


def statistic(content: Any, name: str) -> np.ndarray:
    """[n] float32: one entry of a template; Damaged if it is missing or holds no numbers."""
    if not isinstance(content, Mapping) or name not in content:
        raise Damaged(f"{name!r} is missing")
    try:
        return numbers(content[name]).reshape(-1)
    except Damaged as error:
        raise Damaged(f"{name} must be {STATISTICS[name]} finite numbers, but is {error}") from None


def read_template(path: Path, node: str) -> MotionTemplate:
    """motion_template.pkl, or the .json that tools/convert_joyvasa.py makes of it; ValueError in `node`'s
    name if it is damaged."""
    try:
        content = load_json(path, LARGEST_JSON) if path.suffix.lower() == ".json" else load_arrays(path)
        values = {name: statistic(content, name) for name in STATISTICS}
    except (Unreadable, Damaged) as error:
        reason = error.reason if isinstance(error, Unreadable) else error
        raise ValueError(
            f"{node}: {path} is not JoyVASA's motion template ({reason}). Get it again."
        ) from None
    for name, value in values.items():
        if value.size != STATISTICS[name]:
            raise ValueError(f"{node}: {path}: {name} must be {STATISTICS[name]} finite numbers.")
    if (values["std_exp"] < 0).any() or any(
        (values[f"max_{name}"] < values[f"min_{name}"]).any() for name in HEAD
    ):
        raise ValueError(
            f"{node}: {path}: a deviation is negative or a limit is crossed, so it is no motion template."
        )
    return MotionTemplate({name: torch.from_numpy(value) for name, value in values.items()})
