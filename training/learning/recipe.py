"""How weights follow their gradients: the optimiser's numbers, the learning rate over the steps, the average."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Schedule(Protocol):
    """The learning rate over a run."""

    def factor(self, step: int, steps: int) -> float:
        """By what the highest rate is multiplied when `step` of `steps` are done."""
        ...


@dataclass(frozen=True)
class Cosine:
    """Up in a line over the first steps, then down along a cosine.

    first: 0 where the first step of all changes nothing, 1 where it already has a share; last: the factor at the end.
    """

    warm_up: int
    first: int = 1
    last: float = 0.0

    def factor(self, step: int, steps: int) -> float:
        if step < self.warm_up:
            return (step + self.first) / self.warm_up
        done = min(1.0, (step - self.warm_up) / max(1, steps - self.warm_up))
        return self.last + (1 - self.last) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Linear:
    """Up in a line over the first steps, and down in a line over all of them, to `last`."""

    warm_up: int
    last: float

    def factor(self, step: int, steps: int) -> float:
        return min((step + 1) / self.warm_up, max(self.last, 1 - step / steps))


@dataclass(frozen=True)
class Average:
    """A running average of the weights, moved every so many steps.

    The n-th move keeps min(most, (first + n) / (reach + n)) of the average.
    """

    most: float = 0.999
    every: int = 1
    first: int = -1
    reach: int = 19

    def kept(self, move: int) -> float:
        """How much of the average stays at its n-th move, from 1."""
        return min(self.most, (self.first + move) / (self.reach + move))

    def moved(self, average: dict[str, Tensor], state: dict[str, Tensor], move: int) -> None:
        """Move the average towards a state dict, in place."""
        kept = self.kept(move)
        for key, value in state.items():
            if value.is_floating_point():
                average[key].mul_(kept).add_(value, alpha=1 - kept)
            else:
                average[key].copy_(value)


@dataclass(frozen=True)
class Recipe:
    """AdamW with a schedule.

    undecayed: parameters whose name has it lose no weight; clip: norm of all gradients together.
    """

    steps: int
    rate: float
    schedule: Schedule
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    decay: float = 0.01
    undecayed: str = ""
    clip: float = 1.0
    average: Average | None = None

    def optimiser(self, network: nn.Module) -> torch.optim.AdamW:
        """Over all parameters of the network that want a gradient."""
        decayed, kept = self.groups(network)
        named = dict(network.named_parameters())
        groups = [{"params": [named[name] for name in decayed], "weight_decay": self.decay}]
        groups += [{"params": [named[name] for name in kept], "weight_decay": 0.0}] if kept else []
        return torch.optim.AdamW(groups, self.rate, betas=self.betas, eps=self.eps)

    def groups(self, network: nn.Module) -> tuple[list[str], list[str]]:
        """Names of what loses weight, and of what does not."""
        names = [name for name, value in network.named_parameters() if value.requires_grad]
        kept = [name for name in names if self.undecayed and self.undecayed in name]
        return [name for name in names if name not in set(kept)], kept

    def rate_at(self, step: int) -> float:
        """The learning rate of the step after `step` steps."""
        return self.rate * self.schedule.factor(step, self.steps)

    def settings(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        schedule = {type(self.schedule).__name__: vars(self.schedule)}
        return asdict(self) | {"betas": list(self.betas), "schedule": schedule}


def tiny(steps: int, rate: float) -> Recipe:
    """Of the tiny proofs."""
    return Recipe(steps, rate, Cosine(max(1, steps // 10)))
