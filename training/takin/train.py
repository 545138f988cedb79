"""Train Takin-ADA's tiny network on prepared films (training/takin/prepare.py), on one CPU thread.

    python3 run.py python -m talking_portrait.training.takin.train \\
        OUT.safetensors DATA... --validation VALIDATION [--steps 5000] [--minutes 45]

Every minute the whole state goes to OUT.resume.safetensors, as it does at the end, on Ctrl-C and on a polite
kill; the same command goes on from there, with the same numbers as if it had never stopped. A hard kill costs
the last minute at most. The last step writes OUT (fp16, averaged weights) and OUT.json (seed, command, loss
curve). OUT.resume.progress.json says how far it is.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...models.atomic_file import atomic_file
from ...models.sampling.schedule import noised
from ...models.speech.ear import NAME
from ...models.takin.config import EXPRESSION, TINY, TakinConfig
from ...models.takin.conformer import ConformerBlock
from ...models.takin.network import Conditions, TakinNet
from ...models.takin.sampling import alpha_bars
from ..data.clips import Clips
from ..learning.loop import command, go_on, train, write_json
from ..learning.recipe import Average, Cosine, Recipe
from ..learning.training import Training
from .batches import (
    CONTEXT_NOISE,
    Batch,
    draw_batch,
    feature_sizes,
    feature_statistics,
    motion_statistics,
    read_films,
)
from .objective import training_loss

Draw = Callable[[np.random.Generator], Batch]
RATE, WARM_UP, CLIP, DROPOUT = 1e-3, 200, 1.0, 0.05
AVERAGE = 0.999
OF_ENCODER = ("layer_logits", "stack_", "downsample.")
LICENCE = "Apache-2.0"


def prepare_for_training(network: TakinNet) -> None:
    """Start every block's condition from no effect, and "none" from a small random vector."""
    for block in network.motion_blocks:
        assert isinstance(block, ConformerBlock) and block.film is not None
        nn.init.zeros_(block.film.weight)
        nn.init.zeros_(block.film.bias)
    nn.init.normal_(network.null_speech, std=0.02)
    nn.init.normal_(network.null_emotion, std=0.02)


def loss_of(network: TakinNet, batch: Batch, signal: Tensor, dropout: float) -> Tensor:
    """The loss of one batch at random diffusion steps."""
    clean = network.normalised(batch.clean)
    context = network.normalised(batch.context)
    context = torch.cat(
        [context + CONTEXT_NOISE * torch.randn_like(context), torch.ones_like(context[..., :1])], 2
    )
    previous = context * batch.known[:, None, None]
    mean, deviation = network.motion_mean, network.motion_deviation
    command = torch.cat(
        [(batch.command[..., :-1] - mean[EXPRESSION:]) / deviation[EXPRESSION:], batch.command[..., -1:]], 2
    )
    shown = batch.exemplar_given[:, None, None]
    exemplar = (batch.exemplar - mean[:EXPRESSION]) / deviation[:EXPRESSION]
    given = Conditions(
        speech=network.encode_speech(batch.stack, dropout), previous=previous,
        reference=(batch.reference - mean[EXPRESSION:]) / deviation[EXPRESSION:], label=batch.label,
        exemplar=torch.cat([exemplar, torch.ones_like(exemplar[..., :1])], 2) * shown,
        command=torch.cat([command * batch.mask, batch.mask], 2),
    )  # fmt: skip
    steps = torch.randint(0, len(signal), (len(clean),))
    noise = torch.randn_like(clean)
    found = network(
        noised(clean, noise, signal[steps][:, None, None]), steps, given, batch.hear, batch.feel, dropout
    )
    return training_loss(network.config.prediction, found, clean, noise, previous)


def recipe(steps: int, factor: float = 1.0) -> Recipe:
    """Warm-up, a cosine to a fiftieth, and a running average; `factor` on the learning rate."""
    return Recipe(
        steps,
        factor * RATE,
        Cosine(WARM_UP, last=0.02),
        (0.9, 0.98),
        decay=0.01,
        clip=CLIP,
        average=Average(AVERAGE),
    )


class TakinTraining:
    """A run: the network, how its batches are drawn, and on which device."""

    def __init__(
        self, network: TakinNet, draw: Draw, rules: Recipe, seed: int, settings: Mapping[str, Any],
        device: torch.device | None = None,
    ):  # fmt: skip
        self.draw, self.device = draw, device or torch.device("cpu")
        self.network = network.to(self.device)
        self.run = Training(self.network, rules, seed, {**settings, "config": asdict(network.config)})
        self.signal = (
            alpha_bars(network.config.schedule, network.config.diffusion_steps).float().to(self.device)
        )

    def of_batch(self, network: TakinNet, draw: Draw, random: np.random.Generator, dropout: float) -> Tensor:
        """The loss of a batch; in bfloat16 but on a CPU."""
        batch = Batch(**{name: value.to(self.device) for name, value in vars(draw(random)).items()})
        with self.device, torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu"):
            return loss_of(network, batch, self.signal, dropout)

    def loss(self) -> Tensor:
        """Of the next batch."""
        return self.of_batch(self.network, self.draw, self.run.random, DROPOUT)

    @torch.no_grad()
    def held_out(self, draw: Draw, batches: int = 12) -> float:
        """Loss of the averaged weights on the same windows and noises every time; the run's own chance stays
        untouched."""
        network, kept = TakinNet(self.network.config).to(self.device), torch.get_rng_state()
        network.load_state_dict(self.run.result())
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        losses = [float(self.of_batch(network, draw, random, 0.0)) for _ in range(batches)]
        torch.set_rng_state(kept)
        return float(np.mean(losses))

    def write(self, out: Path, facts: dict) -> None:
        """The averaged weights in fp16, and what made them."""
        exact = ("motion_mean", "motion_deviation", "stack_mean", "stack_deviation")
        weights = {key: (v if key in exact else v.half()).cpu() for key, v in self.run.result().items()}
        header = self.network.config.header()
        header |= {name: str(facts[name]) for name in ("licence", "seed", "command") if name in facts}
        with atomic_file(out) as part:
            save_file({key: value.contiguous() for key, value in weights.items()}, part, header)
        told = {**facts, "config": asdict(self.network.config), "curve": self.run.curve}
        write_json(out.with_suffix(".json"), told)


def new_network(config: TakinConfig, statistics: tuple[Tensor, Tensor]) -> TakinNet:
    """A network that knows the mean and the deviation of the motion."""
    network = TakinNet(config)
    prepare_for_training(network)
    for buffer, value in zip((network.motion_mean, network.motion_deviation), statistics, strict=True):
        buffer.copy_(value)
    return network


def begin(films: Clips, prediction: str, steps: int, seed: int, start: Path | None = None) -> TakinTraining:
    """A run of the tiny network from its first step on. start: a network on another encoder, whose weights are taken
    but for what depends on the encoder."""
    layers, width = feature_sizes(films)
    config = replace(
        TINY,
        encoder=films.encoder, encoder_layers=layers, encoder_width=width, prediction=prediction,
        standardised=films.encoder.startswith(NAME),
    )  # fmt: skip
    random = np.random.default_rng(seed)
    network = new_network(config, motion_statistics(films, config, random))
    if config.standardised:
        for buffer, value in zip(
            (network.stack_mean, network.stack_deviation), feature_statistics(films, random), strict=True
        ):
            buffer.copy_(value)
    if start is not None:
        own = network.state_dict()
        known = {
            key: value.float() for key, value in load_file(start).items()
            if not key.startswith(OF_ENCODER) and key in own and value.shape == own[key].shape
        }  # fmt: skip
        network.load_state_dict({**own, **known})
    return TakinTraining(
        network, partial(draw_batch, films, config), recipe(steps), seed, {"films": films.digest()}
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=45.0, help="stop after this long, resumable")
    parser.add_argument("--start", type=Path, help="a network on another speech encoder to begin from")
    parser.add_argument("--prediction", choices=("x0", "eps"), default="x0")
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    resume = arguments.out.with_suffix(".resume.safetensors")
    try:
        films = read_films(arguments.data)
        validation = read_films([arguments.validation]) if arguments.validation else None
        training = begin(films, arguments.prediction, arguments.steps, arguments.seed, arguments.start)
        go_on(training.run, resume)
    except ValueError as error:
        parser.error(str(error))
    config = training.network.config
    validate = (lambda: training.held_out(partial(draw_batch, validation, config))) if validation else None
    done = train(training.run, training.loss, resume, arguments.minutes * 60, arguments.report, validate)
    facts = {
        "licence": LICENCE, "seed": arguments.seed, "command": command("takin.train"), "data": films.made(),
        "minutes_of_speech": round(films.minutes, 1),
        "steps": training.run.step, "training_seconds": round(training.run.seconds), "done": done,
    }  # fmt: skip
    training.write(arguments.out, facts)
    size = arguments.out.stat().st_size / 1e6
    print(f"{training.run.step} steps in {training.run.seconds:.0f} s, {size:.2f} MB")


if __name__ == "__main__":
    main()
