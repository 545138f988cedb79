"""KDTalker's own square around a face, from dlib's 68 landmarks (SadTalker's FFHQ-like crop)."""

import numpy as np
from torch import Tensor

from ..media.pixels import resize, shrink

# MediaPipe's points at the places of dlib's that the crop uses: eyes 36 to 47, corners of the mouth 48 and 54
EYES_478 = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
MOUTH_478 = (61, 291)


def dlib_points(points: np.ndarray) -> np.ndarray:
    """MediaPipe's [478,2 or 3] -> [68,2] with the points that `face_crop` uses; the others are not numbers."""
    found = np.full((68, 2), np.nan)
    found[36:48], found[[48, 54]] = points[list(EYES_478), :2], points[list(MOUTH_478), :2]
    return found


def face_crop(image: Tensor, points: np.ndarray) -> tuple[Tensor, dict[str, tuple[int, ...]]]:
    """Crop of a picture [H,W,3] around 68 points [68,2] in pixels, and its boxes.

    Boxes: size (w, h) after shrinking, outer and inner (left, top, right, bottom); the inner one lies inside the outer.
    """
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    eyes, eye_to_eye = (left + right) / 2, right - left
    eye_to_mouth = (points[48] + points[54]) / 2 - eyes
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x = x / np.hypot(*x) * max(np.hypot(*eye_to_eye) * 2, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    centre = eyes + eye_to_mouth * 0.1
    quad = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    side = np.hypot(*x) * 2
    divisor = int(np.floor(side / 512 * 0.5))
    height, width = image.shape[:2]
    if divisor > 1:  # the published code cannot run here (it uses a constant that Pillow removed)
        width, height = int(np.rint(width / divisor)), int(np.rint(height / divisor))
        image = shrink(image, width, height)
        quad, side = quad / divisor, side / divisor
    border = max(int(np.rint(side * 0.1)), 3)
    low, high = np.floor(quad.min(0)).astype(int) - border, np.ceil(quad.max(0)).astype(int) + border
    outer = (max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height))
    if outer[2] - outer[0] < width or outer[3] - outer[1] < height:
        image = image[outer[1] : outer[3], outer[0] : outer[2]]
        quad = quad - outer[:2]
    inside_height, inside_width = image.shape[:2]
    quad = quad + 0.5
    inner = (
        max(min(quad[0, 0], quad[1, 0]), 0), max(min(quad[0, 1], quad[3, 1]), 0),
        min(max(quad[2, 0], quad[3, 0]), inside_width),
        min(max(quad[1, 1], quad[2, 1]), inside_width),  # the published limit of the height is the width
    )  # fmt: skip
    a, b, c, d = map(int, inner)
    return image[b:d, a:c], {"size": (width, height), "outer": outer, "inner": inner}


def network_input(crop: Tensor) -> Tensor:
    """Crop of any shape -> [256,256,3], bilinear."""
    return resize(crop, 256, 256)


def framing(image: Tensor, points: np.ndarray) -> tuple[np.ndarray, Tensor]:
    """What KDTalker draws of a picture [H,W,3] in bytes, around MediaPipe's [478,2]: matrix [3,3] from the
    picture to 512x512 (which may change the aspect), and the networks' input [256,256,3]."""
    crop, boxes = face_crop(image, dlib_points(points))
    height, width = image.shape[:2]
    scale_x, scale_y = width / boxes["size"][0], height / boxes["size"][1]
    outer, inner = boxes["outer"], [int(value) for value in boxes["inner"]]
    whole = outer[2] - outer[0] >= boxes["size"][0] and outer[3] - outer[1] >= boxes["size"][1]
    left = (inner[0] + (0 if whole else outer[0])) * scale_x
    top = (inner[1] + (0 if whole else outer[1])) * scale_y
    across, down = 512 / (crop.shape[1] * scale_x), 512 / (crop.shape[0] * scale_y)
    return np.array([[across, 0, -left * across], [0, down, -top * down], [0, 0, 1]]), network_input(crop)
