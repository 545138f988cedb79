"""What a frame's pixels tell of its mouth, in a few numbers, so that no frame has to be kept."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

LIPS = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 95, 88, 178, 87, 14, 317, 402, 318, 324,
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375,
)  # fmt: skip
INNER_LIPS = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
CHEEKS = (205, 425, 50, 280)
LUMINANCE = np.array([0.299, 0.587, 0.114])
AROUND = 0.8  # mouth widths to each side in which sharpness is measured
LEAST_OPEN = 0.05  # eye distances: a smaller opening shows nothing of the mouth's inside
LEAST_PIXELS = 12
TOOTH_PIXELS = 60  # fewer are no picture of teeth, and ragged where they are drawn larger
LOW = 0.06  # of the opening, by which what is bright lies under its middle and is no upper row
TOOTH, TOOTH_SHARE, TEETH = (
    0.5,
    1 / 3,
    0.6,
)  # of the skin's luminance; of the opening; of the skin's, the brightest


@dataclass(frozen=True)
class Look:
    """sharpness of the mouth's part of a frame, any unit. bright, dark [3]: colours of the lightest 15 % and the
    darkest 10 % of an open mouth's inside, None where it is shut. teeth: how much of teeth it shows, 0 for none."""

    sharpness: float
    bright: np.ndarray | None = None
    dark: np.ndarray | None = None
    teeth: float = 0.0


def opening(points: np.ndarray) -> np.ndarray:
    """How far mouths [...,478,3] are open: distance of the inner lips in distances of the eyes' outer corners."""
    return distance(points, 13, 14) / np.maximum(distance(points, 33, 263), 1e-3)


def distance(points: np.ndarray, first: int, second: int) -> np.ndarray:
    """Distance in space of two landmarks of faces [...,478,3]."""
    return np.linalg.norm(points[..., first, :] - points[..., second, :], axis=-1)


def look_at(pixels: np.ndarray, points: np.ndarray) -> Look:
    """The mouth of a face [478,3] in a frame [H,W,3] in 0..1."""
    sharp = sharpness(pixels, points)
    if opening(points) < LEAST_OPEN:
        return Look(sharp)
    inside, depth = between_lips(pixels, points)
    if len(inside) < LEAST_PIXELS:
        return Look(sharp)
    light = inside @ LUMINANCE
    high, low = np.quantile(light, 0.85), np.quantile(light, 0.1)
    tooth = light >= TOOTH * skin_light(pixels, points)
    shown = tooth.sum() >= TOOTH_PIXELS and tooth.mean() >= TOOTH_SHARE
    shown = shown and high >= TEETH * skin_light(pixels, points)
    # a tongue, and lower teeth alone, are bright too, but lie low
    shown = shown and np.median(depth[tooth]) < np.median(depth) + LOW
    return Look(
        sharp,
        inside[light >= high].mean(0),
        inside[light <= low].mean(0),
        float(tooth.sum() * high) if shown else 0.0,
    )


def sharpness(pixels: np.ndarray, points: np.ndarray) -> float:
    """Second difference down the mouth's part of a frame, over its contrast."""
    middle, width = points[list(LIPS), :2].mean(0), np.linalg.norm(points[61, :2] - points[291, :2])
    low, high = middle - AROUND * width, middle + AROUND * width
    x0, y0 = np.maximum(low.astype(int), 0)
    x1, y1 = high.astype(int)
    part = pixels[y0 : max(y1, 0), x0 : max(x1, 0)].mean(-1)
    if min(part.shape) < 3:
        return 0.0
    return float(np.sqrt(np.square(np.diff(part, 2, axis=0)).mean()) / (part.std() + 1e-5))


def between_lips(pixels: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[P,3] colours of the pixels inside the inner lips, and [P] how far from the upper lip down to the lower one."""
    outline = points[list(INNER_LIPS), :2]
    low = np.maximum(np.floor(outline.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(outline.max(0)).astype(int) + 1, [pixels.shape[1], pixels.shape[0]])
    if (high <= low).any():
        return np.empty((0, 3)), np.empty(0)
    canvas = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), 0)
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in outline - low], fill=1)
    inside = np.asarray(canvas, bool)
    rows, columns = np.nonzero(inside)
    down = points[14, :2] - points[13, :2]
    places = np.stack([columns, rows], 1) + 0.5 + low - points[13, :2]
    return pixels[low[1] : high[1], low[0] : high[0]][inside], places @ down / max(float(down @ down), 1e-6)


def skin_light(pixels: np.ndarray, points: np.ndarray) -> float:
    """Median luminance of the cheeks."""
    places = points[list(CHEEKS), :2].astype(int).clip(0, [pixels.shape[1] - 1, pixels.shape[0] - 1])
    return float(np.median(pixels[places[:, 1], places[:, 0]] @ LUMINANCE))
