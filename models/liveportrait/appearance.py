"""F: the appearance volume of a picture (LivePortrait, section 3.1; 0.84 M parameters)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..frozen_batch_norm import FrozenBatchNorm

CHANNELS, DEPTH = 32, 16


class ConvNorm(nn.Module):
    """3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.conv = operations.Conv2d(inputs, outputs, 3, padding=1, device=device, dtype=dtype)
        self.norm = FrozenBatchNorm(outputs, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Residual3D(nn.Module):
    """Pre-activation residual block on a volume."""

    def __init__(self, channels: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.norm1 = FrozenBatchNorm(channels, device, dtype)
        self.conv1 = operations.Conv3d(channels, channels, 3, padding=1, device=device, dtype=dtype)
        self.norm2 = FrozenBatchNorm(channels, device, dtype)
        self.conv2 = operations.Conv3d(channels, channels, 3, padding=1, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class AppearanceExtractor(nn.Module):
    """Picture [B,3,256,256] in 0..1 -> appearance volume [B,32,16,64,64] (channels, depth, height, width)."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        options = {"device": device, "dtype": dtype, "operations": operations}
        self.first = ConvNorm(3, 64, **options)
        self.down_blocks = nn.ModuleList([ConvNorm(64, 128, **options), ConvNorm(128, 256, **options)])
        self.second = operations.Conv2d(256, CHANNELS * DEPTH, 1, device=device, dtype=dtype)
        self.resblocks_3d = nn.ModuleDict({f"3dr{i}": Residual3D(CHANNELS, **options) for i in range(6)})

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        for block in self.down_blocks:
            x = F.avg_pool2d(block(x), 2)
        x = self.second(x).unflatten(1, (CHANNELS, DEPTH))
        for block in self.resblocks_3d.values():
            x = block(x)
        return x


def build_appearance(
    state: dict[str, Tensor], metadata, device=None, dtype=torch.float32, operations=nn
) -> AppearanceExtractor:
    """For the loader: the published sizes are the only ones."""
    return AppearanceExtractor(device, dtype, operations)
