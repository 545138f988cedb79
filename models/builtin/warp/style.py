"""Whether a face is a photo or a drawing of flat colours and ink lines, told from its flat parts and its edges."""

import numpy as np
import torch
from torch import Tensor

from ...media.pixels import resize_antialiased
from .colours import LUMINANCE, face_part

SIZE = (160, 128)  # rows and columns that the face is looked at with
FLAT, EDGE = 0.006, 0.08  # luminance per pixel: less is flat, more is an edge
# share of flat plus share of edges: photos reach 0.47, paintings and smooth renders 0.49, inked drawings start at 0.54
DRAWN = 0.52


def is_drawn(image: Tensor, points: np.ndarray) -> bool:
    """Whether the face with landmarks [478,3] in a picture [H,W,3] is drawn: flat between sharp lines."""
    face = face_part(image, points)
    if min(face.shape[:2]) < 2:
        return False
    light = resize_antialiased(face, SIZE[1], SIZE[0]) @ LUMINANCE
    down, across = torch.gradient(light)
    slope = torch.hypot(down, across)
    return float((slope < FLAT).float().mean() + (slope > EDGE).float().mean()) > DRAWN


def ink_of(image: Tensor, points: np.ndarray) -> Tensor:
    """[3] colour of a drawing's lines: the median of the darkest twentieth of the face."""
    face = face_part(image, points)
    step = max(1, max(face.shape[:2]) // 512)
    colours = face[::step, ::step].reshape(-1, 3)
    light = colours @ LUMINANCE
    return colours[light <= light.quantile(0.05)].median(0).values
