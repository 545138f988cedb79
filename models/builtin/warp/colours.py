"""The photo's own colours: at places of a local frame, and of the whole face."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .curves import Frame

LUMINANCE = torch.tensor([0.299, 0.587, 0.114])


def colours_at(frame: Frame, image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """[...,3] colours of the pixels of a picture [H,W,3] in which (u, v) [...] lie."""
    x, y = frame.to_pixels(u, v)
    return image[y.long().clamp(0, image.shape[0] - 1), x.long().clamp(0, image.shape[1] - 1)]


def colours_between(frame: Frame, image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """[3,h,w] colours of a picture [H,W,3] at (u, v) [h,w], linear between pixels."""
    x, y = frame.to_pixels(u, v)
    places = torch.stack([2 * x / image.shape[1] - 1, 2 * y / image.shape[0] - 1], -1)[None]
    return F.grid_sample(
        image.permute(2, 0, 1)[None].contiguous(), places, padding_mode="border", align_corners=False
    )[0]


def face_part(image: Tensor, points: np.ndarray) -> Tensor:
    """[h,w,3] the rectangle of a picture [H,W,3] around landmarks [478,3]."""
    low = np.floor(points[:, :2].min(0)).astype(int).clip(0)
    high = np.ceil(points[:, :2].max(0)).astype(int)
    return image[low[1] : high[1], low[0] : high[0]]
