"""Batch normalisation with its stored statistics, for networks that only run."""

import torch
from torch import Tensor, nn


class FrozenBatchNorm(nn.Module):
    """[B,C,...] -> the same: y = (x - running_mean) / sqrt(running_var + 1e-5) * weight + bias.

    Has the keys of torch's batch norm, and computes in the type and on the device of its input.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, device=None, dtype=None):
        super().__init__()
        for name in ("weight", "bias"):
            setattr(
                self,
                name,
                nn.Parameter(torch.empty(channels, device=device, dtype=dtype), requires_grad=False),
            )
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels, device=device, dtype=dtype))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64, device=device))

    def scale_and_shift(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The layer as y = scale * x + shift, [C] each, in float32 on x's device."""
        weight, bias, mean, variance = (
            value.to(x.device, torch.float32)
            for value in (self.weight, self.bias, self.running_mean, self.running_var)
        )
        scale = weight * torch.rsqrt(variance + 1e-5)
        return scale, bias - mean * scale

    def forward(self, x: Tensor) -> Tensor:
        scale, shift = (
            value.to(x.dtype).reshape(-1, *[1] * (x.ndim - 2)) for value in self.scale_and_shift(x)
        )
        return torch.addcmul(shift, x, scale)
