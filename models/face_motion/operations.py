"""Pure operations on FACE_MOTION: each takes motions and gives a new one; both views (expression, controls) stay equal.

In this order: time, mixing, intensity, head, eyes and lips.

What an absolute motion is relative to is pinned before its frames change, so that cutting or mixing does not move its rest.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .rig import CONTROLS, controls_to_expression, tied
from .rotation import pose_degrees, rotation_matrix, slerp

HEAD = ("pose", "translation", "scale")
EXPRESSION = ("lips", "eyes", "rest")
HEAD_MODES = ("scale", "hold", "follow", "add")
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
SIGNED = ("gazeX", "gazeY", "browInnerUp", "mouthSmile")  # -1..1; every other control is 0..1
TRACKS = ("expression", "pose", "translation", "scale", "controls", "valid")


class Intensity(NamedTuple):
    """Root mean square over time of the distance from the mean: keypoint units x 1000, and degrees."""

    expression: float
    head: float


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


def measured_intensity(motion: FaceMotion) -> Intensity:
    """How much moves in `motion`; 0 and 0 for a still one."""
    expression = motion.expression.var(0, unbiased=False).sum().sqrt()
    turn = pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(motion.median_frame().pose).T)
    return Intensity(float(expression * 1000), float(np.sqrt(turn.numpy().var(0).sum())))


def rest_frame(motion: FaceMotion) -> FaceFrame:
    """What the motion moves about: nothing for changes; for absolute groups its reference, or its median frame."""
    still, known, absolute = FaceFrame(), pinned(motion).reference, motion.absolute
    if not absolute or known is None:
        return still
    extra, controls = torch.zeros(1, 21, 3), still.controls.clone()
    for group in absolute & set(EXPRESSION):
        rows, columns = list(KEYPOINTS[group]), list(CONTROL_GROUPS[group])
        extra[:, rows] = residual(known)[:, rows]
        controls[columns] = known.controls[columns]
    return FaceFrame(
        tied(controls_to_expression(controls[None]) + extra, controls[None])[0],
        known.pose if "pose" in absolute else still.pose,
        known.translation if "translation" in absolute else still.translation,
        known.scale if "scale" in absolute else still.scale,
        controls,
    )


def scale_intensity(motion: FaceMotion, expression: float = 1.0, head: float = 1.0) -> FaceMotion:
    """Motion about its rest made larger or smaller: 0 is still, 1 exactly unchanged; expression and head apart."""
    if expression == 1.0 and head == 1.0:
        return motion
    motion, rest = pinned(motion), rest_frame(motion)
    if expression != 1.0:
        motion = replace(
            motion,
            expression=rest.expression + expression * (motion.expression - rest.expression),
            controls=rest.controls + expression * (motion.controls - rest.controls),
        )
    if head != 1.0:
        still = rotation_matrix(rest.pose)
        turn = pose_degrees(rotation_matrix(motion.pose) @ still.T)
        scaled = slerp(torch.zeros_like(turn), turn, torch.full((len(motion),), float(head)))
        motion = replace(
            motion,
            pose=pose_degrees(rotation_matrix(scaled) @ still),
            translation=rest.translation + head * (motion.translation - rest.translation),
            scale=rest.scale * (motion.scale / rest.scale) ** head,
        )
    return motion


def clamp_motion(motion: FaceMotion, degrees: float = 25.0, margin: float = 0.0) -> FaceMotion:
    """Cut what no face does: controls to their range about the rest, widened by `margin`; head turns to `degrees`."""
    motion, rest = pinned(motion), rest_frame(motion)
    low = torch.tensor([-1.0 if name in SIGNED else 0.0 for name in CONTROLS]) - margin
    controls = rest.controls + (motion.controls - rest.controls).clamp(low, torch.full_like(low, 1 + margin))
    still = rotation_matrix(rest.pose)
    turn = pose_degrees(rotation_matrix(motion.pose) @ still.T)
    pose = motion.pose.clone()
    far = turn.abs().amax(1) > degrees
    pose[far] = pose_degrees(rotation_matrix(turn[far].clamp(-degrees, degrees)) @ still)
    difference = controls_to_expression(controls) - controls_to_expression(motion.controls)
    return replace(motion, controls=controls, expression=motion.expression + difference, pose=pose)


def head_motion(
    motion: FaceMotion, mode: str, amount: float = 1.0, smoothing: float = 0.0,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0), leader: FaceMotion | None = None,
) -> FaceMotion:  # fmt: skip
    """A motion with another head: HEAD_MODES, factor, seconds, degrees; ValueError if the leader is missing or not wanted."""
    if mode in ("follow", "add"):
        if leader is None:
            raise ValueError(f"Head Motion: mode is {mode}, but leader is not connected; connect the motion whose head is wanted.")
        led = scale_intensity(leader, head=amount)
        motion = follow_head(motion, led) if mode == "follow" else add_head(motion, led)
    else:
        motion = scale_intensity(motion, head=0.0 if mode == "hold" else amount)
    return turn_head(smooth(motion, smoothing), *turn)


def hold_head(motion: FaceMotion) -> FaceMotion:
    """The head as in the photo, the face as it was."""
    return scale_intensity(motion, head=0.0)


def head_as_change(motion: FaceMotion) -> FaceMotion:
    """The same motion with its head given as a change from its rest."""
    if not motion.absolute & set(HEAD):
        return motion
    motion, rest = pinned(motion), rest_frame(motion)
    return replace(
        motion, pose=pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(rest.pose).T),
        translation=motion.translation - rest.translation, scale=motion.scale / rest.scale,
        absolute=motion.absolute - set(HEAD),
    )  # fmt: skip


def follow_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The face of `motion` with the head of `leader`, as changes, brought to the same rate and length."""
    led = head_as_change(retime(leader, motion.fps, len(motion)))
    return replace(head_as_change(motion), pose=led.pose, translation=led.translation, scale=led.scale)


def add_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The head of `leader`, as a change, on top of the head of `motion`, brought to the same rate and length."""
    led = head_as_change(retime(leader, motion.fps, len(motion)))
    return replace(
        pinned(motion), pose=pose_degrees(rotation_matrix(led.pose) @ rotation_matrix(motion.pose)),
        translation=motion.translation + led.translation, scale=motion.scale * led.scale,
    )  # fmt: skip


def turn_head(motion: FaceMotion, pitch: float, yaw: float, roll: float) -> FaceMotion:
    """The whole motion turned by constant angles in degrees; what it is relative to stays, so the turn is seen."""
    if not (pitch or yaw or roll):
        return motion
    extra = rotation_matrix(torch.tensor([pitch, yaw, roll], dtype=torch.float32))
    return replace(pinned(motion), pose=pose_degrees(rotation_matrix(motion.pose) @ extra))


def set_controls(motion: FaceMotion, changes: Mapping[str, Tensor]) -> FaceMotion:
    """Replace named controls by tracks [N]; the expression changes by what the rig gives for the difference."""
    controls = motion.controls.clone()
    for name, track in changes.items():
        if name not in CONTROLS:
            raise ValueError(f"face motion: there is no control {name!r}; there are {', '.join(CONTROLS)}.")
        controls[:, CONTROLS.index(name)] = track
    difference = controls_to_expression(controls) - controls_to_expression(motion.controls)
    return replace(pinned(motion), controls=controls, expression=motion.expression + difference)


def control(motion: FaceMotion, name: str) -> Tensor:
    """One control [N] as a change from the motion's rest."""
    return motion.controls[:, CONTROLS.index(name)] - rest_frame(motion).controls[CONTROLS.index(name)]


def set_about_rest(motion: FaceMotion, changes: Mapping[str, Tensor]) -> FaceMotion:
    """Replace named controls by tracks [N] that are changes from the motion's rest."""
    rest = rest_frame(motion).controls
    return set_controls(motion, {name: rest[CONTROLS.index(name)] + track for name, track in changes.items()})


def scale_blinks(motion: FaceMotion, factor: float) -> FaceMotion:
    """Blinks made deeper or shallower, never further than shut; 0 keeps the eyes as they are at rest, 1 changes nothing."""
    if factor == 1.0:
        return motion
    tracks = {name: control(motion, name) for name in BLINKS}
    return set_about_rest(motion, {name: torch.minimum(factor * t, t.clamp(min=1.0)) for name, t in tracks.items()})


def insert_blinks(motion: FaceMotion, times: Sequence[float], seconds: float = 0.3, amount: float = 1.0) -> FaceMotion:
    """Blinks that are shut at `times` (seconds) and last `seconds` from open to open; lids close twice as fast as they open."""
    now = (torch.arange(len(motion), dtype=torch.float64) + 0.5) / float(motion.fps)
    shut = torch.zeros(len(motion))
    for time in times:
        if not 0 <= time < motion.seconds:
            raise ValueError(f"face motion: a blink at {time:g} s lies outside the motion, which lasts {motion.seconds:g} s.")
        # The frame nearest to the time is the shut one, or a blink between two frames would never close.
        away = now - now[(now - time).abs().argmin()]
        part = torch.where(away < 0, -3 * away, 1.5 * away) / seconds
        shut = torch.maximum(shut, amount * (0.5 + 0.5 * torch.cos(torch.pi * part.clamp(max=1))).float())
    return set_about_rest(motion, {name: torch.maximum(control(motion, name), shut) for name in BLINKS})


def set_gaze(motion: FaceMotion, x: Tensor | float, y: Tensor | float, replace_own: bool = True) -> FaceMotion:
    """Look along x, y (-1..1, picture's right and up; one number or a track [N]), instead of or on top of the own gaze."""
    tracks = {"gazeX": x, "gazeY": y}
    wanted = {name: torch.as_tensor(t, dtype=torch.float32).expand(len(motion)) for name, t in tracks.items()}
    if not replace_own:
        wanted = {name: (control(motion, name) + track).clamp(-1, 1) for name, track in wanted.items()}
    return set_about_rest(motion, wanted)


def gate_silence(motion: FaceMotion, speech: Tensor) -> FaceMotion:
    """Lips at rest where `speech` [N] (0..1) is 0, as they are where it is 1; ValueError if lengths differ."""
    if tuple(speech.shape) != (len(motion),):
        raise ValueError(f"face motion: speech has shape {tuple(speech.shape)}, but there are {len(motion)} frames.")
    motion, rest = pinned(motion), rest_frame(motion)
    still = replace(
        motion,
        expression=rest.expression.expand_as(motion.expression),
        controls=rest.controls.expand_as(motion.controls),
    )
    return blend(motion, still, 1 - speech.float().clamp(0, 1), ("lips",))
