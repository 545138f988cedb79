"""Whether a face is a photo or a drawing of flat colours and ink lines, told from its flat parts and its edges."""

import numpy as np
import torch
from torch import Tensor

from ...media.pixels import resize_antialiased
from .colours import LUMINANCE, face_part

SIZE = (160, 128)  # rows and columns that the face is looked at with
FLAT, EDGE = 0.006, 0.08  # luminance per pixel: less is flat, more is an edge
# share of flat plus share of edges: inked drawings start at 0.54, paintings and smooth renders reach 0.49; photos too,
# or 0.54 where their skin is smooth: drawings have lines as well
DRAWN, LINES = 0.535, 0.08


def is_drawn(image: Tensor, points: np.ndarray) -> bool:
    """Whether the face with landmarks [478,3] in a picture [H,W,3] is drawn: flat between sharp lines."""
    face = face_part(image, points)
    if min(face.shape[:2]) < 2:
        return False
    light = resize_antialiased(face, SIZE[1], SIZE[0]) @ LUMINANCE
    down, across = torch.gradient(light)
    slope = torch.hypot(down, across)
    flat, lines = float((slope < FLAT).float().mean()), float((slope > EDGE).float().mean())
    return flat + lines > DRAWN and lines > LINES


def ink_of(image: Tensor, points: np.ndarray) -> Tensor:
    """[3] colour of a drawing's lines: the median of the darkest twentieth of the face."""
    face = face_part(image, points)
    step = max(1, max(face.shape[:2]) // 512)
    colours = face[::step, ::step].reshape(-1, 3)
    light = colours @ LUMINANCE
    return colours[light <= light.quantile(0.05)].median(0).values
