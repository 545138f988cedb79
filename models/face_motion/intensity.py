"""How much a face moves: measured, and made more or less, expression and head apart."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from .container import CONTROL_GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .operations import EXPRESSION, pinned, residual
from .rig import CONTROLS, controls_to_expression, tied
from .rotation import pose_degrees, rotation_matrix, slerp

SIGNED = ("gazeX", "gazeY", "browInnerUp", "mouthSmile")  # -1..1; every other control is 0..1


class Intensity(NamedTuple):
    """Root mean square over time of the distance from the mean: keypoint units x 1000, and degrees."""

    expression: float
    head: float


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
