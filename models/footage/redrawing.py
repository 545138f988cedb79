"""Dubs with a portrait renderer: every frame is a portrait of its own, which gets the shot's calm lips and then the new
ones; of what is drawn only the lower face is taken.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..contracts import PortraitRenderer
from ..face_motion import CONTROLS, KEYPOINTS, FaceMotion, controls_to_expression
from ..media.pixels import Box
from ..portrait import FaceLandmarks478
from ..rendering import at_once, drawn_part, prepare_each, render_each
from .dubbing import Asked, DrawnPart
from .footage import Shot
from .mouth_region import changed_box, lower_face_mask

MOST_AT_ONCE = 8  # frames, which wait in the host's memory
STRETCHED, ROUNDED = 0.09, 0.23  # how much wider and narrower mouthStretch and mouthPucker make a mouth


class RedrawingDubber:
    """Draws the frames of one shot by a renderer whose lips can be told as absolute values, such as LivePortrait.

    edge: width of the soft edge in mouth widths. ValueError in words if the renderer cannot draw this face.
    """

    def __init__(self, renderer: PortraitRenderer, shot: Shot, edge: float, device: torch.device):
        assert shot.reference is not None and shot.neutral is not None
        self.renderer, self.edge, self.device = renderer, edge, device
        source = shot.reference
        face = FaceLandmarks478(source.points.astype(np.float32))
        (portrait,) = prepare_each(renderer, [source.picture], [face])
        self.lips = portrait.motion.expression[list(KEYPOINTS["lips"])]
        self.at_once = min(at_once(renderer, portrait, device), MOST_AT_ONCE)
        self.calm_width = mouth_width(shot.neutral.face)

    def draw(self, asked: Sequence[Asked]) -> list[DrawnPart | None]:
        """See Dubber. The residual is 0: what covers the mouth is drawn anew as well, and cannot be told."""
        faces = [FaceLandmarks478(one.seen.astype(np.float32)) for one in asked]
        portraits = prepare_each(self.renderer, [one.frame for one in asked], faces)
        motions = [self.motion(one.controls, one.calm) for one in asked]
        pictures = render_each(self.renderer, portraits, motions, self.device)
        return [
            self.lower_face(one, drawn_part(self.renderer, portrait), picture.float().cpu())
            for one, portrait, picture in zip(asked, portraits, pictures, strict=True)
        ]

    def lower_face(self, one: Asked, drawn: Box, picture: Tensor) -> DrawnPart | None:
        """What is taken of a picture [h,w,3], drawn over a box of the frame."""
        box = common(changed_box(one.seen, one.calm, (one.frame.shape[0], one.frame.shape[1])), drawn)
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            return None
        picture = picture[y0 - drawn[1] : y1 - drawn[1], x0 - drawn[0] : x1 - drawn[0]]
        return DrawnPart(box, picture, lower_face_mask(one.seen, box, self.edge), 0.0)

    def motion(self, controls: Tensor, calm: np.ndarray) -> FaceMotion:
        """One frame: controls [12] on the shot's calm lips, as wide as those of `calm` [478,3]; all else stays."""
        controls = controls.clone()
        wider = mouth_width(calm) / self.calm_width - 1
        name, amount = ("mouthStretch", wider / STRETCHED) if wider > 0 else ("mouthPucker", -wider / ROUNDED)
        row = CONTROLS.index(name)
        controls[row] = (controls[row] + amount).clamp(0, 1.2)
        expression = controls_to_expression(controls[None])
        expression[:, list(KEYPOINTS["lips"])] += self.lips
        still = torch.zeros(1, 3)
        return FaceMotion.from_expression(
            expression, still, still, torch.ones(1), Fraction(1), source={}, absolute=frozenset({"lips"})
        )


def mouth_width(face: np.ndarray) -> float:
    """How wide the mouth of a face [478,3] is, in distances of the eyes."""
    return float(np.linalg.norm(face[61] - face[291]) / max(np.linalg.norm(face[33] - face[263]), 1e-6))


def common(one: Box, other: Box) -> Box:
    """The pixels that two boxes share; empty if its sides cross."""
    return max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
