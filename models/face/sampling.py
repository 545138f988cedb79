"""Bring pictures of any size and channel count to what the face networks read, at a bounded cost in memory."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

DETECT_LIMIT = 1024  # longest side in pixels that is given to a detector as it is
STEP_LIMIT = 4  # source pixels per crop pixel up to which plain bilinear sampling is used


def as_rgb(image: np.ndarray) -> np.ndarray:
    """[H,W], [H,W,1], [H,W,3] or [H,W,4] uint8 to [H,W,3]; transparency is dropped, grey is repeated."""
    picture = image if image.ndim == 3 else image[..., None]
    return np.repeat(picture[..., :1], 3, -1) if picture.shape[-1] < 3 else picture[..., :3]


def shrink_factor(image: np.ndarray) -> int:
    """How many times smaller [H,W,3] has to be for a detector; 1 up to twice DETECT_LIMIT."""
    return max(max(image.shape[:2]) // DETECT_LIMIT, 1)


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """[H,W,3] uint8 averaged over squares of factor x factor pixels."""
    return image if factor < 2 else np.array(Image.fromarray(np.ascontiguousarray(image)).reduce(factor))


def sample_square(
    image: Tensor, cx: float, cy: float, side: float, angle: float, size: int, device: torch.device
) -> Tensor:
    """[C,H,W] uint8 to [C,size,size] float32 0..255: the square of that side around cx, cy, turned by angle (radians).

    Crop pixel i lies (i - size/2) * side/size from the centre, as MediaPipe samples; beyond the picture its edge is
    repeated. Where the picture is over four times finer than the crop its pixels are averaged first against aliasing.
    Only the part of the picture under the square is converted and sent to the device.
    """
    steps = (torch.arange(size, dtype=torch.float32) - size / 2) * (side / size)
    v, u = torch.meshgrid(steps, steps, indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = cx + u * cos - v * sin, cy + u * sin + v * cos
    left, right = _span(x, image.shape[2])
    top, bottom = _span(y, image.shape[1])
    part = image[:, top:bottom, left:right].to(device, torch.float32)
    pool = max(1, int(side / size * 2 / STEP_LIMIT)) if side > STEP_LIMIT * size else 1
    if pool > 1:
        part = F.avg_pool2d(part[None], pool, ceil_mode=True, count_include_pad=False)[0]
    grid = (
        torch.stack([(x + 0.5 - left) / pool / part.shape[2], (y + 0.5 - top) / pool / part.shape[1]], -1) * 2
        - 1
    )
    return F.grid_sample(part[None], grid[None].to(device), "bilinear", "border", align_corners=False)[0]


def _span(places: Tensor, limit: int) -> tuple[int, int]:
    """First and past-last pixel that the places touch, at least one pixel wide, inside 0..limit."""
    first = min(max(int(places.min()) - 2, 0), limit - 1)
    return first, max(min(int(places.max()) + 3, limit), first + 1)
