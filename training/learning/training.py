"""All that a run of training is, and its one form on disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...models.atomic_file import atomic_file
from .recipe import Recipe

FORM = "talking-portrait-training-1"
Terms = Mapping[str, Tensor]  # "loss" is followed, the others are told


@dataclass(frozen=True)
class Taken:
    """What a step was: its loss and other terms, the norm of the gradients before clipping, the learning rate."""

    terms: dict[str, float]
    norm: float
    rate: float

    @property
    def loss(self) -> float:
        return self.terms["loss"]


class Training:
    """Weights, their average, optimiser, step, chance and curve of one run.

    network: its parameters that want a gradient are trained, and all of its state is saved. settings: what else
    must be the same when the run goes on. Chance is torch's own and `random`; a place in the data is a function
    of the step (training/data/clips.py).
    """

    def __init__(
        self, network: nn.Module, recipe: Recipe, seed: int, settings: Mapping[str, Any] | None = None
    ):
        self.network, self.recipe, self.seed = network, recipe, seed
        self.settings = {**recipe.settings(), "seed": seed, **(settings or {})}
        self.step, self.moves, self.seconds = 0, 0, 0.0
        self.random = np.random.default_rng(seed)
        self.curve: list[dict[str, float]] = []
        self.optimiser = recipe.optimiser(network)
        self.average: dict[str, Tensor] | None = None
        self.average_from_here()

    def average_from_here(self) -> None:
        """Let the average, if there is one, begin at the weights as they are."""
        if self.recipe.average is not None:
            self.average = {key: value.clone() for key, value in self.network.state_dict().items()}

    def learn(self, terms: Tensor | Terms) -> Taken:
        """Follow the gradient of a loss for one step; FloatingPointError if it is no number."""
        terms = {"loss": terms} if isinstance(terms, Tensor) else dict(terms)
        rate = self.recipe.rate_at(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        terms["loss"].backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(parameters, self.recipe.clip))
        if not np.isfinite(norm):
            raise FloatingPointError(
                f"the gradients of step {self.step} are no numbers; lower the rate, or look for damaged data"
            )
        self.optimiser.step()
        self.step += 1
        self._move_average()
        return Taken({name: value.item() for name, value in terms.items()}, norm, rate)

    def _move_average(self) -> None:
        rule = self.recipe.average
        if rule is not None and self.average is not None and self.step % rule.every == 0:
            self.moves += 1
            rule.moved(self.average, self.network.state_dict(), self.moves)

    def result(self) -> dict[str, Tensor]:
        """The weights to keep: their average where there is one."""
        return self.network.state_dict() if self.average is None else self.average

    def save(self, path: Path) -> None:
        """Everything, so that a killed run goes on as if nothing had happened; whole or not at all."""
        tensors = {f"network.{key}": value for key, value in self.network.state_dict().items()}
        tensors |= {f"average.{key}": value for key, value in (self.average or {}).items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
        tensors["chance.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["chance.cuda"] = torch.cuda.get_rng_state()
        written = {
            "step": self.step, "moves": self.moves, "seconds": self.seconds, "curve": self.curve,
            "random": self.random.bit_generator.state, "settings": self.settings,
        }  # fmt: skip
        with atomic_file(path) as part:
            kept = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
            save_file(kept, part, {"form": FORM, "training": json.dumps(written)})

    def resume(self, path: Path) -> None:
        """Go on from a file of `save`; ValueError if it is damaged or of another run."""
        written, tensors = read_checkpoint(path)
        wanted = json.loads(json.dumps(self.settings))
        names = sorted(wanted.keys() | written["settings"].keys())
        other = [name for name in names if wanted.get(name) != written["settings"].get(name)]
        if other:
            told = ", ".join(f"{name} {written['settings'].get(name)}" for name in other)
            raise ValueError(
                f"{path} is of a run with other settings ({told}): use those, or delete the file."
            )
        device = next(self.network.parameters()).device

        def part(prefix: str) -> dict[str, Tensor]:
            return {key.removeprefix(prefix): v for key, v in tensors.items() if key.startswith(prefix)}

        try:
            self.network.load_state_dict(part("network."))
        except RuntimeError:
            raise ValueError(
                f"{path} is of a network of other sizes: use the options of that run, or delete the file."
            ) from None
        if self.average is not None:
            self.average = {key: value.to(device) for key, value in part("average.").items()}
        state = self.optimiser.state_dict()
        state["state"] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            state["state"].setdefault(int(number), {})[name] = value
        self.optimiser.load_state_dict(state)
        torch.set_rng_state(tensors["chance.cpu"])
        if torch.cuda.is_available() and "chance.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["chance.cuda"])
        self.random.bit_generator.state = written["random"]
        self.step, self.moves = written["step"], written["moves"]
        self.seconds, self.curve = written["seconds"], written["curve"]


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint says and its tensors; ValueError if it is damaged or another file."""
    try:
        with safe_open(str(path), "pt") as file:
            header = file.metadata() or {}
            if header.get("form") != FORM:
                raise ValueError(f"its form is {header.get('form')}, not {FORM}")
            return json.loads(header["training"]), {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): delete it to start anew, or put back a copy of it."
        ) from None
