"""Pure operations on FACE_MOTION: each takes motions and gives a new one; both views (expression, controls) stay one."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rig import CONTROLS, controls_to_expression
from .rotation import pose_degrees, rotation_matrix, slerp

HEAD = ("pose", "translation", "scale")
EXPRESSION = ("lips", "eyes", "rest")


def slice_motion(motion: FaceMotion, start: int, stop: int) -> FaceMotion:
    """Frames start to stop - 1."""
    return replace(
        motion, expression=motion.expression[start:stop], pose=motion.pose[start:stop], scale=motion.scale[start:stop],
        translation=motion.translation[start:stop], controls=motion.controls[start:stop], valid=motion.valid[start:stop],
    )  # fmt: skip


def sample_motion(motion: FaceMotion, positions: Tensor) -> FaceMotion:
    """Frames at fractional positions [M], clamped to the ends; poses along the shortest turn."""
    place = positions.double().clamp(0, len(motion) - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=len(motion) - 1)
    part = (place - low).float()

    def lerp(track: Tensor) -> Tensor:
        return torch.lerp(track[low], track[high], part.reshape(-1, *[1] * (track.ndim - 1)))

    return replace(
        motion, expression=lerp(motion.expression), pose=slerp(motion.pose[low], motion.pose[high], part),
        translation=lerp(motion.translation), scale=lerp(motion.scale), controls=lerp(motion.controls),
        valid=motion.valid[low] & motion.valid[high],
    )  # fmt: skip


def retime(motion: FaceMotion, fps: Fraction, frames: int | None = None) -> FaceMotion:
    """The same motion at another frame rate; `frames` of it, or as many as its length gives."""
    count = frames if frames is not None else max(1, round(len(motion) * fps / motion.fps))
    # Frame i is the middle of its time, so frame times are (i + 1/2) / fps on both sides.
    positions = (torch.arange(count, dtype=torch.float64) + 0.5) * float(motion.fps / fps) - 0.5
    return replace(sample_motion(motion, positions), fps=fps)


def concat(first: FaceMotion, second: FaceMotion, crossfade: int = 0) -> FaceMotion:
    """One after the other, the last `crossfade` frames of the first blended into the second's first ones."""
    same_kind(first, second, "concat")
    crossfade = min(crossfade, len(first), len(second))
    parts = [slice_motion(first, 0, len(first) - crossfade)]
    if crossfade:
        weight = (torch.arange(crossfade) + 0.5) / crossfade
        end = slice_motion(first, len(first) - crossfade, len(first))
        parts.append(blend(end, slice_motion(second, 0, crossfade), weight))
    parts.append(slice_motion(second, crossfade, len(second)))
    names = ("expression", "pose", "translation", "scale", "controls", "valid")
    return replace(first, **{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def blend(first: FaceMotion, second: FaceMotion, weight: Tensor | float, groups: Iterable[str] = GROUPS) -> FaceMotion:
    """`first` with `groups` moved towards `second` by `weight` (0 to 1, one number or one per frame)."""
    same_kind(first, second, "blend")
    if len(first) != len(second):
        raise ValueError(f"Blend Face Motion: motion_a has {len(first)} frames and motion_b {len(second)}; make them equal.")
    weight = torch.as_tensor(weight, dtype=torch.float32).expand(len(first))
    chosen = set(groups)
    changed: dict[str, Tensor] = {"expression": first.expression.clone(), "controls": first.controls.clone()}
    for group in chosen & set(KEYPOINTS):
        rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
        changed["expression"][:, rows] = torch.lerp(first.expression[:, rows], second.expression[:, rows], weight[:, None, None])
        changed["controls"][:, columns] = torch.lerp(first.controls[:, columns], second.controls[:, columns], weight[:, None])
    if "pose" in chosen:
        changed["pose"] = slerp(first.pose, second.pose, weight)
    if "translation" in chosen:
        changed["translation"] = torch.lerp(first.translation, second.translation, weight[:, None])
    if "scale" in chosen:
        changed["scale"] = torch.lerp(first.scale, second.scale, weight)
    return replace(first, valid=first.valid & second.valid, **changed)


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


def rest_frame(motion: FaceMotion) -> FaceFrame:
    """What the motion moves about: nothing for changes; for absolute groups its reference, or its median frame."""
    known = motion.reference or motion.median_frame()
    still = FaceFrame()
    absolute = motion.absolute
    expression, controls = still.expression.clone(), still.controls.clone()
    for group in EXPRESSION:
        if group in absolute:
            rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
            expression[rows], controls[columns] = known.expression[rows], known.controls[columns]
    return FaceFrame(
        expression,
        known.pose if "pose" in absolute else still.pose,
        known.translation if "translation" in absolute else still.translation,
        known.scale if "scale" in absolute else still.scale,
        controls,
    )


def scale_intensity(motion: FaceMotion, expression: float = 1.0, head: float = 1.0) -> FaceMotion:
    """Motion about its rest made larger or smaller: 0 is still, 1 unchanged; expression and head apart."""
    if expression == 1.0 and head == 1.0:
        return motion
    rest = rest_frame(motion)
    still = rotation_matrix(rest.pose)
    turn = pose_degrees(rotation_matrix(motion.pose) @ still.T)
    scaled = slerp(torch.zeros_like(turn), turn, torch.full((len(motion),), float(head)))
    return replace(
        motion,
        expression=rest.expression + expression * (motion.expression - rest.expression),
        controls=rest.controls + expression * (motion.controls - rest.controls),
        pose=pose_degrees(rotation_matrix(scaled) @ still) if head != 1.0 else motion.pose,
        translation=rest.translation + head * (motion.translation - rest.translation),
        scale=rest.scale * (motion.scale / rest.scale) ** head,
    )


def smooth(motion: FaceMotion, seconds: float, groups: Iterable[str] = HEAD) -> FaceMotion:
    """Gaussian smoothing of groups; `seconds` is the filter's standard deviation."""
    sigma = seconds * float(motion.fps)
    if sigma <= 0 or len(motion) < 2:
        return motion

    def filtered(track: Tensor) -> Tensor:
        return torch.from_numpy(gaussian_filter1d(track.double().numpy(), sigma, axis=0, mode="nearest")).float()

    chosen = set(groups)
    changed = {name: filtered(getattr(motion, name)) for name in HEAD if name in chosen}
    if parts := chosen & set(KEYPOINTS):
        whole = replace(motion, expression=filtered(motion.expression), controls=filtered(motion.controls))
        mixed = blend(motion, whole, 1.0, parts)
        changed |= {"expression": mixed.expression, "controls": mixed.controls}
    return replace(motion, **changed)


def hold_head(motion: FaceMotion) -> FaceMotion:
    """The head as in the photo, the face as it was."""
    return scale_intensity(motion, head=0.0)


def follow_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The face of `motion` with the head of `leader`, brought to the same rate and length."""
    led = retime(leader, motion.fps, len(motion))
    if led.absolute & set(HEAD) != motion.absolute & set(HEAD):
        led = head_as_change(led)
        motion = head_as_change(motion)
    return replace(motion, pose=led.pose, translation=led.translation, scale=led.scale)


def head_as_change(motion: FaceMotion) -> FaceMotion:
    """The same motion with its head given as a change from its rest."""
    if not motion.absolute & set(HEAD):
        return motion
    rest = rest_frame(motion)
    return replace(
        motion, pose=pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(rest.pose).T),
        translation=motion.translation - rest.translation, scale=motion.scale / rest.scale,
        absolute=motion.absolute - set(HEAD),
    )  # fmt: skip


def turn_head(motion: FaceMotion, pitch: float, yaw: float, roll: float) -> FaceMotion:
    """The whole motion turned by constant angles in degrees."""
    if not (pitch or yaw or roll):
        return motion
    extra = rotation_matrix(torch.tensor([pitch, yaw, roll], dtype=torch.float32))
    return replace(motion, pose=pose_degrees(rotation_matrix(motion.pose) @ extra))


def set_controls(motion: FaceMotion, changes: dict[str, Tensor]) -> FaceMotion:
    """Replace named controls by tracks [N]; the expression changes by what the rig gives for the difference."""
    controls = motion.controls.clone()
    for name, track in changes.items():
        controls[:, CONTROLS.index(name)] = track
    difference = controls_to_expression(controls) - controls_to_expression(motion.controls)
    return replace(motion, controls=controls, expression=motion.expression + difference)


def scale_blinks(motion: FaceMotion, factor: float) -> FaceMotion:
    """Blinks made deeper or shallower; 0 keeps the eyes open."""
    names = ("eyeBlinkLeft", "eyeBlinkRight")
    return set_controls(motion, {name: factor * motion.controls[:, CONTROLS.index(name)] for name in names})


def gate_silence(motion: FaceMotion, speech: Tensor) -> FaceMotion:
    """Lips at rest where `speech` [N] is 0, as they are where it is 1."""
    rest = rest_frame(motion)
    still = replace(
        motion, expression=rest.expression.expand_as(motion.expression), controls=rest.controls.expand_as(motion.controls)
    )
    return blend(motion, still, 1 - speech.float(), ("lips",))


def clamp_motion(motion: FaceMotion, degrees: float = 25.0, sigmas: float = 4.0) -> FaceMotion:
    """Cut outliers: expression beyond `sigmas` deviations from its mean, head turns beyond `degrees`."""
    mean, deviation = motion.expression.mean(0), motion.expression.std(0, unbiased=False)
    low, high = mean - sigmas * deviation, mean + sigmas * deviation
    centre, spread = motion.controls.mean(0), sigmas * motion.controls.std(0, unbiased=False)
    return replace(
        motion, expression=motion.expression.clamp(low, high), controls=motion.controls.clamp(centre - spread, centre + spread),
        pose=motion.pose.clamp(-degrees, degrees),
    )  # fmt: skip


def measured_intensity(motion: FaceMotion) -> tuple[float, float]:
    """How much moves: temporal deviation of the expression (keypoint units, x1000) and of the head pose (degrees)."""
    expression = motion.expression.std(0, unbiased=False).square().sum().sqrt()
    turn = pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(motion.median_frame().pose).T)
    return float(expression * 1000), float(np.sqrt(turn.numpy().var(0).sum()))
