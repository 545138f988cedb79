"""Hopenet (Ruiz et al. 2018): how a head is turned, as bins of three degrees. KDTalker measures head motion with it.

Keys and shapes are those of the published file hopenet_robust_alpha1.pkl (natanielruiz/deep-head-pose).
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ..frozen_batch_norm import FrozenBatchNorm

ANGLES = ("yaw", "pitch", "roll")
BINS, DEGREES, FIRST = 66, 3.0, -99.0  # of an angle; of a bin; where the first one lies
SIDE = 224
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue
SURE = 1.0  # dlib's confidence, which is no probability
UNUSED = "fc_finetune."


class Bottleneck(nn.Module):
    """[n,C,h,w] -> [n,4*width,h/stride,w/stride]."""

    def __init__(self, inputs: int, width: int, stride: int, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(inputs, width, 1, bias=False, **built)
        self.conv2 = operations.Conv2d(width, width, 3, stride=stride, padding=1, bias=False, **built)
        self.conv3 = operations.Conv2d(width, 4 * width, 1, bias=False, **built)
        self.bn1, self.bn2, self.bn3 = (FrozenBatchNorm(size, **built) for size in (width, width, 4 * width))
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            conv = operations.Conv2d(inputs, 4 * width, 1, stride=stride, bias=False, **built)
            self.downsample = nn.Sequential(conv, FrozenBatchNorm(4 * width, **built))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + (x if self.downsample is None else self.downsample(x)))


class Hopenet(nn.Module):
    """ResNet-50 with a head for each angle: faces [n,3,224,224] -> bins [n,3,66], yaw, pitch, roll (23.9 M)."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(3, 64, 7, stride=2, padding=3, bias=False, **built)
        self.bn1 = FrozenBatchNorm(64, **built)
        inputs = 64
        for number, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), start=1):
            blocks = []
            for place in range(count):
                stride = 2 if place == 0 and number > 1 else 1
                blocks.append(Bottleneck(inputs, width, stride, operations=operations, **built))
                inputs = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        for angle in ANGLES:
            setattr(self, f"fc_{angle}", operations.Linear(inputs, BINS, **built))

    def feature(self, faces: Tensor) -> Tensor:
        """[n,3,224,224] -> [n,2048]."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(faces))), 3, stride=2, padding=1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x.mean((2, 3))

    def forward(self, faces: Tensor) -> Tensor:
        x = self.feature(faces)
        return torch.stack([getattr(self, f"fc_{angle}")(x) for angle in ANGLES], 1)


def hopenet_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published file's content without the layer that nothing uses. ValueError if it is another file."""
    if "fc_yaw.weight" not in content:
        raise ValueError("it is no Hopenet: fc_yaw.weight is missing")
    return {key: value for key, value in content.items() if not key.startswith(UNUSED)}


def degrees(bins: Tensor) -> Tensor:
    """Bins [...,66] -> the angle that is expected of them, -99 to 99 degrees."""
    places = torch.arange(BINS, device=bins.device, dtype=torch.float32)
    return (bins.float().softmax(-1) * places).sum(-1) * DEGREES + FIRST


def head_box(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """A face box (x0, y0, x1, y1) -> the head's as KDTalker's script widens it, cut at the picture."""
    x0, y0, x1, y1 = box
    wide, high = abs(x1 - x0), abs(y1 - y0)
    left, right = max(x0 - 2 * wide / 4, 0), min(x1 + 2 * wide / 4, width)
    top, bottom = max(y0 - 3 * high / 4, 0), min(y1 + high / 4, height)
    return int(left), int(top), int(right), int(bottom)


def head_picture(frame: np.ndarray, box: tuple[float, float, float, float]) -> Tensor:
    """RGB bytes [H,W,3] and a face box -> [3,224,224]: the head, shorter side at 224, its middle."""
    left, top, right, bottom = head_box(box, frame.shape[1], frame.shape[0])
    picture = Image.fromarray(np.ascontiguousarray(frame[top:bottom, left:right]))
    shorter = min(picture.size)
    size = [int(SIDE * side / shorter) for side in picture.size]
    picture = picture.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    x, y = (round((side - SIDE) / 2) for side in picture.size)
    pixels = torch.from_numpy(np.array(picture)[y : y + SIDE, x : x + SIDE]).permute(2, 0, 1).float() / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
