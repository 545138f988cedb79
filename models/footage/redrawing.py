"""Dubs with a portrait renderer: every frame is a portrait of its own, which gets the shot's calm lips and then the new
ones; of what is drawn only the lower face is taken.
"""

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..contracts import PortraitRenderer
from ..face_motion import CONTROLS, KEYPOINTS, FaceMotion, controls_to_expression
from ..media.pixels import Box
from ..portrait import FaceLandmarks478, Portrait
from ..rendering import drawn_part, render_parts
from .dubbing import DrawnPart
from .footage import Shot
from .mouth_region import changed_box, lower_face_mask

STRETCHED, ROUNDED = 0.09, 0.23  # how much wider and narrower mouthStretch and mouthPucker make a mouth


class RedrawingDubber:
    """Draws the frames of one shot by a renderer whose lips can be told as absolute values, such as LivePortrait.

    edge: width of the soft edge in mouth widths. ValueError in words if the renderer cannot draw this face.
    """

    def __init__(self, renderer: PortraitRenderer, shot: Shot, edge: float, device: torch.device):
        assert shot.reference is not None and shot.neutral is not None
        self.renderer, self.edge, self.device = renderer, edge, device
        source = shot.reference
        self.lips = self.portrait(source.picture, source.points).motion.expression[list(KEYPOINTS["lips"])]
        self.calm_width = mouth_width(shot.neutral.face)

    def portrait(self, picture: Tensor, points: np.ndarray) -> Portrait:
        """A picture [H,W,3] in 0..1 whose face is points [478,3], as the renderer prepares it."""
        face = FaceLandmarks478(points.astype(np.float32))
        return Portrait.of(self.renderer.prepare(picture, face), picture, face, self.renderer.id)

    def draw(self, frame: Tensor, seen: np.ndarray, calm: np.ndarray, controls: Tensor) -> DrawnPart | None:
        """See Dubber. The residual is 0: what covers the mouth is drawn anew as well, and cannot be told."""
        portrait = self.portrait(frame, seen)
        around, drawn = (
            changed_box(seen, calm, (frame.shape[0], frame.shape[1])),
            drawn_part(self.renderer, portrait),
        )
        box = common(around, drawn)
        if box[2] <= box[0] or box[3] <= box[1]:
            return None
        (picture,) = torch.cat(
            [*render_parts(self.renderer, portrait, self.motion(controls, calm), self.device)]
        ).cpu()
        x0, y0, x1, y1 = box
        picture = picture[y0 - drawn[1] : y1 - drawn[1], x0 - drawn[0] : x1 - drawn[0]].float()
        return DrawnPart(box, picture, lower_face_mask(seen, box, self.edge), 0.0)

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
