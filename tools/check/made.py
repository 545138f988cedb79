"""What a stage of the check is: networks, what they are given, and what is done with both."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HALF = (torch.float16, torch.bfloat16)
# frames: few, of small pictures, for a CPU too, and those of a whole window or film, for an accelerator
ACTALKER_FRAMES, WAN_FRAMES = (4, 25), (9, 81)


@dataclass(frozen=True)
class Made:
    """A stage that can run: networks in float32 on the CPU, inputs by name, and what to do with both.

    run((*networks, *exact), inputs, dtype) -> result, where networks compute in dtype, and exact and parameters whose
    names end with one of float_parameters in float32. units: what one call gives.
    """

    networks: tuple[nn.Module, ...]
    inputs: dict[str, Tensor]
    run: Callable[[tuple[Any, ...], dict[str, Tensor], torch.dtype], Tensor]
    units: float
    weights: str
    exact: tuple[nn.Module, ...] = ()
    float_parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One stage of the pack.

    make(models folder, size) may raise ImportError where a package is missing that it needs. unit: of which per second
    is told. halves: types besides float32 that it has in the pack. sizes: those that an accelerator is timed at; on a
    CPU it is the first, at which numbers are compared. tolerance: of float32 against the CPU, relative. part_of: the
    stage whose time this one is a share of.
    """

    name: str
    make: Callable[[Path, int], Made]
    unit: str = "frames"
    halves: tuple[torch.dtype, ...] = ()
    sizes: tuple[int, ...] = (1,)
    tolerance: float = 2e-3
    part_of: str | None = None


def filled(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """The network with these weights in float32."""
    network.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()},
        assign=True,
    )
    return network.eval().requires_grad_(False)


def filled_from(build: Callable, state: dict[str, Tensor]) -> nn.Module:
    """A network whose sizes come from its weights."""
    return filled(build(state, {}), state)


def seeded(*shape: int, scale: float = 1.0) -> Tensor:
    """Normal noise, the same on every machine."""
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
