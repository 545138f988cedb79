"""What the eyes do: blinks about the motion's rest."""

from dataclasses import replace

import torch

from .container import FaceMotion
from .rest import pinned, rest_frame
from .rig import CONTROLS, controls_to_expression

BLINKS = [CONTROLS.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]


def scale_blinks(motion: FaceMotion, factor: float) -> FaceMotion:
    """Blinks made deeper or shallower, never further than shut; 0 keeps the eyes as at rest, 1 changes nothing."""
    if factor == 1.0:
        return replace(motion)
    controls, rest = motion.controls.clone(), rest_frame(motion).controls[BLINKS]
    closed = controls[:, BLINKS] - rest
    controls[:, BLINKS] = rest + torch.minimum(factor * closed, closed.clamp(min=1.0))
    moved = controls_to_expression(controls) - controls_to_expression(motion.controls)
    return replace(pinned(motion), controls=controls, expression=motion.expression + moved)
