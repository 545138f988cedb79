"""The part of a picture around one face, made small enough to be drawn at once."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..media.pixels import Box, resize_antialiased

SHOWN = 2.0  # sides of the square that is shown, in heights of the face
AROUND = 1.2  # side of what is kept, in sides of the square: a head that turns needs what lies beside it
UP = 0.08  # of the square, by which its middle lies above the face's: hair is part of a face to an artist


@dataclass(frozen=True)
class CloseUp:
    """picture: [h,w,3] in 0..1, with the face's points [478,3] in its pixels; window: the square to show."""

    picture: Tensor
    points: np.ndarray
    window: Box


def face_square(points: np.ndarray, height: int, width: int) -> Box:
    """The square around a face [478,3] of a picture; at the picture's edge it is moved inside, or cut."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    side = SHOWN * float(max(high - low))
    centre = (low + high) / 2 - [0, UP * side]
    return inside(centre, side, height, width)


def inside(centre: np.ndarray, side: float, height: int, width: int) -> Box:
    """A square of whole pixels about a place, moved into the picture and cut where it is larger."""
    edges = []
    for middle, limit in zip(centre, (width, height), strict=True):
        length = min(round(side), limit)
        start = min(max(round(middle - length / 2), 0), limit - length)
        edges.append((start, start + length))
    (x0, x1), (y0, y1) = edges
    return x0, y0, x1, y1


def close_up(image: Tensor, points: np.ndarray, side: int) -> CloseUp:
    """The face's square of a picture [H,W,3], at most `side` pixels long, with what lies around it."""
    height, width = image.shape[:2]
    square = face_square(points, height, width)
    x0, y0, x1, y1 = square
    longest = max(x1 - x0, y1 - y0)
    left, top, right, bottom = inside(np.array([x0 + x1, y0 + y1]) / 2, AROUND * longest, height, width)
    scale = min(1.0, side / longest)
    part = image[top:bottom, left:right]
    columns, rows = (max(2, round(scale * length)) for length in (right - left, bottom - top))
    moved = (points - [left, top, 0]) * scale
    window = tuple(round(scale * edge) for edge in (x0 - left, y0 - top, x1 - left, y1 - top))
    return CloseUp(
        resize_antialiased(part, columns, rows), moved.astype(points.dtype), limited(window, columns, rows)
    )


def limited(window: tuple[int, ...], columns: int, rows: int) -> Box:
    """A rectangle that does not reach beyond a picture."""
    x0, y0, x1, y1 = window
    return max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)
