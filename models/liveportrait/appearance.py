"""F: the appearance volume of a picture (LivePortrait, section 3.1; 0.84 M parameters).

Other sizes than the published ones are read from a file's tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..frozen_batch_norm import FrozenBatchNorm
from ..weights.told_sizes import told_sizes


@dataclass(frozen=True)
class AppearanceSizes:
    """Channels of the three picture layers; channels and depth of the volume; blocks on it. The published ones
    unless said."""

    widths: tuple[int, int, int] = (64, 128, 256)
    channels: int = 32
    depth: int = 16
    blocks: int = 6


PUBLISHED = AppearanceSizes()


def read_sizes(state: Mapping[str, Tensor]) -> AppearanceSizes:
    """Sizes that a file's tensors have; the published ones where the tensors that tell are missing."""
    layers = ("first.conv", "down_blocks.0.conv", "down_blocks.1.conv", "resblocks_3d.3dr0.conv1", "second")
    told = told_sizes(state, [(f"{layer}.bias", 0) for layer in layers])
    if told is None:
        return PUBLISHED
    a, b, c, channels, folded = told
    blocks = {key.split(".")[1] for key in state if key.startswith("resblocks_3d.")}
    return AppearanceSizes((a, b, c), channels, folded // channels, len(blocks))


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

    def __init__(self, device=None, dtype=None, operations=nn, sizes: AppearanceSizes = PUBLISHED):
        super().__init__()
        options = {"device": device, "dtype": dtype, "operations": operations}
        a, b, c = sizes.widths
        self.sizes = sizes
        self.first = ConvNorm(3, a, **options)
        self.down_blocks = nn.ModuleList([ConvNorm(a, b, **options), ConvNorm(b, c, **options)])
        self.second = operations.Conv2d(c, sizes.channels * sizes.depth, 1, device=device, dtype=dtype)
        self.resblocks_3d = nn.ModuleDict(
            {f"3dr{i}": Residual3D(sizes.channels, **options) for i in range(sizes.blocks)}
        )

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        for block in self.down_blocks:
            x = F.avg_pool2d(block(x), 2)
        x = self.second(x).unflatten(1, (self.sizes.channels, self.sizes.depth))
        for block in self.resblocks_3d.values():
            x = block(x)
        return x


def build_appearance(
    state: dict[str, Tensor], metadata, device=None, dtype=torch.float32, operations=nn
) -> AppearanceExtractor:
    """For the loader: a network of the sizes that the weights have."""
    return AppearanceExtractor(device, dtype, operations, read_sizes(state))
