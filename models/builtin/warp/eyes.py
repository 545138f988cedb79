"""Eyes as inverse maps: the upper lid slides down over the eyeball, the iris moves within the opening.

Frame per eye: origin between its corners, unit = eye width, v down.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .curves import Frame, look_up, smoothstep, table_of

EYES = {
    "eyeBlinkRight": ([33, 246, 161, 160, 159, 158, 157, 173, 133],
    [33, 7, 163, 144, 145, 153, 154, 155, 133],
                      [70, 63, 105, 66, 107]),
    "eyeBlinkLeft": ([362, 398, 384, 385, 386, 387, 388, 466, 263],
    [362, 382, 381, 380, 374, 373, 390, 249, 263],
                     [300, 293, 334, 296, 336]),
}  # fmt: skip
LASHES = 0.075  # height of the band that moves with the lid's edge
OVERLAP = 0.03  # how far a shut lid lies over the lower one
GAZE = (0.13, 0.055)  # of the eye's width, at gaze 1
LID_TINT = 0.4  # how much of a stretched lid is plain skin colour


@dataclass(frozen=True)
class Eye:
    """Tables of one eye: curves [3,TABLE] upper lid, lower lid, brow; tone [3] colour of the skin beside it."""

    name: str
    frame: Frame
    curves: Tensor
    tone: Tensor
    box: tuple[int, int, int, int]


def make_eye(name: str, points: np.ndarray, image: Tensor) -> Eye:
    """Tables of one eye for landmarks [478,3] in a picture [H,W,3]."""
    upper, lower, brow = EYES[name]
    frame = Frame.between(points[upper[0]], points[upper[-1]])
    curves = torch.stack([table_of(frame.points(points[rows])) for rows in (upper, lower, brow)])
    curves[2] = curves[2].min()
    reach_up = float(-curves[2].min()) + 0.35
    half = int(np.ceil(frame.unit * max(1.1, reach_up)))
    height, width = image.shape[:2]
    x, y = frame.origin
    box = (
        max(0, int(x) - half),
        max(0, int(y) - half),
        min(width, int(x) + half + 1),
        min(height, int(y) + half + 1),
    )
    return Eye(name, frame, curves, skin_tone(frame, curves, image), box)


def skin_tone(frame: Frame, curves: Tensor, image: Tensor) -> Tensor:
    """[3] median colour of the skin between lid and brow."""
    u = torch.linspace(-0.3, 0.3, 13)
    lid, _, brow = look_up(curves, u)
    x, y = frame.to_pixels(u, lid + 0.45 * (brow - lid))
    rows = y.long().clamp(0, image.shape[0] - 1)
    columns = x.long().clamp(0, image.shape[1] - 1)
    return image[rows, columns].median(0).values


def eye_map(eye: Eye, x: Tensor, y: Tensor, blink: Tensor, gaze: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Source pixels (x, y) of places [n,h,w] in the photo's frame, and how much of lid skin to tint there.

    `blink` [n,1,1] in 0..1; `gaze` [n,2,1,1], picture right and up positive.
    """
    u, v = eye.frame.to_local(x, y)
    upper, lower, brow = look_up(eye.curves.to(u.device), u)
    blink = blink * smoothstep((0.62 - u.abs()) / 0.14)
    lid = upper + blink * (lower + OVERLAP - upper)
    top = torch.minimum(brow + 0.16, upper - 0.14)
    edge = lid - LASHES
    stretched = top + (v - top) * (upper - LASHES - top) / (edge - top).clamp(min=1e-3)
    source_v = torch.where(v < edge, stretched, v - (lid - upper))
    source_v = torch.where((v > lid) | (v < top), v, source_v)
    opening = smoothstep((v - lid) / 0.06) * smoothstep((lower - v) / 0.06) * (1 - (2 * u) ** 2).clamp(min=0)
    source_u = u - GAZE[0] * gaze[:, 0] * opening
    source_v = source_v + GAZE[1] * gaze[:, 1] * opening
    moved = (blink > 0) | (opening * gaze.abs().amax(1) > 0)
    tint = LID_TINT * smoothstep((v - (upper - LASHES)) / 0.1) * smoothstep((edge - v) / 0.05) * (blink > 0)
    source_x, source_y = eye.frame.to_pixels(source_u, source_v)
    return torch.where(moved, source_x, x), torch.where(moved, source_y, y), tint
