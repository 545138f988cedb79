"""What a motion moves about, group by group: nothing for changes, its reference for absolute values."""

from collections.abc import Iterable
from dataclasses import replace

from torch import Tensor

from .container import CONTROL_GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rotation import pose_degrees, rotation_matrix

HEAD = ("pose", "translation", "scale")


def pinned(motion: FaceMotion) -> FaceMotion:
    """The motion with its reference written down where it has absolute values and would use its median frame.

    Whatever changes a motion's frames pins it first, so that cutting or mixing does not move its rest.
    """
    if not motion.absolute or motion.reference is not None or len(motion) == 0:
        return motion
    return replace(motion, reference=motion.median_frame())


def reference_of(motion: FaceMotion) -> FaceFrame:
    """The reference of a motion, its median frame when it has none, or nothing at all."""
    return pinned(motion).reference or FaceFrame()


def rest_frame(motion: FaceMotion) -> FaceFrame:
    """The reference in the groups that are absolute, and no change in all others."""
    return part_of(reference_of(motion), motion.absolute) if motion.absolute else FaceFrame()


def part_of(frame: FaceFrame, groups: Iterable[str]) -> FaceFrame:
    """A frame in these groups, and no change in all others."""
    part = FaceFrame()
    for group in set(groups) & set(KEYPOINTS):
        rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
        part.expression[rows], part.controls[columns] = frame.expression[rows], frame.controls[columns]
    return replace(part, **{group: getattr(frame, group) for group in HEAD if group in groups})


def turned_from(motion: FaceMotion, rest: FaceFrame) -> Tensor:
    """[N,3] how far the head is turned from its rest, in degrees."""
    if not rest.pose.any():
        return motion.pose
    return pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(rest.pose).T)


def as_changes(motion: FaceMotion, groups: Iterable[str]) -> FaceMotion:
    """The same motion with these groups given as changes from their rest."""
    moved = motion.absolute & set(groups)
    if not moved:
        return replace(motion)
    motion = pinned(motion)
    rest = part_of(reference_of(motion), moved)
    return replace(
        motion, expression=motion.expression - rest.expression, controls=motion.controls - rest.controls,
        pose=turned_from(motion, rest) if "pose" in moved else motion.pose,
        translation=motion.translation - rest.translation, scale=motion.scale / rest.scale,
        absolute=motion.absolute - moved,
    )  # fmt: skip


def as_absolute(motion: FaceMotion, groups: Iterable[str], reference: FaceFrame) -> FaceMotion:
    """Changes in these groups as absolute values about a reference: what `as_changes` takes back."""
    moved = set(groups) - motion.absolute
    rest = part_of(reference, moved)
    turned = pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(rest.pose))
    return replace(
        motion, expression=motion.expression + rest.expression, controls=motion.controls + rest.controls,
        pose=turned if "pose" in moved else motion.pose,
        translation=motion.translation + rest.translation, scale=motion.scale * rest.scale,
        absolute=motion.absolute | moved, reference=reference,
    )  # fmt: skip
