"""The only place where a motion meets a portrait."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rotation import pose_degrees, rotation_matrix

DEFAULT_POLICY: Mapping[str, str] = {group: "absolute" if group == "lips" else "relative" for group in GROUPS}


@dataclass(frozen=True)
class ResolvedMotion:
    """A motion of one particular portrait, N frames.

    For renderers with implicit keypoints (absolute for this portrait): expression [N,21,3], rotation [N,3,3],
    translation [N,3], scale [N]. For renderers that bend the photo (change from the photo): controls [N,12],
    pose_delta [N,3] degrees, translation_delta [N,3], scale_ratio [N].
    """

    expression: Tensor
    rotation: Tensor
    translation: Tensor
    scale: Tensor
    controls: Tensor
    pose_delta: Tensor
    translation_delta: Tensor
    scale_ratio: Tensor
    fps: Fraction

    def __len__(self) -> int:
        return self.expression.shape[0]

    def slice(self, start: int, stop: int) -> "ResolvedMotion":
        """Frames start to stop - 1."""
        fields = {name: value[start:stop] for name, value in vars(self).items() if isinstance(value, Tensor)}
        return ResolvedMotion(**fields, fps=self.fps)


def resolve(motion: FaceMotion, portrait: FaceFrame, policy: Mapping[str, str] | None = None) -> ResolvedMotion:
    """Apply `motion` to a portrait whose own motion is `portrait`.

    Groups that the motion gives as changes are added to the portrait. Groups that it gives as absolute values follow
    `policy`: "relative" carries over the change from the motion's reference (its median frame when it has none),
    "absolute" takes the value as it is. By default lips are absolute and everything else is relative.
    Raises ValueError for unknown groups or rules.
    """
    chosen = {**DEFAULT_POLICY, **(policy or {})}
    for group, rule in chosen.items():
        if group not in GROUPS or rule not in ("relative", "absolute"):
            raise ValueError(f"face motion: policy {group!r}: {rule!r}; groups are {', '.join(GROUPS)}, each relative or absolute.")
    reference = motion.reference or motion.median_frame()
    expression, controls = _expression(motion, portrait, reference, chosen)
    rotation = _rotation(motion, portrait, reference, chosen["pose"])
    translation = _shift(motion.translation, portrait.translation, reference.translation, motion, chosen, "translation")
    if "scale" not in motion.absolute:
        scale = motion.scale * portrait.scale
    else:
        scale = motion.scale if chosen["scale"] == "absolute" else motion.scale / reference.scale * portrait.scale
    own_rotation = rotation_matrix(portrait.pose)
    return ResolvedMotion(
        expression, rotation, translation, scale,
        controls=controls,
        pose_delta=pose_degrees(rotation @ own_rotation.T),
        translation_delta=translation - portrait.translation,
        scale_ratio=scale / portrait.scale,
        fps=motion.fps,
    )  # fmt: skip


def _shift(value: Tensor, own: Tensor, reference: Tensor, motion: FaceMotion, policy: Mapping[str, str], group: str) -> Tensor:
    if group not in motion.absolute:
        return own + value
    return value.clone() if policy[group] == "absolute" else own + value - reference


def _expression(motion: FaceMotion, portrait: FaceFrame, reference: FaceFrame, policy: Mapping[str, str]) -> tuple[Tensor, Tensor]:
    expression, controls = torch.empty_like(motion.expression), torch.empty_like(motion.controls)
    for group, keypoints in KEYPOINTS.items():
        rows = list(keypoints)
        expression[:, rows] = _shift(
            motion.expression[:, rows], portrait.expression[rows], reference.expression[rows], motion, policy, group
        )
        columns = list(CONTROL_GROUPS[group])
        value = _shift(motion.controls[:, columns], portrait.controls[columns], reference.controls[columns], motion, policy, group)
        controls[:, columns] = value - portrait.controls[columns]
    return expression, controls


def _rotation(motion: FaceMotion, portrait: FaceFrame, reference: FaceFrame, policy: str) -> Tensor:
    rotation, own = rotation_matrix(motion.pose), rotation_matrix(portrait.pose)
    if "pose" not in motion.absolute:
        return rotation @ own
    return rotation if policy == "absolute" else rotation @ rotation_matrix(reference.pose).T @ own
