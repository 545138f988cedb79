"""Random weights by the meaning of their names, so that a network of any kind gives finite numbers."""

import torch
from torch import Tensor, nn


def random_state(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Weights of a network built on the meta device: normal / sqrt(fan in), norms near 1."""
    random = torch.Generator().manual_seed(seed)
    return {key: random_tensor(key, value, random) for key, value in network.state_dict().items()}


def random_tensor(key: str, like: Tensor, random: torch.Generator) -> Tensor:
    """One parameter or buffer by the meaning of its name."""
    leaf = key.rsplit(".", 1)[-1]
    if not like.is_floating_point():
        return torch.zeros(like.shape, dtype=like.dtype)
    if leaf == "freqs":
        return 10000 ** (-torch.arange(like.numel()) / like.numel())
    noise = torch.randn(like.shape, generator=random)
    if leaf in ("running_var", "gamma") or (like.ndim <= 1 and leaf == "weight"):
        return 1 + 0.1 * noise.abs()
    if like.ndim <= 1 or leaf in ("beta", "running_mean"):
        return 0.02 * noise
    return noise / (like[0].numel() ** 0.5)
