"""FACE_MOTION: what a face does over time, whoever made it and whoever reads it."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from .plain_arrays import frame_fields, motion_fields
from .rig import CONTROLS, controls_to_expression, expression_to_controls

TRACKS = ("expression", "pose", "translation", "scale", "controls", "valid")  # one row for each frame
GROUPS = ("lips", "eyes", "rest", "pose", "translation", "scale")
LIPS, EYES = (6, 12, 14, 17, 19, 20), (11, 13, 15, 16, 18)
KEYPOINTS: dict[str, tuple[int, ...]] = {
    "lips": LIPS,
    "eyes": EYES,
    "rest": tuple(k for k in range(21) if k not in LIPS + EYES),
}
CONTROL_GROUPS: dict[str, tuple[int, ...]] = {
    "lips": tuple(CONTROLS.index(name) for name in CONTROLS if name.startswith(("jaw", "mouth", "teeth"))),
    "eyes": tuple(CONTROLS.index(name) for name in CONTROLS if name.startswith(("eye", "gaze"))),
    "rest": (CONTROLS.index("browInnerUp"),),
}


def check_tensor(name: str, value: Any, shape: tuple[int, ...], kind: torch.dtype = torch.float32) -> None:
    """ValueError that names the field unless `value` is a finite CPU tensor of this shape and type."""
    if not isinstance(value, Tensor):
        raise ValueError(f"face motion: {name} is a {type(value).__name__}; a tensor is needed.")
    if tuple(value.shape) != shape:
        raise ValueError(f"face motion: {name} has shape {tuple(value.shape)}; {shape} is needed.")
    if value.dtype != kind or value.device.type != "cpu":
        raise ValueError(
            f"face motion: {name} is {value.dtype} on {value.device}; {kind} on the CPU is needed."
        )
    if not torch.isfinite(value).all():
        raise ValueError(f"face motion: {name} has values that are not numbers (NaN or infinite).")


def plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as a file would give them back, in lists and dicts of their own; ValueError if they are not plain data."""
    try:
        return json.loads(json.dumps(dict(source), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"face motion: the facts about its source are not plain data ({error}).") from None


def own(value: Any, names: Iterable[str]) -> None:
    """Give an object tensors of its own, so that no change of one motion reaches another and every one can be saved."""
    for name in names:
        object.__setattr__(value, name, getattr(value, name).clone(memory_format=torch.contiguous_format))


@dataclass(frozen=True)
class FaceFrame:
    """One instant of a face, in the units of FaceMotion: expression [21,3], pose [3], translation [3], controls [12].

    It has its own memory: what it was made from may change.
    """

    expression: Tensor = field(default_factory=lambda: torch.zeros(21, 3))
    pose: Tensor = field(default_factory=lambda: torch.zeros(3))
    translation: Tensor = field(default_factory=lambda: torch.zeros(3))
    scale: float = 1.0
    controls: Tensor = field(default_factory=lambda: torch.zeros(len(CONTROLS)))

    def __post_init__(self) -> None:
        shapes = {"expression": (21, 3), "pose": (3,), "translation": (3,), "controls": (len(CONTROLS),)}
        for name, shape in shapes.items():
            check_tensor(f"reference {name}", getattr(self, name), shape)
        if not math.isfinite(self.scale) or self.scale == 0:
            raise ValueError(
                f"face motion: reference scale is {self.scale}; a finite number other than 0 is needed."
            )
        own(self, shapes)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "FaceFrame":
        """One instant of plain arrays by name, see FaceMotion.of; ValueError says what is wrong."""
        return cls(**frame_fields(given, [entry.name for entry in fields(cls)]))


@dataclass(frozen=True)
class FaceMotion:
    """N frames of one face; tensors are float32 on the CPU.

    expression [N,21,3]: implicit-keypoint deformation in LivePortrait units, added after rotation.
    pose [N,3]: pitch, yaw, roll in degrees (models/face_motion/rotation.py). translation [N,3]: keypoint units.
    scale [N]: factor, for deltas a ratio. controls [N,12]: CONTROLS; a second view of `expression` through the rig.
    valid [N] bool: false where the face was not found. fps: frames per second. reference: what absolute values are
    relative to. absolute: the groups (GROUPS) whose values are absolute; all others are changes from the portrait.
    source: JSON-able facts about the producer. absolute_share: of absolute groups that were blended with
    changes, how much of them is absolute (0 to 1; 1 where a group is not named). Raises ValueError where
    shapes, numbers or names are wrong. Every motion has its own memory, whatever it was made from.
    """

    expression: Tensor
    pose: Tensor
    translation: Tensor
    scale: Tensor
    controls: Tensor
    valid: Tensor
    fps: Fraction
    reference: FaceFrame | None = None
    absolute: frozenset[str] = frozenset()
    source: Mapping[str, Any] = field(default_factory=dict)
    absolute_share: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.expression, Tensor) or self.expression.ndim != 3:
            shape = tuple(getattr(self.expression, "shape", ()))
            raise ValueError(f"face motion: expression has shape {shape}; (frames, 21, 3) is needed.")
        count = len(self.expression)
        check_tensor("expression", self.expression, (count, 21, 3))
        for name, rest in {
            "pose": (3,),
            "translation": (3,),
            "scale": (),
            "controls": (len(CONTROLS),),
        }.items():
            check_tensor(name, getattr(self, name), (count, *rest))
        check_tensor("valid", self.valid, (count,), torch.bool)
        if not isinstance(self.fps, Fraction) or self.fps <= 0:
            raise ValueError(f"face motion: fps is {self.fps!r}; a Fraction above 0 is needed.")
        if unknown := set(self.absolute) - set(GROUPS):
            raise ValueError(f"face motion: unknown groups {sorted(unknown)}; there are {', '.join(GROUPS)}.")
        if wrong := [
            group for group, part in self.absolute_share.items() if group not in GROUPS or not 0 <= part <= 1
        ]:
            raise ValueError(
                f"face motion: absolute_share has {wrong}; it is from 0 to 1, for {', '.join(GROUPS)}."
            )
        shares = {
            group: part for group, part in self.absolute_share.items() if group in self.absolute and part < 1
        }
        object.__setattr__(self, "absolute_share", shares)
        own(self, TRACKS)
        object.__setattr__(self, "reference", None if self.reference is None else replace(self.reference))
        object.__setattr__(self, "source", plain(self.source))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "FaceMotion":
        """A motion of plain tensors, arrays or lists by the names above, as packs give it that do not import this one.

        Needed are `fps` and `expression` or `controls`, of which the rig makes the other; controls may be
        some by name, such as {"jawOpen": [N]}. What else is missing is neutral: no turn, no shift, scale 1,
        every frame valid, all of it changes. ValueError says what is wrong.
        """
        found = motion_fields(given, [entry.name for entry in fields(cls)])
        reference = found.pop("reference", None)
        if reference is not None and not isinstance(reference, FaceFrame):
            reference = FaceFrame.of(reference)
        return cls(**found, reference=reference)

    def __len__(self) -> int:
        return self.expression.shape[0]

    @property
    def num_frames(self) -> int:
        """How many frames there are, found or not."""
        return len(self)

    @property
    def seconds(self) -> float:
        """How long the motion lasts."""
        return float(len(self) / self.fps)

    def share(self, group: str) -> float:
        """How much of a group's values is absolute: 0 changes, 1 absolute."""
        return self.absolute_share.get(group, 1.0) if group in self.absolute else 0.0

    @classmethod
    def from_controls(
        cls, controls: Tensor, pose: Tensor, translation: Tensor, scale: Tensor, fps: Fraction, *,
        source: Mapping[str, Any], valid: Tensor | None = None, absolute: frozenset[str] = frozenset(),
        reference: FaceFrame | None = None,
    ) -> "FaceMotion":  # fmt: skip
        """A motion given by [N,12] controls; the rig gives its expression, and that of its reference."""
        if reference is not None:
            reference = replace(reference, expression=controls_to_expression(reference.controls[None])[0])
        valid = torch.ones(len(controls), dtype=torch.bool) if valid is None else valid
        expression = controls_to_expression(controls)
        return cls(expression, pose, translation, scale, controls, valid, fps, reference, absolute, source)

    @classmethod
    def from_expression(
        cls, expression: Tensor, pose: Tensor, translation: Tensor, scale: Tensor, fps: Fraction, *,
        source: Mapping[str, Any], valid: Tensor | None = None, absolute: frozenset[str] = frozenset(GROUPS),
        reference: FaceFrame | None = None,
    ) -> "FaceMotion":  # fmt: skip
        """A motion given by a [N,21,3] expression; the rig's inverse gives its controls, and those of its reference."""
        if reference is not None:
            reference = replace(reference, controls=expression_to_controls(reference.expression[None])[0])
        valid = torch.ones(len(expression), dtype=torch.bool) if valid is None else valid
        controls = expression_to_controls(expression)
        return cls(expression, pose, translation, scale, controls, valid, fps, reference, absolute, source)

    def frame(self, index: int) -> FaceFrame:
        """One frame of the motion."""
        return FaceFrame(
            self.expression[index],
            self.pose[index],
            self.translation[index],
            float(self.scale[index]),
            self.controls[index],
        )

    def median_frame(self) -> FaceFrame:
        """The middle value of every number over the valid frames: a calm face of this motion."""
        if len(self) == 0:
            raise ValueError("face motion: it has 0 frames, so it has no middle frame.")
        chosen = self.valid if self.valid.any() else torch.ones_like(self.valid)
        tracks = (self.expression, self.pose, self.translation, self.scale)
        expression, pose, translation, scale = (track[chosen].median(0).values for track in tracks)
        # The medians of both views would contradict each other, so the controls are read from the expression.
        return FaceFrame(
            expression, pose, translation, float(scale), expression_to_controls(expression[None])[0]
        )
