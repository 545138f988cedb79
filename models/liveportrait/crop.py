"""The square around a face that LivePortrait's networks see, and the way back into the picture (its `crop.py`)."""

import math
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..media.pixels import halve, warp_affine

SIZE, INPUT = 512, 256  # of the crop that is drawn, and of the networks' input
# Of MediaPipe's points the box takes jaw and brows, as far as the published landmarks reach; its forehead
# would widen the crop.
BOX_478 = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323,
    454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
)  # fmt: skip
# scale, vx and vy of the published crops: face sizes, and shifts in parts of the square's side
SOURCE_CROP, DRIVING_CROP, LANDMARK_CROP = (2.3, 0.0, -0.125), (2.2, 0.0, -0.1), (1.5, 0.0, -0.1)
# number of points -> points averaged for the left eye, the right eye, the lips
ANCHORS: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    5: ((0,), (1,), (3, 4)),
    9: ((2, 3), (0, 1), (5, 6)),  # animals
    68: ((36, 39), (42, 45), (48, 54)),
    101: ((39, 42, 45, 48), (51, 54, 57, 60), (75, 81)),
    106: ((33, 35, 40, 39), (87, 89, 94, 93), (52, 61)),
    203: ((0, 6, 12, 18), (24, 30, 36, 42), (48, 66)),
    478: ((468,), (473,), (14,)),  # MediaPipe
}


@dataclass(frozen=True)
class FaceBox:
    """A square in picture pixels: centre [2], side, angle in radians."""

    centre: np.ndarray
    side: float
    angle: float


def anchor_points(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre between the eyes and centre of the lips of landmarks [N,2]; ValueError for a number nobody knows."""
    count = len(points)
    if count not in ANCHORS and count > 101:
        points, count = points[:101], 101
    if count not in ANCHORS:
        raise ValueError(
            f"face_landmarks has {count} points; LivePortrait's crop knows {', '.join(map(str, ANCHORS))}."
        )
    left, right, lips = (points[list(index)].mean(0) for index in ANCHORS[count])
    return (left + right) / 2, lips


def face_box(
    points: np.ndarray, scale: float, shift_x: float, shift_y: float, rotate: bool = True
) -> FaceBox:
    """The square around landmarks [N,2], upright with the face; without `rotate` upright with the picture, at
    the same place."""
    points = np.asarray(points, np.float32)
    eyes, lips = anchor_points(points)
    down = lips - eyes
    length = float(np.linalg.norm(down))
    down = down / length if length > 1e-3 else np.array([0, 1], np.float32)
    across = np.array([down[1], -down[0]], np.float32)
    angle = math.acos(float(np.clip(across[0], -1, 1)))
    angle = -angle if across[1] < 0 else angle
    turn = np.stack([across, down])
    points = points[list(BOX_478)] if len(points) == 478 else points
    middle = points.mean(0)
    local = (points - middle) @ turn.T
    low, high = local.min(0), local.max(0)
    side = float((high - low).max()) * scale
    centre = middle + ((low + high) / 2 + np.array([shift_x, shift_y], np.float32) * side) @ turn
    return FaceBox(centre, side, angle if rotate else 0.0)


def crop_matrix(box: FaceBox, size: int = SIZE) -> np.ndarray:
    """[3,3] float32 from picture pixels to pixels of a size x size crop."""
    scale, cos, sin = size / box.side, math.cos(box.angle), math.sin(box.angle)
    x, y = box.centre
    rows = [
        [cos, sin, size / 2 - scale * (cos * x + sin * y)],
        [-sin, cos, size / 2 - scale * (-sin * x + cos * y)],
    ]
    matrix = np.array([*rows, [0, 0, 1]], np.float32)
    matrix[:2, :2] *= scale
    return matrix


def crop_picture(image: Tensor, matrix: np.ndarray) -> Tensor:
    """Picture [H,W,3] -> crop [512,512,3] of the same type."""
    return warp_affine(image, matrix, SIZE, SIZE)


def network_input(crop: Tensor) -> Tensor:
    """Crop [512,512,3] -> [256,256,3] of the same type."""
    return halve(crop)


def driving_box(points: list[np.ndarray]) -> np.ndarray:
    """One upright box [4,2] (corners clockwise from top left) for a whole driving video: the mean over its
    frames' points."""
    boxes = [face_box(frame, *DRIVING_CROP, rotate=False) for frame in points]
    return np.mean([corners(box) for box in boxes], 0)


def corners(box: FaceBox) -> np.ndarray:
    """[4,2] corners of a square, clockwise from the face's top left."""
    cos, sin = math.cos(box.angle), math.sin(box.angle)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * box.side / 2
    return (box.centre + half @ np.array([[cos, sin], [-sin, cos]])).astype(np.float32)
