"""M: canonical keypoints, head pose, expression deformation, translation and scale of a picture
(LivePortrait, section 3.1).

A ConvNeXt-V2 tiny with seven linear heads (28.1 M parameters); other sizes are read from a file's tensors.
Keep it in float32: seventeen of the expression's 63 values vary so little over speech (standard deviation
from 6e-7) that half precision is larger than what they say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..weights.told_sizes import told_sizes
from .keypoints import head_pose_degrees

HEADS = {"kp": 63, "scale": 1, "pitch": 66, "yaw": 66, "roll": 66, "t": 3, "exp": 63}


@dataclass(frozen=True)
class Sizes:
    """Channels and blocks of the stages; the published ones unless said."""

    widths: tuple[int, ...] = (96, 192, 384, 768)
    depths: tuple[int, ...] = (3, 3, 9, 3)


PUBLISHED = Sizes()


def read_sizes(state: Mapping[str, Tensor]) -> Sizes:
    """Sizes that a file's tensors have; the published ones where the tensors that tell are missing."""
    stem = "detector.downsample_layers"
    levels = len({key.split(".")[2] for key in state if key.startswith(f"{stem}.")})
    places = [(f"{stem}.{level}.{0 if level == 0 else 1}.weight", 0) for level in range(levels)]
    widths = told_sizes(state, places)
    if not widths:
        return PUBLISHED
    blocks = [
        {key.split(".")[3] for key in state if key.startswith(f"detector.stages.{level}.")}
        for level in range(levels)
    ]
    return Sizes(tuple(widths), tuple(map(len, blocks)))


@dataclass(frozen=True)
class KeypointMotion:
    """What M says of B pictures: canonical keypoints [B,21,3], scale [B,1], pitch, yaw, roll [B,1] in degrees,
    translation [B,3], expression deformation [B,21,3]."""

    canonical: Tensor
    scale: Tensor
    pitch: Tensor
    yaw: Tensor
    roll: Tensor
    translation: Tensor
    expression: Tensor


class GlobalResponseNorm(nn.Module):
    """[B,H,W,C] -> the same: y = gamma * x * n + beta + x, n the channel's L2 norm over its mean
    (ConvNeXt-V2, eq. 1-3)."""

    def __init__(self, channels: int, device=None, dtype=None):
        super().__init__()
        for name in ("gamma", "beta"):
            value = torch.empty(1, 1, 1, channels, device=device, dtype=dtype)
            setattr(self, name, nn.Parameter(value, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        response = norm / (norm.mean(-1, keepdim=True) + 1e-6)
        return self.gamma.to(x) * (x * response) + self.beta.to(x) + x


class Block(nn.Module):
    """[B,C,H,W] -> the same: depthwise 7x7, then an MLP over channels with GRN, added to the input."""

    def __init__(self, channels: int, device=None, dtype=None, operations=nn):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.dwconv = operations.Conv2d(channels, channels, 7, padding=3, groups=channels, **options)
        self.norm = operations.LayerNorm(channels, eps=1e-6, **options)
        self.pwconv1 = operations.Linear(channels, 4 * channels, **options)
        self.grn = GlobalResponseNorm(4 * channels, **options)
        self.pwconv2 = operations.Linear(4 * channels, channels, **options)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.pwconv2(self.grn(F.gelu(self.pwconv1(y))))
        return x + y.permute(0, 3, 1, 2)


def channel_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """A layer norm over the channels of [B,C,H,W]."""
    return norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """Picture [B,3,256,256] in 0..1 -> the seven raw heads."""

    def __init__(self, device=None, dtype=None, operations=nn, sizes: Sizes = PUBLISHED):
        super().__init__()
        options, widths = {"device": device, "dtype": dtype}, sizes.widths
        self.downsample_layers = nn.ModuleList()
        for i, width in enumerate(widths):
            norm = operations.LayerNorm(width if i == 0 else widths[i - 1], eps=1e-6, **options)
            size = 4 if i == 0 else 2
            conv = operations.Conv2d(3 if i == 0 else widths[i - 1], width, size, stride=size, **options)
            self.downsample_layers.append(nn.ModuleList([conv, norm] if i == 0 else [norm, conv]))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, operations=operations, **options) for _ in range(depth)))
            for width, depth in zip(widths, sizes.depths, strict=True)
        )
        self.norm = operations.LayerNorm(widths[-1], eps=1e-6, **options)
        for name, size in HEADS.items():
            setattr(self, f"fc_{name}", operations.Linear(widths[-1], size, **options))

    def downsample(self, level: int, x: Tensor) -> Tensor:
        """The stem (level 0), or the halving in front of a later stage."""
        first, second = cast(nn.ModuleList, self.downsample_layers[level])
        return channel_norm(second, first(x)) if level == 0 else second(channel_norm(first, x))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = image
        for level, stage in enumerate(self.stages):
            x = stage(self.downsample(level, x))
        x = self.norm(x.mean((-2, -1)))
        return {name: getattr(self, f"fc_{name}")(x) for name in HEADS}


class MotionExtractor(nn.Module):
    """Picture [B,3,256,256] in 0..1 -> KeypointMotion."""

    def __init__(self, device=None, dtype=None, operations=nn, sizes: Sizes = PUBLISHED):
        super().__init__()
        self.detector = ConvNeXt(device, dtype, operations, sizes)

    def forward(self, image: Tensor) -> KeypointMotion:
        heads = self.detector(image)
        return KeypointMotion(
            canonical=heads["kp"].unflatten(1, (21, 3)),
            scale=heads["scale"],
            pitch=head_pose_degrees(heads["pitch"])[:, None],
            yaw=head_pose_degrees(heads["yaw"])[:, None],
            roll=head_pose_degrees(heads["roll"])[:, None],
            translation=heads["t"],
            expression=heads["exp"].unflatten(1, (21, 3)),
        )


def build_motion_extractor(
    state, metadata, device=None, dtype=torch.float32, operations=nn
) -> MotionExtractor:
    """For the loader: a network of the sizes that the weights have."""
    return MotionExtractor(device, dtype, operations, read_sizes(state))
