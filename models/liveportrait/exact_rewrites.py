"""Convolutions in forms that are cheaper on a CPU and give the same numbers (up to rounding).

On other devices the plain convolutions run: whether these forms are faster there was not measured, and through the
modules themselves ComfyUI casts, patches and streams the weights.

A nearest-upsampled picture holds every value several times, so a 3x3 kernel sees only two different rows at a
time: its taps are summed first and the convolution runs at the low resolution, once for each phase of the
fine grid.
"""

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

Convolution = nn.Conv2d | nn.Conv3d

# Taps (rows -1, 0, 1 of the kernel) that fall on the same coarse row, for each kind of fine row.
FIRST, INNER, LAST = ((0,), (1, 2)), ((0, 1, 2),), ((0, 1), (2,))
PHASES = {2: (FIRST, LAST), 4: (FIRST, INNER, INNER, LAST)}
PADDING = {FIRST: (1, 0), INNER: (0, 0), LAST: (0, 1)}


def parameters_for(module: Convolution, x: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution, in x's type and on its device."""
    assert module.bias is not None  # all of these networks' convolutions have one
    return module.weight.to(x), module.bias.to(x)


def joined(modules: Sequence[Convolution], x: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of several convolutions of the same input as one."""
    weights, biases = zip(*(parameters_for(module, x) for module in modules), strict=True)
    return torch.cat(weights), torch.cat(biases)


def merged_taps(weight: Tensor, dim: int, groups: tuple[tuple[int, ...], ...]) -> Tensor:
    """Kernel whose taps along `dim` are the sums of `groups` of neighbouring taps."""
    sums = (weight.narrow(dim, taps[0], len(taps)).sum(dim, keepdim=True) for taps in groups)
    return torch.cat([*sums], dim)


def convolved_upsampled(module: Convolution, x: Tensor, factor: int) -> Tensor:
    """A 3x3 or 3x3x3 convolution of x upsampled `factor` times to nearest in height and width."""
    if x.device.type == "cpu":
        return conv_of_upsampled(x, *parameters_for(module, x), factor)
    plane = (float(factor), float(factor))
    return module(F.interpolate(x, scale_factor=plane if x.ndim == 4 else (1.0, *plane)))


def conv_of_upsampled(x: Tensor, weight: Tensor, bias: Tensor, factor: int) -> Tensor:
    """A 3x3 (or 3x3x3) convolution, padding 1, of x upsampled `factor` (2 or 4) times to nearest in height and width.

    x [B,C,H,W] or [B,C,D,H,W] -> [B,O,(D,)factor*H,factor*W].
    """
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    phases = PHASES[factor]
    fine: dict[tuple, Tensor] = {}
    for row in dict.fromkeys(phases):
        for column in dict.fromkeys(phases):
            kernel = merged_taps(merged_taps(weight, -2, row), -1, column)
            depth = (1, 1) if x.ndim == 5 else ()
            fine[row, column] = convolve(F.pad(x, (*PADDING[column], *PADDING[row], *depth)), kernel, bias)
    out = fine_grid(fine[phases[0], phases[0]], factor)
    for i, row in enumerate(phases):
        for j, column in enumerate(phases):
            out[..., i, :, j] = fine[row, column]
    return out.flatten(-2).flatten(-3, -2)


def fine_grid(like: Tensor, factor: int) -> Tensor:
    """Room for a picture or volume `factor` times as high and wide, [...,H,factor,W,factor], in the memory
    format of `like`."""
    height, width = like.shape[-2:]
    options = {"dtype": like.dtype, "device": like.device}
    if like.ndim == 4 and like.is_contiguous(memory_format=torch.channels_last):
        batch, channels = like.shape[:2]
        return torch.empty(batch, height, factor, width, factor, channels, **options).permute(
            0, 5, 1, 2, 3, 4
        )
    return torch.empty(*like.shape[:-2], height, factor, width, factor, **options)


def conv_by_slices(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A large 3D convolution, padding (k-1)/2, as one 2D convolution of every depth slice and a sum of shifted slices.

    x [B,C,D,H,W], weight [O,C,k,k,k] -> [B,O,D,H,W]. Few output channels become k times as many, which
    processors like better.
    """
    outputs, size, depth = weight.shape[0], weight.shape[2], x.shape[2]
    reach = (size - 1) // 2
    flat = weight.transpose(1, 2).flatten(0, 1)  # [O*k,C,k,k]
    slices = F.conv2d(x.transpose(1, 2).flatten(0, 1), flat, padding=reach)
    slices = slices.unflatten(0, (-1, depth)).unflatten(2, (outputs, size))  # [B,D,O,k,H,W]
    padded = F.pad(slices.permute(0, 2, 3, 1, 4, 5), (0, 0, 0, 0, reach, reach))
    total = sum(padded[:, :, k, k : k + depth].float() for k in range(size))
    return (total + bias.float()[:, None, None, None]).to(x.dtype)


class SpectralKernel:
    """A large 3D convolution with padding (k-1)/2, in float32, through overlapping tiles and their Fourier
    transforms."""

    TILE = 16

    def __init__(self, weight: Tensor, bias: Tensor):
        self.size = weight.shape[-1]
        self.span = self.TILE + self.size - 1
        spectrum = torch.fft.rfftn(weight.float(), s=(self.span,) * 3, dim=(-3, -2, -1)).conj()
        self.spectrum = spectrum.flatten(2).permute(2, 1, 0).contiguous()  # [frequencies, in, out]
        self.bias = bias.float()

    def __call__(self, x: Tensor) -> Tensor:
        """[B,C,D,H,W] with D, H, W multiples of 16 -> [B,O,D,H,W]."""
        reach = (self.size - 1) // 2
        x = F.pad(x, (reach,) * 6)
        for dim in (-3, -2, -1):  # three unfolds: [B,C,tiles...,span,span,span]
            x = x.unfold(2 if dim == -3 else 3 if dim == -2 else 4, self.span, self.TILE)
        spectrum = torch.fft.rfftn(x, dim=(-3, -2, -1))
        batch, channels, tiles, frequencies = x.shape[0], x.shape[1], x.shape[2:5], spectrum.shape[-3:]
        flat = spectrum.reshape(batch, channels, -1, frequencies.numel()).permute(3, 0, 2, 1).flatten(1, 2)
        flat = torch.bmm(flat, self.spectrum)  # correlation: the kernel's spectrum is conjugated
        spectrum = flat.permute(1, 2, 0).reshape(batch, tiles.numel(), -1, *frequencies)
        out = torch.fft.irfftn(spectrum, s=(self.span,) * 3, dim=(-3, -2, -1))[
            ..., : self.TILE, : self.TILE, : self.TILE
        ]
        places = dict(zip(("d", "h", "w"), tiles, strict=True))
        out = rearrange(out, "b (d h w) o x y z -> b o (d x) (h y) (w z)", **places)
        return out + self.bias[:, None, None, None]
