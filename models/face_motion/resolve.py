"""The only place where a motion meets a portrait."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rotation import pose_degrees, rotation_matrix, slerp

RULES = ("relative", "absolute", "published", "still")
DEFAULT_POLICY: Mapping[str, str] = {group: "absolute" if group == "lips" else "relative" for group in GROUPS}
# Keypoints and axes that LivePortrait's absolute mode takes from the driver; the others shape the face and
# stay the portrait's.
PUBLISHED_ENTRIES: tuple[tuple[int, str], ...] = (
    *((keypoint, "xyz") for keypoint in (1, 2, 6, *range(11, 21))), (3, "y"), (4, "y"), (5, "z"), (8, "z"),
    (9, "yz"),
)  # fmt: skip


@dataclass(frozen=True)
class ResolvedMotion:
    """A motion of one particular portrait, N frames.

    For renderers with implicit keypoints (absolute for this portrait): expression [N,21,3], rotation [N,3,3],
    translation [N,3], scale [N]. For renderers that bend the photo (change from the photo): controls [N,12],
    pose_delta [N,3] degrees, translation_delta [N,3], scale_ratio [N]. `opening` is the whole motion's first
    frame, which slices keep.
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
    opening: "ResolvedMotion | None" = None

    def __len__(self) -> int:
        return self.expression.shape[0]

    def to(self, device: torch.device) -> "ResolvedMotion":
        """The same motion on another device."""
        fields = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return ResolvedMotion(
            **fields, fps=self.fps, opening=None if self.opening is None else self.opening.to(device)
        )

    def slice(self, start: int, stop: int) -> "ResolvedMotion":
        """Frames start to stop - 1."""
        opening = self.opening or (None if (start, stop) == (0, 1) else self.slice(0, 1))
        fields = {name: value[start:stop] for name, value in vars(self).items() if isinstance(value, Tensor)}
        return ResolvedMotion(**fields, fps=self.fps, opening=opening)


def resolve(
    motion: FaceMotion, portrait: FaceFrame, policy: Mapping[str, str] | None = None
) -> ResolvedMotion:
    """Apply `motion` to a portrait whose own motion is `portrait`.

    Groups that the motion gives as changes are added to the portrait. Groups that it gives as absolute values follow
    `policy`: "relative" carries over the change from the motion's reference (its median frame when it has none),
    "absolute" takes the value as it is, "published" takes it where LivePortrait's absolute mode does. "still" keeps the
    portrait's own, whatever the motion gives. By default lips are absolute and everything else is relative.
    Of a group that is absolute in part, the rest is a change from the portrait. Raises ValueError for unknown
    groups or rules.
    """
    chosen = {**DEFAULT_POLICY, **(policy or {})}
    for group, rule in chosen.items():
        if group not in GROUPS or rule not in RULES:
            raise ValueError(
                f"face motion: policy {group!r}: {rule!r}; groups are {', '.join(GROUPS)}, each {', '.join(RULES)}."
            )
    reference = motion.reference or motion.median_frame()
    expression, controls = _expression(motion, portrait, reference, chosen)
    rotation = _rotation(motion, portrait, reference, chosen["pose"])
    translation = _shift(
        motion.translation, portrait.translation, reference.translation, motion, chosen, "translation"
    )
    scale = _scale(motion, portrait, reference, chosen["scale"])
    own_rotation = rotation_matrix(portrait.pose)
    return ResolvedMotion(
        expression, rotation, translation, scale,
        controls=controls,
        pose_delta=pose_degrees(rotation @ own_rotation.T),
        translation_delta=translation - portrait.translation,
        scale_ratio=scale / portrait.scale,
        fps=motion.fps,
    )  # fmt: skip


def _shift(
    value: Tensor, own: Tensor, reference: Tensor, motion: FaceMotion, policy: Mapping[str, str], group: str
) -> Tensor:
    if policy[group] == "still":
        return own.expand_as(value).clone()
    if group not in motion.absolute:
        return own + value
    return own + value - reference if policy[group] == "relative" else value + (1 - motion.share(group)) * own


def _scale(motion: FaceMotion, portrait: FaceFrame, reference: FaceFrame, rule: str) -> Tensor:
    if rule == "still":
        return torch.full_like(motion.scale, portrait.scale)
    if "scale" not in motion.absolute:
        return motion.scale * portrait.scale
    if rule == "relative":
        return motion.scale / reference.scale * portrait.scale
    return motion.scale * portrait.scale ** (1 - motion.share("scale"))


def _published(expression: Tensor, change: Tensor, portrait: FaceFrame) -> Tensor:
    """The driver's entries as they are; in the others the portrait, with its share of `change`."""
    taken = torch.zeros(21, 3, dtype=torch.bool)
    for keypoint, axes in PUBLISHED_ENTRIES:
        taken[keypoint, ["xyz".index(axis) for axis in axes]] = True
    return torch.where(taken, expression, portrait.expression + change)


def _expression(
    motion: FaceMotion, portrait: FaceFrame, reference: FaceFrame, policy: Mapping[str, str]
) -> tuple[Tensor, Tensor]:
    expression, controls = torch.empty_like(motion.expression), torch.empty_like(motion.controls)
    for group, keypoints in KEYPOINTS.items():
        rows = list(keypoints)
        expression[:, rows] = _shift(
            motion.expression[:, rows],
            portrait.expression[rows],
            reference.expression[rows],
            motion,
            policy,
            group,
        )
        columns = list(CONTROL_GROUPS[group])
        if policy[group] == "published" and group in motion.absolute:
            change = (1 - motion.share(group)) * (motion.expression - reference.expression)
            expression[:, rows] = _published(expression, change, portrait)[:, rows]
        value = _shift(
            motion.controls[:, columns],
            portrait.controls[columns],
            reference.controls[columns],
            motion,
            policy,
            group,
        )
        controls[:, columns] = value - portrait.controls[columns]
    return expression, controls


def _rotation(motion: FaceMotion, portrait: FaceFrame, reference: FaceFrame, policy: str) -> Tensor:
    rotation, own = rotation_matrix(motion.pose), rotation_matrix(portrait.pose)
    if policy == "still":
        return own.expand_as(rotation).clone()
    if "pose" not in motion.absolute:
        return rotation @ own
    if policy == "relative":
        return rotation @ rotation_matrix(reference.pose).T @ own
    still, kept = torch.zeros(1, 3), torch.tensor([1 - motion.share("pose")])
    return rotation @ rotation_matrix(slerp(still, portrait.pose[None], kept))
