"""The face as ArcFace was trained on it: turned, sized and moved onto five fixed points (Deng et al. 2019)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 112
# Eyes, tip of the nose, corners of the mouth, in pixels of the 112x112 crop.
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
FIVE = ((33, 133), (362, 263), (1,), (61,), (291,))  # MediaPipe's points whose means stand for them


def aligned_face(picture: Tensor, points: np.ndarray) -> Tensor:
    """Picture [H,W,3] in 0..1 and its 478 points in pixels -> [1,3,112,112] in -1..1; outside of the picture
    is black."""
    five = np.stack([points[list(group), :2].mean(0) for group in FIVE]).astype(np.float64)
    here, there = (TEMPLATE - TEMPLATE.mean(0)) @ [1, 1j], (five - five.mean(0)) @ [1, 1j]
    turn = np.vdot(here, there) / np.vdot(here, here)  # from the crop to the picture
    x, y = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    place = (x + 1j * y - complex(*TEMPLATE.mean(0))) * turn + complex(*five.mean(0))
    height, width = picture.shape[:2]
    grid = torch.from_numpy(
        np.stack([(place.real + 0.5) / width, (place.imag + 0.5) / height], -1) * 2 - 1
    ).float()
    crop = F.grid_sample(picture.permute(2, 0, 1)[None].float(), grid[None], align_corners=False)
    return 2 * crop - 1
