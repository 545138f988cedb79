"""Pictures through affine maps and at other sizes, with OpenCV's conventions: pixel centres at whole numbers,
black outside.

Pictures are [H,W,C], bytes or float; bytes are rounded to the nearest as OpenCV does.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels


def _as_planes(image: Tensor) -> Tensor:
    return image.permute(2, 0, 1)[None].float()


def _as_picture(planes: Tensor, like: Tensor) -> Tensor:
    picture = planes[0].permute(1, 2, 0)
    return (
        picture.round().clamp(0, 255).to(torch.uint8) if like.dtype == torch.uint8 else picture.to(like.dtype)
    )


def source_grid(matrix: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> Tensor:
    """grid_sample coordinates [1,h,w,2] (align_corners=True) of a picture of `size` (H, W) for the pixels of a box.

    matrix [3,3] maps the picture to where the box (left, top, right, bottom) lies.
    """
    left, top, right, bottom = box
    y, x = np.mgrid[top:bottom, left:right].astype(np.float64)
    inverse = np.linalg.inv(matrix.astype(np.float64))
    u, v = (row[0] * x + row[1] * y + row[2] for row in inverse[:2])
    height, width = size
    grid = np.stack([2 * u / max(width - 1, 1) - 1, 2 * v / max(height - 1, 1) - 1], -1)
    return torch.from_numpy(grid).float()[None]


def warp_affine(image: Tensor, matrix: np.ndarray, width: int, height: int) -> Tensor:
    """Picture [H,W,C] through a [3,3] matrix -> [height,width,C], bilinear."""
    grid = source_grid(matrix, (image.shape[0], image.shape[1]), (0, 0, width, height))
    return _as_picture(F.grid_sample(_as_planes(image), grid, align_corners=True), image)


def halve(image: Tensor) -> Tensor:
    """Mean of 2x2 pixels (OpenCV's INTER_AREA at half size)."""
    return _as_picture(F.avg_pool2d(_as_planes(image), 2), image)


def resize(image: Tensor, width: int, height: int) -> Tensor:
    """Bilinear, from the four nearest pixels (OpenCV's INTER_LINEAR)."""
    return _as_picture(
        F.interpolate(_as_planes(image), (height, width), mode="bilinear", align_corners=False), image
    )


def resize_antialiased(image: Tensor, width: int, height: int) -> Tensor:
    """Bicubic at another size, smoothed where it gets smaller; float pictures in 0..1."""
    if image.shape[:2] == (height, width):
        return image.contiguous()
    planes = F.interpolate(
        _as_planes(image), (height, width), mode="bicubic", antialias=True, align_corners=False
    )
    return _as_picture(planes, image).clamp(0, 1).contiguous()


def shrink(image: Tensor, width: int, height: int) -> Tensor:
    """To a smaller size, every pixel the mean of what it covers."""
    return _as_picture(F.interpolate(_as_planes(image), (height, width), mode="area"), image)


def laid_on(image: Tensor, box: Box, parts: Tensor) -> Tensor:
    """Parts [n,h,w,3] at their place in the picture [H,W,3] -> [n,H,W,3]."""
    left, top, right, bottom = box
    frames = image.to(parts).expand(len(parts), *image.shape).clone()
    frames[:, top:bottom, left:right] = parts
    return frames


def rounded_bytes(image: Tensor) -> Tensor:
    """Pictures [...,C] in 0..1 -> their first three channels as bytes, rounded to the nearest; on their device."""
    return (image[..., :3] * 255).add_(0.5).clamp_(0, 255).to(torch.uint8)


def to_bytes(image: Tensor) -> Tensor:
    """Picture [H,W,C] in 0..1 -> red, green and blue as bytes, cut off as LivePortrait cuts them; C is 1 (grey), 3 or
    4."""
    colours = image.expand(*image.shape[:-1], 3) if image.shape[-1] == 1 else image[..., :3]
    return (colours.detach().cpu().float().clamp(0, 1) * 255).to(torch.uint8)
