"""The noise that a sampler of chance adds while it runs."""

import torch

APART = 0x9E3779B9  # in the lower 32 bits, which are all that torch's generator on a CPU looks at


def later_generator(seed: int) -> torch.Generator:
    """Apart from the generator of the first noise, so that a seed starts every sampler with the same noise."""
    return torch.Generator().manual_seed((seed ^ APART) % 2**63)
