"""W: dense motion from two sets of keypoints, and the appearance volume warped by it (LivePortrait, section
3.1; 45.5 M). Other sizes than the published ones are read from a file's tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..frozen_batch_norm import FrozenBatchNorm
from ..weights.told_sizes import told_sizes
from .exact_rewrites import SpectralKernel, conv_by_slices, convolved_upsampled, parameters_for

KEYPOINTS = 21
HEATMAP_VARIANCE = 0.01
# below it a Gaussian's tail consists of denormal numbers, which make a CPU's convolution three times as slow
LEAST_HEAT = 1e-30
PHASES_FROM = 16  # width from which summing the taps of an upsampled convolution is cheaper than upsampling


@dataclass(frozen=True)
class WarpingSizes:
    """Channels and depth of the appearance volume, of its compressed form, down and up the hourglass, and of the
    features for the generator. The published ones unless said."""

    channels: int = 32
    depth: int = 16
    compressed: int = 4
    down: tuple[int, ...] = (64, 128, 256, 512, 1024)
    up: tuple[int, ...] = (512, 256, 128, 64, 32)
    features: int = 256

    @property
    def candidates(self) -> int:
        """Channels that go into the hourglass: a heatmap and a shifted volume for each keypoint and the background."""
        return (KEYPOINTS + 1) * (1 + self.compressed)

    @property
    def found(self) -> int:
        """Channels that come out of it: the last ascent beside its input."""
        return self.up[-1] + self.candidates

    @property
    def ascent(self) -> list[tuple[int, int]]:
        """Channels in and out of each step up; from the second on it sees the step down at its level, too."""
        skips = (0, *self.down[-2::-1])
        return [
            (before + skip, after)
            for (before, after), skip in zip(pairwise((self.down[-1], *self.up)), skips, strict=True)
        ]


PUBLISHED = WarpingSizes()


def read_sizes(state: Mapping[str, Tensor]) -> WarpingSizes:
    """Sizes that a file's tensors have; the published ones where the tensors that tell are missing."""
    motion = "dense_motion_network"
    down, up = f"{motion}.hourglass.encoder.down_blocks", f"{motion}.hourglass.decoder.up_blocks"
    levels = range(len({key.split(".")[4] for key in state if key.startswith(f"{down}.")}))
    told = told_sizes(state, [
        (f"{motion}.compress.weight", 1), ("third.conv.weight", 1), (f"{motion}.compress.weight", 0),
        ("third.conv.weight", 0),
        *((f"{blocks}.{level}.conv.bias", 0) for blocks in (down, up) for level in levels),
    ])  # fmt: skip
    if told is None or not levels:
        return PUBLISHED
    channels, folded, compressed, features, *widths = told
    descent, ascent = tuple(widths[: len(levels)]), tuple(widths[len(levels) :])
    return WarpingSizes(channels, folded // channels, compressed, descent, ascent, features)


@dataclass(frozen=True)
class WarpSource:
    """What does not change over a film: volume [1,32,16,64,64], its compressed form [1,4,16,64,64], keypoints
    [1,21,3]. Or of B pictures, each of which is driven once: B in the place of 1."""

    volume: Tensor
    compressed: Tensor
    keypoints: Tensor

    @staticmethod
    def joined(sources: Sequence["WarpSource"]) -> "WarpSource":
        """Those of single pictures as one."""
        return WarpSource(
            *(torch.cat(parts) for parts in zip(*(vars(one).values() for one in sources), strict=True))
        )


@dataclass(frozen=True)
class DenseMotionField:
    """deformation [B,16,64,64,3] float32: where each voxel comes from, x, y, z in -1..1; occlusion
    [B,1,64,64] in 0..1."""

    deformation: Tensor
    occlusion: Tensor


def sizes_of(volume: Tensor) -> tuple[int, int, int]:
    """(D, H, W) of [...,D,H,W]."""
    depth, height, width = volume.shape[-3:]
    return depth, height, width


def axes(shape: tuple[int, int, int], like: Tensor) -> list[Tensor]:
    """Coordinates along x, y, z of a [D,H,W] volume, -1..1 inclusive, float32."""
    return [torch.linspace(-1, 1, size, device=like.device) for size in reversed(shape)]


def heatmaps(keypoints: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """[B,21,3] -> [B,21,D,H,W], exp(-|grid - kp|^2 / 0.02): a Gaussian is the product of three along the axes."""
    x, y, z = (
        torch.exp(-0.5 / HEATMAP_VARIANCE * (axis - keypoints[..., i, None]) ** 2)
        for i, axis in enumerate(axes(shape, keypoints))
    )
    product = z[..., :, None, None] * y[..., None, :, None] * x[..., None, None, :]
    return F.threshold(product, LEAST_HEAT, 0.0, inplace=True)


def shifted_volumes(volume: Tensor, shifts: Tensor) -> Tensor:
    """[1 or B,C,D,H,W] sampled at grid + shift, trilinear, zero outside: shifts [B,K,3] (x, y, z) -> [B,K,C,D,H,W].

    The same as grid_sample with align_corners=False on a grid with inclusive corners, as the published
    network was trained; a shift is the same for all voxels, so each axis is one small banded matrix.
    """
    matrices = []
    for i, axis in enumerate(axes(sizes_of(volume), shifts)):
        size = len(axis)
        position = ((axis + shifts[..., i, None] + 1) * size - 1) / 2
        reach = 1 - (position[..., None] - torch.arange(size, device=shifts.device)).abs()
        matrices.append(reach.clamp(min=0).to(volume.dtype))  # [B,K,to,from]
    x, y, z = matrices
    depth, height, _ = sizes_of(volume)
    out = volume.flatten(1, 3)[:, None] @ x.transpose(-1, -2)  # [B,K,C*D*H,W]
    out = y[:, :, None] @ out.unflatten(2, (-1, height))  # [B,K,C*D,H,W]
    out = z[:, :, None] @ out.flatten(-2).unflatten(2, (-1, depth))  # [B,K,C,D,H*W]
    return out.unflatten(-1, tuple(volume.shape[-2:]))


class Level(nn.Module):
    """3x3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.conv = operations.Conv3d(inputs, outputs, 3, padding=1, device=device, dtype=dtype)
        self.norm = FrozenBatchNorm(outputs, device, dtype)


class Down(Level):
    """Then half the height and width."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)))
        return F.avg_pool2d(x.flatten(1, 2), 2).unflatten(1, x.shape[1:3])


class Up(Level):
    """Of the input at twice the height and width."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < PHASES_FROM:
            x = self.conv(F.interpolate(x, scale_factor=(1, 2, 2)))
        else:
            x = convolved_upsampled(self.conv, x, 2)
        return F.relu(self.norm(x))


class Encoder(nn.Module):
    def __init__(self, sizes: WarpingSizes, options: dict):
        super().__init__()
        self.down_blocks = nn.ModuleList(
            Down(a, b, **options) for a, b in pairwise((sizes.candidates, *sizes.down))
        )


class Decoder(Level):
    def __init__(self, sizes: WarpingSizes, options: dict):
        super().__init__(sizes.found, sizes.found, **options)
        self.up_blocks = nn.ModuleList(Up(a, b, **options) for a, b in sizes.ascent)


class Hourglass(nn.Module):
    """[B,110,16,64,64] -> [B,142,16,64,64]; depth is never pooled."""

    def __init__(self, sizes: WarpingSizes, options: dict):
        super().__init__()
        self.encoder, self.decoder = Encoder(sizes, options), Decoder(sizes, options)

    def forward(self, x: Tensor) -> Tensor:
        skips = [x]
        for block in self.encoder.down_blocks:
            skips.append(block(skips[-1]))
        x = skips.pop()
        for block in self.decoder.up_blocks:
            x = torch.cat([block(x), skips.pop()], 1)
        return F.relu(self.decoder.norm(self.decoder.conv(x)))


class PreparedKernel:
    """The spectrum of a convolution's weights, with a copy of them: comparing costs far less than transforming them."""

    def __init__(self, weight: Tensor, bias: Tensor):
        self.weight, self.bias = weight.detach().clone(), bias.detach().clone()
        self.convolve = SpectralKernel(weight, bias)

    def is_of(self, weight: Tensor, bias: Tensor) -> bool:
        """Whether these are the weights, wherever they lie now and however they were changed in between."""
        return torch.equal(self.weight, weight) and torch.equal(self.bias, bias)


class DenseMotion(nn.Module):
    """Which of 22 shifts every voxel takes, and what is hidden."""

    def __init__(self, device=None, dtype=None, operations=nn, sizes: WarpingSizes = PUBLISHED):
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.depth = sizes.depth
        self.hourglass = Hourglass(sizes, {**options, "operations": operations})
        self.mask = operations.Conv3d(sizes.found, KEYPOINTS + 1, 7, padding=3, **options)
        self.compress = operations.Conv3d(sizes.channels, sizes.compressed, 1, **options)
        self.norm = FrozenBatchNorm(sizes.compressed, **options)
        self.occlusion = operations.Conv2d(sizes.found * sizes.depth, 1, 7, padding=3, **options)
        self._mask_kernel: PreparedKernel | None = None

    def compressed(self, volume: Tensor) -> Tensor:
        """[B,32,16,64,64] -> [B,4,16,64,64]."""
        return F.relu(self.norm(self.compress(volume)))

    def candidates(self, source: WarpSource, driving: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts [B,22,3] and the hourglass's input [B,110,16,64,64]; number 0 is the background, which stays."""
        shifts = F.pad(source.keypoints - driving, (0, 0, 1, 0))
        warped = shifted_volumes(source.compressed, shifts)
        shape = sizes_of(source.compressed)
        heat = F.pad(heatmaps(driving, shape) - heatmaps(source.keypoints, shape), (0,) * 6 + (1, 0))
        return shifts, torch.cat([heat[:, :, None].to(warped), warped], 2).flatten(1, 2)

    def mask_logits(self, features: Tensor) -> Tensor:
        """[B,142,16,64,64] -> [B,22,16,64,64]; on a CPU in float32 the 7x7x7 kernel goes through its spectrum."""
        if features.device.type != "cpu":
            return self.mask(features)
        weight, bias = parameters_for(self.mask, features)
        # then every step needs the path back to the weights
        trained = torch.is_grad_enabled() and weight.requires_grad
        if features.dtype != torch.float32 or trained or self.depth % SpectralKernel.TILE:
            return conv_by_slices(features, weight, bias)
        if self._mask_kernel is None or not self._mask_kernel.is_of(weight, bias):
            self._mask_kernel = PreparedKernel(weight, bias)
        return self._mask_kernel.convolve(features)

    def forward(self, source: WarpSource, driving: Tensor) -> DenseMotionField:
        shifts, stacked = self.candidates(source, driving)
        features = self.hourglass(stacked)
        weights = self.mask_logits(features).float().softmax(1)
        shift = torch.einsum("bkdhw,bkc->bdhwc", weights, shifts)
        x, y, z = axes(sizes_of(features), shift)
        grid = torch.stack(torch.broadcast_tensors(x, y[:, None], z[:, None, None]), -1)
        return DenseMotionField(grid + shift, self.occlusion(features.flatten(1, 2)).sigmoid())


class ConvNormLeaky(nn.Module):
    """3x3 convolution, batch norm, leaky ReLU 0.01."""

    def __init__(self, inputs: int, outputs: int, device=None, dtype=None, operations=nn):
        super().__init__()
        self.conv = operations.Conv2d(inputs, outputs, 3, padding=1, device=device, dtype=dtype)
        self.norm = FrozenBatchNorm(outputs, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), 0.01)


class WarpingModule(nn.Module):
    """Appearance volume and two sets of keypoints -> the generator's input [B,256,64,64]."""

    def __init__(self, device=None, dtype=None, operations=nn, sizes: WarpingSizes = PUBLISHED):
        super().__init__()
        options = {"device": device, "dtype": dtype, "operations": operations}
        self.sizes = sizes
        self.dense_motion_network = DenseMotion(sizes=sizes, **options)
        self.third = ConvNormLeaky(sizes.channels * sizes.depth, sizes.features, **options)
        self.fourth = operations.Conv2d(sizes.features, sizes.features, 1, device=device, dtype=dtype)

    def prepare(self, volume: Tensor, keypoints: Tensor) -> WarpSource:
        """Once per portrait: volume [B,32,16,64,64], source keypoints [B,21,3]."""
        return WarpSource(volume, self.dense_motion_network.compressed(volume), keypoints.float())

    def forward(self, source: WarpSource, driving: Tensor) -> Tensor:
        """driving [B,21,3] float32, of one source or of B -> [B,256,64,64]."""
        motion = self.dense_motion_network(source, driving)
        return self.warp(source.volume, motion)

    def warp(self, volume: Tensor, motion: DenseMotionField) -> Tensor:
        """The volume as the motion field bends it, folded to a picture of features. Coordinates need float32."""
        volume = volume.float().expand(len(motion.deformation), -1, -1, -1, -1)
        bent = F.grid_sample(volume, motion.deformation, align_corners=False).flatten(1, 2)
        return self.fourth(self.third(bent.to(motion.occlusion))) * motion.occlusion


def build_warping(state, metadata, device=None, dtype=torch.float32, operations=nn) -> WarpingModule:
    """For the loader: a network of the sizes that the weights have."""
    return WarpingModule(device, dtype, operations, read_sizes(state))
