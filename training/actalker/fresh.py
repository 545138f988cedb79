"""Random weights from which ACTalker's UNet can learn."""

import numpy as np
import torch
from torch import Tensor, nn

ADDED = ("out_layers.3", "proj_out", ".out.2", "temporal.to_out")  # to a residual: they start at zero


@torch.no_grad()
def fill(name: str, parameter: Tensor) -> None:
    """One parameter by its name: what is added to a residual starts at zero, the scan's steps between 1 and 100 ms."""
    if "A_logs" in name:
        parameter.copy_(torch.arange(1.0, 1 + parameter.shape[-1]).log().expand_as(parameter))
    elif name.endswith("Ds") or (parameter.ndim == 1 and name.endswith("weight")):
        parameter.fill_(1.0)
    elif name.endswith("dt_projs_bias"):
        steps = torch.empty_like(parameter).uniform_(np.log(1e-3), np.log(0.1)).exp()
        parameter.copy_(steps + (-(-steps).expm1()).log())
    elif parameter.ndim <= 1 or any(part in name for part in ADDED):
        parameter.zero_()
    else:
        parameter.normal_(0, parameter.shape[-1 if parameter.ndim == 3 else 1 :].numel() ** -0.5)


def filled(network: nn.Module, kept: frozenset[str] = frozenset()) -> nn.Module:
    """All parameters but those that are `kept`, by torch's own chance."""
    for name, parameter in network.named_parameters():
        if name not in kept:
            fill(name, parameter)
    return network.requires_grad_(True)
