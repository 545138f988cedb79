"""What of a frame a new mouth may change."""

import numpy as np
import torch
from torch import Tensor

from ..face.regions import MOUTH_AREA, draw_region, hull
from ..media.pixels import Box
from .footage import JAW

AROUND, BELOW = 0.1, 0.8  # mouth widths around mouth and jaw, and below the jaw, that a drawing may change
DROPPED = 0.35  # mouth widths that an open jaw may come down


def changed_box(seen: np.ndarray, calm: np.ndarray, size: tuple[int, int]) -> Box:
    """Mouth, chin and throat of faces [478,3], in whole pixels of a picture of `size` (H, W)."""
    width = np.linalg.norm(calm[61, :2] - calm[291, :2])
    throat = seen[list(JAW), :2] + BELOW * width * downwards(seen)
    rows = [*MOUTH_AREA, *JAW]
    touched = np.concatenate([seen[rows, :2], calm[rows, :2], throat])
    low, high = touched.min(0) - AROUND * width, touched.max(0) + AROUND * width
    limit = [size[1], size[0]]
    x0, y0 = np.floor(low).astype(int).clip(0, limit)
    x1, y1 = np.ceil(high).astype(int).clip(0, limit)
    return int(x0), int(y0), int(x1), int(y1)


def lower_face_mask(seen: np.ndarray, box: Box, edge: float) -> Tensor:
    """[h,w] over a box: mouth and jaw of a face [478,3] with room for an open jaw, soft inwards over `edge` mouth
    widths."""
    width = float(np.linalg.norm(seen[61, :2] - seen[291, :2]))
    jaw = seen[list(JAW), :2]
    outline = np.concatenate([seen[list(MOUTH_AREA), :2], jaw, jaw + DROPPED * width * downwards(seen)])
    mask = torch.zeros(box[3] - box[1], box[2] - box[0])
    draw_region(mask, hull(outline) - np.array(box[:2]), edge * width, -edge * width / 2)
    return mask


def downwards(seen: np.ndarray) -> np.ndarray:
    """[2] the way from brow to chin of a face [478,3], of length 1."""
    down = seen[152, :2] - seen[168, :2]
    return down / max(np.linalg.norm(down), 1e-6)
