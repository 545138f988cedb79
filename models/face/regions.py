"""Which pixels of a face speech moves and which expression moves."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull
from torch import Tensor

from .following import follow_face, missing_text

MISSING_MODES = ("error", "hold", "interpolate")
# In order around the face, from the middle of the forehead towards the picture's right.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# What speech moves: from under the nose and the folds beside the mouth down to the jaw line and chin.
MOUTH_AREA = (
    2, 97, 326, 98, 327, 206, 426, 216, 436, 207, 427, 214, 434, 135, 364, 136, 365, 150, 379, 149, 378,
    176, 400, 148, 377, 152,
)  # fmt: skip


@dataclass(frozen=True)
class RegionMasks:
    """Masks [N,H,W] float32 0..1 on the CPU with mouth + expression = face, and the frames that held no such face."""

    face: Tensor
    mouth: Tensor
    expression: Tensor
    missed: tuple[int, ...]


def region_masks(
    landmarks: Mapping[str, Any], index: int, box: Any, feather: float, grow: float, missing: str
) -> RegionMasks:
    """Region masks of one face over all frames.

    index and box choose the face (see `follow_face`); feather is the width in pixels of the soft edge, which lies half
    inside and half outside; grow moves the edge out (negative: in) by pixels; missing is one of MISSING_MODES.
    ValueError where no frame has the face, or any lacks it and missing is "error".
    """
    height, width = landmarks["image_size"]
    tracked = follow_face(landmarks, index, box)
    if missing == "error" and (problem := missing_text(tracked, landmarks)):
        raise ValueError(f"{problem}. Set missing_face to hold or interpolate, or take another film.")
    missed = tuple(number for number, points in enumerate(tracked) if points is None)
    points = fill_missing(tracked, missing)
    shape = (len(points), int(height), int(width))
    face, mouth = torch.zeros(shape), torch.zeros(shape)
    for number, xy in enumerate(points):
        draw_region(face[number], xy[list(FACE_OVAL)], feather, grow)
        draw_region(mouth[number], hull(xy[list(MOUTH_AREA)]), feather, grow)
    mouth = torch.minimum(mouth, face)
    return RegionMasks(face, mouth, face - mouth, missed)


def draw_region(mask: Tensor, polygon: np.ndarray, feather: float, grow: float) -> None:
    """Write a filled polygon [P,2] (pixels) with a soft edge into mask [H,W]; only its surroundings are computed."""
    height, width = mask.shape
    margin = int(np.ceil(feather / 2 + abs(grow))) + 2
    low = np.floor(np.clip(polygon.min(0) - margin, -margin, (width + margin, height + margin))).astype(int)
    high = np.ceil(np.clip(polygon.max(0) + margin, -margin, (width + margin, height + margin))).astype(int)
    size = np.maximum(high - low, 1)
    canvas = Image.new("L", (int(size[0]), int(size[1])), 0)
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in polygon - low], fill=1)
    soft = _soften(np.asarray(canvas, dtype=bool), feather, grow)
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(low + size, (width, height))
    if right > left and bottom > top:
        part = soft[top - low[1] : bottom - low[1], left - low[0] : right - low[0]]
        mask[top:bottom, left:right] = torch.from_numpy(np.ascontiguousarray(part))


def _soften(inside: np.ndarray, feather: float, grow: float) -> np.ndarray:
    """Filled shape [h,w] bool to soft mask float32: a smooth step over feather pixels around the edge moved by grow."""
    if feather <= 0 and grow == 0:
        return inside.astype(np.float32)
    if not inside.any():
        return np.zeros(inside.shape, np.float32)
    depth = distance_inside(np.pad(inside, 1))[1:-1, 1:-1] - distance_inside(~inside)
    # distances are between pixel centres, the edge lies between two
    depth = depth + grow - 0.5 * np.sign(depth)
    if feather <= 0:
        return (depth > 0).astype(np.float32)
    t = np.clip(depth / feather + 0.5, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def distance_inside(shape: np.ndarray) -> np.ndarray:
    """[h,w] bool -> how far every place of the shape lies from its outside, in pixels; 0 outside."""
    return cast(np.ndarray, distance_transform_edt(shape))


def hull(points: np.ndarray) -> np.ndarray:
    """Corners of the convex hull of [P,2] points, in order; the points themselves where they lie on a line."""
    if np.linalg.matrix_rank(points - points.mean(0), tol=1e-3) < 2:
        return points
    return points[ConvexHull(points).vertices]


def fill_missing(tracked: Sequence[np.ndarray | None], mode: str) -> list[np.ndarray]:
    """Landmarks [478,2] for every frame: those found, and in the gaps the last one (hold) or a blend (interpolate).

    Before the first and after the last both hold. At least one frame must have the face.
    """
    found = {number: points for number, points in enumerate(tracked) if points is not None}
    return [_fill_one(found, number, mode) for number in range(len(tracked))]


def _fill_one(found: dict[int, np.ndarray], number: int, mode: str) -> np.ndarray:
    """One frame's landmarks from those found, by number of frame in rising order."""
    frames = list(found)
    place = bisect_right(frames, number)
    before, after = frames[max(place - 1, 0)], frames[min(place, len(frames) - 1)]
    if number <= before or number >= after or mode == "hold":
        return found[before]
    t = (number - before) / (after - before)
    return (1 - t) * found[before] + t * found[after]
