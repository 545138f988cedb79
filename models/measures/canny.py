"""Canny's edges (1986) as scikit-image 0.26 finds them by default: what CPBD counts blocks with."""

import numpy as np
from scipy.ndimage import gaussian_filter, label, sobel

SIGMA, LOW, HIGH = 1.0, 0.1, 0.2  # of levels 0..255: nearly every ridge of the gradient is an edge


def canny(picture: np.ndarray) -> np.ndarray:
    """Grey levels [H,W] -> bool [H,W]: ridges of the smoothed picture's gradient that hang together with a strong one.

    Beyond the picture there is nothing, which the smoothing makes up for; its border is no edge.
    """
    levels = picture.astype(np.float64)
    weight = gaussian_filter(np.ones_like(levels), SIGMA, mode="constant") + np.finfo(float).eps
    smooth = gaussian_filter(levels, SIGMA, mode="constant") / weight
    ridges = ridge_strength(sobel(smooth, axis=0), sobel(smooth, axis=1))
    labels, _ = label(ridges > 0, np.ones((3, 3)))  # type: ignore[misc]
    strong = np.unique(labels[ridges >= HIGH])
    return np.isin(labels, strong[strong > 0])


def ridge_strength(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Derivatives [H,W] -> the gradient's length where no neighbour along its direction has a longer one, else 0.

    Between two neighbours the length is interpolated.
    """
    length = np.sqrt(down**2 + right**2)
    steep, flat = np.abs(down), np.abs(right)
    falling = ((down >= 0) & (right >= 0)) | ((down <= 0) & (right <= 0))  # along the main diagonal
    upright = np.where(falling, steep > flat, steep >= flat)
    # how far to go from the nearest neighbour to that on the diagonal
    part = np.minimum(steep, flat) / np.maximum(np.maximum(steep, flat), np.finfo(float).tiny)
    result = np.zeros_like(length)
    inner = (slice(1, -1), slice(1, -1))
    own, w = length[inner], part[inner]
    highest = np.ones(own.shape, bool)
    for side in (1, -1):
        beside = np.where(upright[inner], shifted(length, side, 0), shifted(length, 0, side))
        below = np.where(upright[inner], shifted(length, -side, 0), shifted(length, 0, side))
        near = np.where(falling[inner], beside, below)
        far = np.where(falling[inner], shifted(length, side, side), shifted(length, -side, side))
        highest &= far * w + near * (1 - w) <= own
    result[inner] = np.where(highest & (own >= LOW), own, 0)
    return result


def shifted(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The inner pixels' neighbours that lie so many rows down and columns right, [H-2,W-2]."""
    height, width = values.shape
    return values[1 + rows : height - 1 + rows, 1 + columns : width - 1 + columns]
