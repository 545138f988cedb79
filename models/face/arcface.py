"""The network that knows people: ArcFace (Deng et al. 2019), whose vectors of one person lie close together."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..frozen_batch_norm import FrozenBatchNorm


class ChannelPReLU(nn.Module):
    """x where positive, x times the channel's weight elsewhere."""

    def __init__(self, channels: int, device=None, dtype=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, device=device, dtype=dtype), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.prelu(x, self.weight.to(x))


class IdentityBlock(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm, plus the input."""

    def __init__(self, inputs: int, width: int, stride: int, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.bn1, self.bn2, self.bn3 = (FrozenBatchNorm(size, **built) for size in (inputs, width, width))
        self.conv1 = operations.Conv2d(inputs, width, 3, padding=1, bias=False, **built)
        self.prelu = ChannelPReLU(width, **built)
        self.conv2 = operations.Conv2d(width, width, 3, stride=stride, padding=1, bias=False, **built)
        self.downsample = None
        if stride != 1 or inputs != width:
            conv = operations.Conv2d(inputs, width, 1, stride=stride, bias=False, **built)
            self.downsample = nn.Sequential(conv, FrozenBatchNorm(width, **built))

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


class ArcFace(nn.Module):
    """Improved ResNet-50 of ArcFace: face [n,3,112,112], RGB -1..1 -> identity [n,512], not normalised (43.6 M)."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(3, 64, 3, padding=1, bias=False, **built)
        self.bn1 = FrozenBatchNorm(64, **built)
        self.prelu = ChannelPReLU(64, **built)
        inputs = 64
        for number, (width, count) in enumerate(
            zip((64, 128, 256, 512), (3, 4, 14, 3), strict=True), start=1
        ):
            sizes = [(inputs, 2)] + [(width, 1)] * (count - 1)
            blocks = (
                IdentityBlock(size, width, stride, operations=operations, **built) for size, stride in sizes
            )
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            inputs = width
        self.bn2 = FrozenBatchNorm(inputs, **built)
        self.fc = operations.Linear(inputs * 7 * 7, 512, **built)
        self.features = FrozenBatchNorm(512, **built)

    def forward(self, face: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(face)))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))
