"""A picture in two layers: the person, who moves, over a plate of the background, which stays.

The person's layer holds what the picture has more than the plate does, so that the two together, unmoved, are the
picture exactly, however soft or wrong the matte is.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, grey_dilation, label
from torch import Tensor

from .curves import smoothstep

GROW, SOFT = 0.04, 0.015  # of the face's width: how far the matte reaches beyond the person
ERROR = 0.012  # of the picture's longer side: a mask, found at 256 pixels, is wrong by no more
AWAY = 0.08  # of the face's width beyond the person where the background is taken to be its own
LEAST_INSIDE = 0.8  # mean of a mask within the face: a smaller one has not found this person
APART = 0.15  # of a mask: where it is less between two people, they do not touch
WORKING_SIZE = 384  # pixels: mattes are grown on a grid of at most this size


@dataclass(frozen=True)
class Layers:
    """Over the head's box: matte [1,1,h,w] of the person, near [1,1,h,w] where the picture is no sure background."""

    matte: Tensor
    near: Tensor


def split(picture: Tensor, layers: Layers | None) -> tuple[Tensor, Tensor]:
    """A picture [1,C,h,w] as the person's layer [1,C+1,h,w], its matte last, and the plate [1,C,h,w], both in
    channels_last; without layers all of it is the person."""
    if layers is None:
        person, plate = torch.cat([picture, torch.ones_like(picture[:, :1])], 1), picture
    else:
        matte, near = layers.matte.to(picture.device), layers.near.to(picture.device)
        # the plate is the picture wherever the matte is 0, so that nothing of the background moves along
        plate = torch.lerp(picture, filled(picture, (near < 0.5).to(picture)), smoothstep(matte / 0.5))
        person = torch.cat([picture - (1 - matte) * plate, matte], 1)
    kept = torch.channels_last
    return person.contiguous(memory_format=kept), plate.contiguous(memory_format=kept)


def make_layers(
    person: np.ndarray, face: np.ndarray, box: tuple[int, int, int, int], face_w: float
) -> Layers | None:
    """Layers for a mask [H,W] of the person and the face's oval [K,2]; None where the mask does not hold this face."""
    x0, y0, x1, y1 = box
    size = (y1 - y0, x1 - x0)
    scale = min(1.0, WORKING_SIZE / max(size))
    small = (max(2, round(size[0] * scale)), max(2, round(size[1] * scale)))
    mask = resized(torch.from_numpy(np.ascontiguousarray(person[y0:y1, x0:x1])).float()[None, None], small)
    oval = ellipse(face * scale - np.array([x0, y0]) * scale, small)
    if float((mask[0, 0] * oval).sum() / oval.sum().clamp(min=1)) < LEAST_INSIDE:
        return None
    body = torch.maximum(alone(mask[0, 0], oval), smoothstep(oval)).numpy()
    reach = min(GROW * face_w, ERROR * max(person.shape))
    matte = grown(body, reach * scale, SOFT * face_w * scale)
    near = grown(body, AWAY * face_w * scale, 0.02 * face_w * scale)
    fields = [torch.from_numpy(field).float()[None, None] for field in (matte, near)]
    return Layers(resized(smoothstep((fields[0] - 0.1) / 0.7), size), resized(fields[1], size))


def alone(mask: Tensor, oval: Tensor) -> Tensor:
    """A mask [h,w] of people without those that do not touch the one whose face is in an oval [h,w]."""
    parts = torch.zeros(mask.shape, dtype=torch.int32)
    label(mask.numpy() > APART, output=parts.numpy())
    own = torch.bincount(parts[oval > 0.5], minlength=2)[1:].argmax() + 1
    return mask * ((parts == own) | (parts == 0))


def ellipse(points: np.ndarray, size: tuple[int, int]) -> Tensor:
    """[h,w] 1 within an ellipse around points [K,2], soft at its rim."""
    middle, radii = (points.min(0) + points.max(0)) / 2, np.maximum(np.ptp(points, axis=0) / 2, 1)
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    distance = torch.hypot((x - middle[0]) / radii[0], (y - middle[1]) / radii[1])
    return ((1.0 - distance) / 0.1).clamp(0, 1)


def grown(mask: np.ndarray, reach: float, soft: float) -> np.ndarray:
    """A mask [h,w] that reaches some pixels further, softened."""
    return gaussian_filter(grey_dilation(mask, 2 * round(reach) + 1), max(soft, 0.7))


def resized(field: Tensor, size: tuple[int, int]) -> Tensor:
    """[1,1,h,w] at another size."""
    return F.interpolate(field, size, mode="bilinear", align_corners=False)


def filled(picture: Tensor, known: Tensor) -> Tensor:
    """A picture [1,C,h,w] whose unknown pixels continue the known ones (push and pull, Gortler et al. 1996)."""
    height, width = picture.shape[-2:]
    if min(height, width) <= 2 or bool((known > 0).all()):
        mean = (picture * known).mean((2, 3), keepdim=True) / known.mean().clamp(min=1e-6)
        return torch.where(known > 0, picture, mean)
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    small = F.avg_pool2d(picture * known, 2, ceil_mode=True) / share.clamp(min=1e-6)
    coarse = filled(small, (share * 4).clamp(max=1))
    return torch.lerp(
        F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False), picture, known
    )
