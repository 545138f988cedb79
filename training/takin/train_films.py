"""Train Takin-ADA on films of people (training/takin/prepare_films.py): the paper's sizes, or the tiny ones.

    python3 run.py python -m talking_portrait.training.takin.train_films \\
        OUT.safetensors FILMS [--size full] [--validation FILMS] [--steps 100000]

FILMS is a folder of prepared films; the network is for the encoder that heard them and for no other. Everything goes to
OUT.resume.safetensors every minute and at the end, and the same command goes on from there; on a CPU with the
same numbers as if it had never stopped. OUT holds averaged weights in fp16 for models/takin/: choose it as
takin_file in Load Motion Engine. On a GPU training runs in bfloat16 by autocast.
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from ...models.takin.config import FULL, TINY, TakinConfig
from ...models.takin.network import TakinNet
from .batches import Batch
from .film_batches import FilmFolder, draw_film_batch, film_statistics, read_folder
from .train import DROPOUT, RATE, Training, loss_of, prepare_for_training, rate_at, replace_file, train

SIZES = {"full": (FULL, 0.1), "tiny": (TINY, 1.0)}  # and the factor on the tiny network's learning rate
FRAMES = {"full": 32 * 135, "tiny": 1100}  # of a batch


class FilmTraining(Training):
    """The same training on windows of films."""

    def __init__(
        self, network: TakinNet, seed: int, steps: int, frames: int, rate: float, device: torch.device
    ):
        super().__init__(network, seed, steps)
        self.frames, self.factor, self.device = frames, rate, device
        self.signal = self.signal.to(device)

    def batch(self, films: FilmFolder, random: np.random.Generator) -> Batch:
        """The next windows, where the network is."""
        drawn = draw_film_batch(films, self.network.config, self.frames, random)
        return Batch(**{name: value.to(self.device) for name, value in vars(drawn).items()})

    def loss(
        self, network: TakinNet, films: FilmFolder, random: np.random.Generator, dropout: float
    ) -> torch.Tensor:
        """Of one batch."""
        with self.device, torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu"):
            return loss_of(network, self.batch(films, random), self.signal, dropout)

    def advance(self, films: FilmFolder) -> float:
        """One step; its loss."""
        return self.learn(
            self.loss(self.network, films, self.random, DROPOUT), self.factor * rate_at(self.step, self.steps)
        )

    def resume(self, path: Path) -> None:
        """See Training; what was saved comes back to where the network is."""
        super().resume(path)
        self.average = {key: value.to(self.device) for key, value in self.average.items()}

    @torch.no_grad()
    def validation(self, films: FilmFolder, batches: int = 12) -> float:
        """Loss of the averaged weights on the same windows and noises every time."""
        network, kept, random = (
            TakinNet(self.network.config).to(self.device),
            torch.get_rng_state(),
            np.random.default_rng(0),
        )
        network.load_state_dict(self.average)
        torch.manual_seed(0)
        loss = float(np.mean([self.loss(network, films, random, 0.0).item() for _ in range(batches)]))
        torch.set_rng_state(kept)
        return loss


def config_for(size: str, films: FilmFolder, prediction: str) -> TakinConfig:
    """The sizes for these films' encoder."""
    base, _ = SIZES[size]
    return replace(
        base,
        encoder=films.encoder,
        encoder_layers=films.layers,
        encoder_width=films.width,
        prediction=prediction,
    )


def begin(
    films: FilmFolder, size: str, prediction: str, steps: int, seed: int, device: torch.device
) -> FilmTraining:
    """A run from its first step on."""
    torch.manual_seed(seed)
    network = TakinNet(config_for(size, films, prediction))
    prepare_for_training(network)
    mean, deviation = film_statistics(films)
    network.motion_mean.copy_(mean)
    network.motion_deviation.copy_(deviation)
    return FilmTraining(network.to(device), seed, steps, FRAMES[size], SIZES[size][1], device)


def write_network(run: FilmTraining, out: Path, facts: dict) -> None:
    """The averaged weights in fp16, and what made them."""
    exact = ("motion_mean", "motion_deviation")
    weights = {key: (value if key in exact else value.half()).cpu() for key, value in run.average.items()}
    header = run.network.config.header() | {"seed": str(facts["seed"]), "command": facts["command"]}
    replace_file(out, lambda part: save_file(weights, part, header))
    text = json.dumps({**facts, "config": asdict(run.network.config), "curve": run.curve}, indent=1) + "\n"
    replace_file(out.with_suffix(".json"), lambda part: part.write_text(text, encoding="utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--size", choices=tuple(SIZES), default="full")
    parser.add_argument(
        "--validation", type=Path, help="prepared films of other people; their loss is told at the end"
    )
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--hours", type=float, default=24.0, help="stop after this long, resumable")
    parser.add_argument("--prediction", choices=("x0", "eps"), default="x0")
    parser.add_argument("--frames", type=int, help="frames of a batch; fewer need less memory")
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    device, resume = (
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        options.out.with_suffix(".resume.safetensors"),
    )
    try:
        films = read_folder(options.films)
        held_out = read_folder(options.validation) if options.validation else None
        if held_out is not None and held_out.encoder != films.encoder:
            raise ValueError(
                f"{options.validation} was heard by {held_out.encoder}, the films by {films.encoder}"
            )
        run = begin(films, options.size, options.prediction, options.steps, options.seed, device)
        run.frames = options.frames or run.frames
        if films.unlabelled:
            print(
                f"{films.unlabelled} of {films.films} films have no emotion; they teach speech and no mood",
                flush=True,
            )
        if resume.is_file():
            run.resume(resume)
            print(f"goes on from step {run.step}", flush=True)
    except ValueError as error:
        parser.error(str(error))
    done = train(run, films, None, resume, options.hours * 3600, options.report)
    facts = {
        "seed": options.seed, "command": "training/takin/train_films.py " + " ".join(sys.argv[1:]),
        "steps": run.step, "done": done,
        "minutes_of_speech": round(films.minutes, 1), "training_seconds": round(run.seconds),
        "rate": RATE * run.factor,
    }  # fmt: skip
    if held_out is not None:
        facts["validation"] = round(run.validation(held_out), 4)
        print(f"loss on held-out films {facts['validation']}")
    write_network(run, options.out, facts)
    print(f"{run.step} steps in {run.seconds:.0f} s, {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
