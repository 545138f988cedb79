"""Pure operations on FACE_MOTION in time and between motions; both views (expression, controls) stay equal.

What an absolute motion is relative to is pinned before its frames change, so that cutting or mixing does not move its rest.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rig import CONTROLS, controls_to_expression, tied
from .rotation import pose_degrees, rotation_matrix, slerp

HEAD = ("pose", "translation", "scale")
EXPRESSION = ("lips", "eyes", "rest")
TRACKS = ("expression", "pose", "translation", "scale", "controls", "valid")


def pinned(motion: FaceMotion) -> FaceMotion:
    """The motion with its reference written down where it has absolute values and would use its median frame."""
    if not motion.absolute or motion.reference is not None or len(motion) == 0:
        return motion
    return replace(motion, reference=motion.median_frame())


def slice_motion(motion: FaceMotion, start: int, stop: int) -> FaceMotion:
    """Frames start to stop - 1."""
    return replace(pinned(motion), **{name: getattr(motion, name)[start:stop] for name in TRACKS})


def sample_motion(motion: FaceMotion, positions: Tensor) -> FaceMotion:
    """Frames at fractional positions [M], clamped to the ends; poses along the shortest turn. ValueError if empty."""
    if len(motion) == 0:
        raise ValueError("face motion: it has 0 frames, so it cannot be brought to another length or frame rate.")
    place = positions.double().clamp(0, len(motion) - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=len(motion) - 1)
    part = (place - low).float()

    def lerp(track: Tensor) -> Tensor:
        return torch.lerp(track[low], track[high], part.reshape(-1, *[1] * (track.ndim - 1)))

    return replace(
        pinned(motion), expression=lerp(motion.expression), pose=slerp(motion.pose[low], motion.pose[high], part),
        translation=lerp(motion.translation), scale=lerp(motion.scale), controls=lerp(motion.controls),
        valid=motion.valid[low] & motion.valid[high],
    )  # fmt: skip


def retime(motion: FaceMotion, fps: Fraction, frames: int | None = None) -> FaceMotion:
    """The same motion at the same speed at another frame rate; `frames` of it (the last one is held), or all of it."""
    count = frames if frames is not None else max(1, math.floor(len(motion) * fps / motion.fps + Fraction(1, 2)))
    # Frame i is the middle of its time, so frame times are (i + 1/2) / fps on both sides.
    positions = (torch.arange(count, dtype=torch.float64) + 0.5) * float(motion.fps / fps) - 0.5
    return replace(sample_motion(motion, positions), fps=fps)


def fit_frames(motion: FaceMotion, frames: int) -> FaceMotion:
    """The whole motion stretched or squeezed to `frames` at its own frame rate."""
    positions = (torch.arange(frames, dtype=torch.float64) + 0.5) * (len(motion) / max(frames, 1)) - 0.5
    return sample_motion(motion, positions)


def change_speed(motion: FaceMotion, factor: float) -> FaceMotion:
    """The whole motion `factor` times as fast at its own frame rate; ValueError unless the factor is above 0."""
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"face motion: the speed is {factor:g}; it must be a number above 0.")
    return fit_frames(motion, max(1, math.floor(len(motion) / factor + 0.5)))


def concat(first: FaceMotion, second: FaceMotion, crossfade: int = 0) -> FaceMotion:
    """One after the other, the last `crossfade` frames of the first blended into the second's first ones."""
    same_kind(first, second, "face motion: joining")
    crossfade = max(0, min(crossfade, len(first), len(second)))
    first = pinned(first)
    second = rebased(second, first)
    parts = [slice_motion(first, 0, len(first) - crossfade)]
    if crossfade:
        weight = (torch.arange(crossfade) + 0.5) / crossfade
        end = slice_motion(first, len(first) - crossfade, len(first))
        parts.append(blend(end, slice_motion(second, 0, crossfade), weight))
    parts.append(slice_motion(second, crossfade, len(second)))
    return replace(first, **{name: torch.cat([getattr(part, name) for part in parts]) for name in TRACKS})


def blend(first: FaceMotion, second: FaceMotion, weight: Tensor | float, groups: Iterable[str] = GROUPS) -> FaceMotion:
    """`first` with `groups` moved towards `second` by `weight` (0 to 1, one number or one per frame).

    Where values are absolute, all but the lips of `second` are first brought onto the reference of `first`.
    """
    same_kind(first, second, "Blend Face Motion")
    if len(first) != len(second):
        raise ValueError(f"Blend Face Motion: motion_a has {len(first)} frames and motion_b {len(second)}; make them equal.")
    weight = torch.as_tensor(weight, dtype=torch.float32)
    if weight.ndim and tuple(weight.shape) != (len(first),):
        raise ValueError(f"Blend Face Motion: weight has shape {tuple(weight.shape)}, but there are {len(first)} frames.")
    weight, chosen = weight.expand(len(first)), set(groups)
    first = pinned(first)
    second = rebased(second, first)
    changed = mixed_views(first, second, weight, chosen & set(KEYPOINTS))
    if "pose" in chosen:
        changed["pose"] = slerp(first.pose, second.pose, weight)
    if "translation" in chosen:
        changed["translation"] = torch.lerp(first.translation, second.translation, weight[:, None])
    if "scale" in chosen:
        changed["scale"] = torch.lerp(first.scale, second.scale, weight)
    return replace(first, valid=first.valid & second.valid, **changed)


def mixed_views(first: FaceMotion, second: FaceMotion, weight: Tensor, groups: set[str]) -> dict[str, Tensor]:
    """Expression and controls with `groups` moved towards `second`; the rig's share of the expression follows the controls."""
    if not groups:
        return {}
    controls, own = first.controls.clone(), residual(first)
    other = residual(second)
    for group in groups:
        rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
        own[:, rows] = torch.lerp(own[:, rows], other[:, rows], weight[:, None, None])
        controls[:, columns] = torch.lerp(controls[:, columns], second.controls[:, columns], weight[:, None])
    return {"expression": tied(controls_to_expression(controls) + own, controls), "controls": controls}


def residual(motion: FaceMotion | FaceFrame) -> Tensor:
    """The part of an expression ([N,21,3], of a frame [1,21,3]) that the rig does not show."""
    return motion.expression.reshape(-1, 21, 3) - controls_to_expression(motion.controls.reshape(-1, len(CONTROLS)))


def rebased(motion: FaceMotion, onto: FaceMotion) -> FaceMotion:
    """The same changes about another motion's reference; lips keep their values, for they are read as absolute ones."""
    known, wanted = pinned(motion).reference, pinned(onto).reference
    if not motion.absolute or known is None or wanted is None or known is wanted:
        return motion
    moved = motion.absolute - {"lips"}
    controls, extra = motion.controls.clone(), residual(motion)
    for group in moved & set(KEYPOINTS):
        rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
        controls[:, columns] += wanted.controls[columns] - known.controls[columns]
        extra[:, rows] += (residual(wanted) - residual(known))[:, rows]
    changed = {"expression": tied(controls_to_expression(controls) + extra, controls), "controls": controls}
    if "pose" in moved:
        turn = rotation_matrix(motion.pose) @ rotation_matrix(known.pose).T
        changed["pose"] = pose_degrees(turn @ rotation_matrix(wanted.pose))
    if "translation" in moved:
        changed["translation"] = motion.translation + wanted.translation - known.translation
    if "scale" in moved:
        changed["scale"] = motion.scale / known.scale * wanted.scale
    return replace(motion, reference=wanted, **changed)


def same_kind(first: FaceMotion, second: FaceMotion, what: str) -> None:
    """ValueError unless two motions mean the same thing frame by frame."""
    if first.fps != second.fps:
        raise ValueError(
            f"{what}: one motion has {float(first.fps):g} frames per second, the other {float(second.fps):g}; "
            "generate both at one rate."
        )
    if first.absolute != second.absolute:
        raise ValueError(
            f"{what}: one motion gives {', '.join(sorted(first.absolute)) or 'nothing'} as absolute values, the other "
            f"{', '.join(sorted(second.absolute)) or 'nothing'}; they cannot be mixed."
        )


def add(motion: FaceMotion, change: FaceMotion) -> FaceMotion:
    """A motion with the changes of another on top; ValueError unless `change` has changes alone and the same frames."""
    if change.absolute:
        raise ValueError(f"face motion: only changes can be added, but {', '.join(sorted(change.absolute))} are absolute.")
    if (len(change), change.fps) != (len(motion), motion.fps):
        raise ValueError(
            f"face motion: {len(change)} frames at {float(change.fps):g} fps cannot be added to {len(motion)} frames at "
            f"{float(motion.fps):g} fps; make them equal."
        )
    return replace(
        pinned(motion), expression=motion.expression + change.expression, controls=motion.controls + change.controls,
        pose=pose_degrees(rotation_matrix(change.pose) @ rotation_matrix(motion.pose)), scale=motion.scale * change.scale,
        translation=motion.translation + change.translation, valid=motion.valid & change.valid,
    )  # fmt: skip


def smooth(motion: FaceMotion, seconds: float, groups: Iterable[str] = HEAD) -> FaceMotion:
    """Gaussian smoothing of groups; `seconds` is the filter's standard deviation."""
    sigma = seconds * float(motion.fps)
    if sigma <= 0 or len(motion) < 2:
        return motion

    def filtered(track: Tensor) -> Tensor:
        return torch.from_numpy(gaussian_filter1d(track.double().numpy(), sigma, axis=0, mode="nearest")).float()

    chosen, motion = set(groups), pinned(motion)
    changed = {name: filtered(getattr(motion, name)) for name in HEAD if name in chosen}
    if parts := chosen & set(KEYPOINTS):
        whole = replace(motion, expression=filtered(motion.expression), controls=filtered(motion.controls))
        changed |= mixed_views(motion, whole, torch.ones(len(motion)), parts)
    return replace(motion, **changed)


def mirror(motion: FaceMotion) -> FaceMotion:
    """Left and right exchanged: turns, tilts, sideways moves, blinks and gaze.

    What the rig does not show of an expression stays as it is, because pairs of keypoints are not known for it.
    """
    changed = mirrored_parts(motion.expression, motion.pose, motion.translation, motion.controls)
    if motion.reference is None:
        return replace(motion, **changed)
    at = motion.reference
    frame = mirrored_parts(at.expression[None], at.pose[None], at.translation[None], at.controls[None])
    return replace(motion, reference=replace(at, **{name: value[0] for name, value in frame.items()}), **changed)


def mirrored_parts(expression: Tensor, pose: Tensor, translation: Tensor, controls: Tensor) -> dict[str, Tensor]:
    """The four tracks of [N] frames with left and right exchanged."""
    left, right, gaze = (CONTROLS.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight", "gazeX"))
    swapped = controls.clone()
    swapped[:, [left, right]] = controls[:, [right, left]]
    swapped[:, gaze] = -controls[:, gaze]
    return {
        "expression": expression + controls_to_expression(swapped) - controls_to_expression(controls),
        "pose": pose * torch.tensor([1.0, -1.0, -1.0]),
        "translation": translation * torch.tensor([-1.0, 1.0, 1.0]),
        "controls": swapped,
    }
