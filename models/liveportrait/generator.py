"""G: the SPADE generator, from warped features to the picture (LivePortrait, section 3.1; 55.4 M).

Other sizes than the published ones are read from a file's tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..weights.told_sizes import told_sizes
from .exact_rewrites import convolved_upsampled, joined


@dataclass(frozen=True)
class GeneratorSizes:
    """Channels of the features, of what a SPADE norm makes of them, of the blocks at 64x64, and at 128x128 and
    256x256; how many blocks at 64x64. The published ones unless said."""

    features: int = 256
    hidden: int = 128
    middle: int = 512
    rising: tuple[int, int] = (256, 64)
    blocks: int = 6


PUBLISHED = GeneratorSizes()


def read_sizes(state: Mapping[str, Tensor]) -> GeneratorSizes:
    """Sizes that a file's tensors have; the published ones where the tensors that tell are missing."""
    told = told_sizes(state, [
        ("fc.weight", 1), ("G_middle_0.norm_0.mlp_shared.0.bias", 0), ("fc.weight", 0), ("up_0.conv_1.bias", 0),
        ("up_1.conv_1.bias", 0),
    ])  # fmt: skip
    if told is None:
        return PUBLISHED
    features, hidden, middle, higher, highest = told
    blocks = {key.split(".")[0] for key in state if key.startswith("G_middle_")}
    return GeneratorSizes(features, hidden, middle, (higher, highest), len(blocks))


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance of every channel; torch's group norm is its fastest form, in any memory format."""
    return F.group_norm(x, x.shape[1], eps=1e-5)


class Spade(nn.Module):
    """Instance norm whose scale and shift are drawn by the layout (SPADE, eq. 1)."""

    def __init__(
        self, channels: int, device=None, dtype=None, operations=nn, sizes: GeneratorSizes = PUBLISHED
    ):
        super().__init__()
        options = {"padding": 1, "device": device, "dtype": dtype}
        self.mlp_shared = nn.Sequential(operations.Conv2d(sizes.features, sizes.hidden, 3, **options))
        self.mlp_gamma = operations.Conv2d(sizes.hidden, channels, 3, **options)
        self.mlp_beta = operations.Conv2d(sizes.hidden, channels, 3, **options)

    def forward(self, normalised: Tensor, layout: Tensor, factor: int) -> Tensor:
        """normalised [B,C,h,w], layout [B,F,h/factor,w/factor] -> [B,C,h,w]."""
        first = cast(nn.Conv2d, self.mlp_shared[0])
        shared = F.relu_(first(layout) if factor == 1 else convolved_upsampled(first, layout, factor))
        gamma, beta = self.scale_and_shift(shared)
        return torch.addcmul(beta, normalised, gamma.add_(1))

    def scale_and_shift(self, shared: Tensor) -> tuple[Tensor, Tensor]:
        """Both convolutions of the layout; a CPU does them faster as one."""
        if shared.device.type != "cpu":
            return self.mlp_gamma(shared), self.mlp_beta(shared)
        weight, bias = joined([self.mlp_gamma, self.mlp_beta], shared)
        gamma, beta = F.conv2d(shared, weight, bias, padding=1).unsafe_chunk(2, 1)
        return gamma, beta


class SpadeBlock(nn.Module):
    """Residual block of two SPADE norms; a 1x1 shortcut with a third one where the width changes."""

    def __init__(
        self, inputs: int, outputs: int, device=None, dtype=None, operations=nn,
        sizes: GeneratorSizes = PUBLISHED,
    ):  # fmt: skip
        super().__init__()
        options = {"device": device, "dtype": dtype}
        middle = min(inputs, outputs)
        self.conv_0 = operations.Conv2d(inputs, middle, 3, padding=1, **options)
        self.conv_1 = operations.Conv2d(middle, outputs, 3, padding=1, **options)
        self.norm_0 = Spade(inputs, sizes=sizes, operations=operations, **options)
        self.norm_1 = Spade(middle, sizes=sizes, operations=operations, **options)
        if inputs != outputs:
            self.conv_s = operations.Conv2d(inputs, outputs, 1, bias=False, **options)
            self.norm_s = Spade(inputs, sizes=sizes, operations=operations, **options)

    def forward(self, x: Tensor, layout: Tensor, factor: int) -> Tensor:
        """x [B,a,h,w], layout [B,F,h/factor,w/factor] -> [B,b,h,w]."""
        normalised = instance_norm(x)
        shortcut = self.conv_s(self.norm_s(normalised, layout, factor)) if hasattr(self, "conv_s") else x
        y = self.conv_0(F.leaky_relu_(self.norm_0(normalised, layout, factor), 0.2))
        y = self.conv_1(F.leaky_relu_(self.norm_1(instance_norm(y), layout, factor), 0.2))
        return shortcut + y


class SpadeGenerator(nn.Module):
    """Features [B,256,64,64] -> picture [B,3,512,512] in 0..1. Spectral norms are folded into the weights
    when they load."""

    def __init__(self, device=None, dtype=None, operations=nn, sizes: GeneratorSizes = PUBLISHED):
        super().__init__()
        options = {"sizes": sizes, "device": device, "dtype": dtype, "operations": operations}
        plain = {"padding": 1, "device": device, "dtype": dtype}
        higher, highest = sizes.rising
        self.sizes = sizes
        self.fc = operations.Conv2d(sizes.features, sizes.middle, 3, **plain)
        for i in range(sizes.blocks):
            setattr(self, f"G_middle_{i}", SpadeBlock(sizes.middle, sizes.middle, **options))
        self.up_0 = SpadeBlock(sizes.middle, higher, **options)
        self.up_1 = SpadeBlock(higher, highest, **options)
        self.conv_img = nn.Sequential(operations.Conv2d(highest, 12, 3, **plain))

    def forward(self, features: Tensor) -> Tensor:
        # half precision convolutions want the channels last, several times as fast on a CPU
        if features.dtype != torch.float32:
            features = features.contiguous(memory_format=torch.channels_last)
        x = self.fc(features)
        for i in range(self.sizes.blocks):
            x = getattr(self, f"G_middle_{i}")(x, features, 1)
        x = self.up_0(F.interpolate(x, scale_factor=2), features, 2)
        x = self.up_1(F.interpolate(x, scale_factor=2), features, 4)
        return F.pixel_shuffle(self.conv_img(F.leaky_relu(x, 0.2)), 2).sigmoid()


def fold_spectral_norm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published keys with `weight_orig`, `weight_u`, `weight_v` -> plain weights, W / (u . W v); folded files
    pass unchanged."""
    folded = {
        key: value
        for key, value in state.items()
        if not key.endswith(("weight_orig", "weight_u", "weight_v"))
    }
    for key in [key for key in state if key.endswith("weight_orig")]:
        base = key.removesuffix("weight_orig")
        missing = [base + part for part in ("weight_u", "weight_v") if base + part not in state]
        if missing:
            raise ValueError(f"{missing[0]} is missing beside {key}")
        weight, u, v = (state[base + part].float() for part in ("weight_orig", "weight_u", "weight_v"))
        sigma = torch.dot(u, weight.flatten(1) @ v)
        folded[base + "weight"] = (weight / sigma).to(state[key].dtype)
    return folded


def build_generator(state, metadata, device=None, dtype=torch.float32, operations=nn) -> SpadeGenerator:
    """For the loader: a network of the sizes that the weights have."""
    return SpadeGenerator(device, dtype, operations, read_sizes(state))
