"""Boxes, crops and masks around a face, with ACTalker's rounding."""

from math import floor

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MULTIPLE = 64  # of picture sizes
BOX_AREA = 1.2

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


def square_box(box: Box, ratio: float, height: int, width: int) -> tuple[int, int, int, int]:
    """A face box grown by `ratio` of its size to each side, cut at the picture, and made square.

    The square has the shorter side of the cut box; along the longer one it lies as near the face's centre as it fits.
    """
    x1, y1, x2, y2 = box
    grow_x, grow_y = ratio * (x2 - x1), ratio * (y2 - y1)
    left, right = max(x1 - grow_x, 0), min(x2 + grow_x, width)
    top, bottom = max(y1 - grow_y, 0), min(y2 + grow_y, height)
    half = min(right - left, bottom - top) / 2
    x = min(max((x1 + x2) / 2, left + half), right - half)
    y = min(max((y1 + y2) / 2, top + half), bottom - half)
    return round(x - half), round(y - half), round(x + half), round(y + half)


def square_crop(picture: np.ndarray, box: Box) -> np.ndarray:
    """[H,W,3] -> the square of the box's longer side about its centre [s,s,3], black outside of the picture;
    s is even."""
    x1, y1, x2, y2 = box
    half = int(max(x2 - x1, y2 - y1)) // 2
    x, y = int((x1 + x2) / 2), int((y1 + y2) / 2)
    out = np.zeros((2 * half, 2 * half, *picture.shape[2:]), picture.dtype)
    left, top = max(x - half, 0), max(y - half, 0)
    inside = picture[top : max(y + half, 0), left : max(x + half, 0)]
    row, column = top - (y - half), left - (x - half)
    out[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return out


def working_size(width: int, height: int, short_side: int = 576) -> tuple[int, int]:
    """(width, height) in multiples of 64, each rounded by itself, the shorter near `short_side`."""
    scale = short_side / min(width, height)
    return round(width * scale / MULTIPLE) * MULTIPLE, round(height * scale / MULTIPLE) * MULTIPLE


def grown_box(box_xywh: Box, width: int, height: int, area: float = BOX_AREA) -> tuple[int, int, int, int]:
    """A detector's box (x, y, width, height) with both sides times `area` about its centre, cut at the picture."""
    x, y, wide, high = box_xywh
    centre_x, centre_y = floor((x + x + wide) / 2), floor((y + y + high) / 2)
    half_x, half_y = wide * area // 2, high * area // 2
    return (
        int(max(centre_x - half_x, 0)), int(max(centre_y - half_y, 0)),
        int(min(centre_x + half_x, width)), int(min(centre_y + half_y, height)),
    )  # fmt: skip


def box_picture(box: tuple[int, int, int, int], width: int, height: int) -> np.ndarray:
    """White box on black, [height,width,3] bytes."""
    x1, y1, x2, y2 = box
    picture = np.zeros((height, width, 3), np.uint8)
    picture[y1:y2, x1:x2] = 255
    return picture


def resized_mask(picture: np.ndarray, width: int, height: int) -> Tensor:
    """[H,W,3] bytes -> [1,3,height,width], 0..1, through a Lanczos filter: the face box's input, channel 0
    the face mask."""
    small = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS))
    return torch.from_numpy(small.astype(np.float32) / 255).permute(2, 0, 1)[None]
