"""What the artist's settings make of drawn motion: steady lips, a quiet mouth in silence, blinks when they are due."""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..engine import MotionSettings
from ..face_motion import (
    CONTROL_GROUPS,
    CONTROLS,
    KEYPOINTS,
    FaceMotion,
    controls_to_expression,
    expression_to_controls,
)
from ..face_motion.procedural import RAMP_SECONDS, REST_CLOSURE
from ..face_motion.rig import tied
from .config import ANGLES, EXPRESSION, FPS, SCALE, TRANSLATION

LIPS = list(CONTROL_GROUPS["lips"])
BLINKS = [CONTROLS.index("eyeBlinkLeft"), CONTROLS.index("eyeBlinkRight")]
GAZE = [CONTROLS.index("gazeX"), CONTROLS.index("gazeY")]
BROW, CLOSE = CONTROLS.index("browInnerUp"), CONTROLS.index("mouthClose")


def resting_controls(face: Tensor) -> Tensor:
    """[12] controls of a silent face whose emotion changes the expression by `face` [63]: that, and lips that touch."""
    rest = expression_to_controls(face[None].unflatten(1, (21, 3)))[0]
    rest[CLOSE] += REST_CLOSURE
    return rest


def near_blinks(closure: Tensor) -> Tensor:
    """[N] 1 where lids [N] are commanded to move, one frame wider on each side, else 0."""
    moving = (closure > 0).float()[None, None]
    return torch.nn.functional.max_pool1d(moving, 3, 1, 1)[0, 0]


def spoken_motion(
    steady: Tensor, free: Tensor, face: Tensor, gate: np.ndarray, blinking: Tensor, settings: MotionSettings,
    source: dict,
    first: int = 0,
) -> FaceMotion:  # fmt: skip
    """Changes from the photo: lips of `steady` [N,70], everything else of `free` [N,70], both in units.

    face [63]: change that the emotion makes. gate [N]: 0 silence, 1 speech. blinking [N]: see `near_blinks`.
    The first of these frames is the film's frame `first`.
    """
    rest, speaking = resting_controls(face), torch.from_numpy(gate)[:, None]
    expressions = [motion[:, :EXPRESSION].unflatten(1, (21, 3)) for motion in (steady, free)]
    found, controls = (expression_to_controls(expression) for expression in expressions)
    beyond = [e - controls_to_expression(c) for e, c in zip(expressions, (found, controls), strict=True)]
    lips = rest[LIPS] + speaking * (found[:, LIPS] - rest[LIPS])
    controls[:, LIPS] = lips * settings.mouth_amount
    lids = (controls[:, BLINKS] - rest[BLINKS]) * blinking[:, None]
    lids[:, 1] *= 1 - settings.blink_asymmetry
    controls[:, BLINKS] = rest[BLINKS] + lids
    controls[:, GAZE] *= settings.head_amount  # the eyes wander with the head
    controls[:, BROW] = rest[BROW] + settings.brow_amount * (controls[:, BROW] - rest[BROW])
    controls = controls.clamp(-1, 1)
    keypoints = list(KEYPOINTS["lips"])
    extra = beyond[1].clone()
    extra[:, keypoints] = beyond[0][:, keypoints] * settings.mouth_amount
    # from the photo's own pose
    ramp = (torch.arange(first, first + len(free)) / (RAMP_SECONDS * FPS)).clamp(max=1)[:, None]
    head = settings.head_amount * ramp * ramp * (3 - 2 * ramp)
    return FaceMotion(
        tied(controls_to_expression(controls) + extra, controls), head * free[:, ANGLES],
            head * free[:, TRANSLATION],
        1 + head[:, 0] * (free[:, SCALE] - 1), controls, torch.ones(len(free), dtype=torch.bool),
        Fraction(FPS), source=source,
    )  # fmt: skip
