"""Boxes, crops and masks around a face, with ACTalker's rounding."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..face.boxes import Box

MULTIPLE = 64  # of picture sizes


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
