"""Train Takin-ADA on films of people (training/takin/prepare_films.py): the paper's sizes, or the tiny ones.

    python3 run.py python -m talking_portrait.training.takin.train_films \\
        OUT.safetensors FILMS [--size full] [--validation FILMS] [--steps 100000]

FILMS is a folder of prepared films; the network is for the encoder that heard them and for no other. Everything goes to
OUT.resume.safetensors every minute and at the end, and the same command goes on from there; on a CPU with the
same numbers as if it had never stopped. OUT holds averaged weights in fp16 for models/takin/: choose it as
takin_file in Load Motion Engine. On a GPU training runs in bfloat16 by autocast.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ...models.takin.config import FULL, TINY, TakinConfig
from ..data.clips import Clips
from ..learning.loop import command, go_on, train
from .batches import feature_sizes
from .film_batches import draw_film_batch, film_statistics, read_folder, unlabelled
from .train import TakinTraining, new_network, recipe

SIZES = {"full": (FULL, 0.1), "tiny": (TINY, 1.0)}  # and the factor on the tiny network's learning rate
FRAMES = {"full": 32 * 135, "tiny": 1100}  # of a batch


def config_for(size: str, films: Clips, prediction: str) -> TakinConfig:
    """The sizes for these films' encoder."""
    base, _ = SIZES[size]
    layers, width = feature_sizes(films)
    return replace(
        base, encoder=films.encoder, encoder_layers=layers, encoder_width=width, prediction=prediction
    )


def begin(
    films: Clips,
    size: str,
    prediction: str,
    steps: int,
    seed: int,
    device: torch.device,
    frames: int | None = None,
) -> TakinTraining:
    """A run from its first step on, in batches of `frames`."""
    torch.manual_seed(seed)
    network = new_network(config_for(size, films, prediction), film_statistics(films))
    settings = {"films": films.digest(), "frames": frames or FRAMES[size]}
    draw = partial(draw_film_batch, films, network.config, settings["frames"])
    return TakinTraining(network, draw, recipe(steps, SIZES[size][1]), seed, settings, device)


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
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resume = options.out.with_suffix(".resume.safetensors")
    try:
        films = read_folder(options.films)
        held_out = read_folder(options.validation) if options.validation else None
        if held_out is not None and held_out.encoder != films.encoder:
            raise ValueError(
                f"{options.validation} was heard by {held_out.encoder}, the films by {films.encoder}"
            )
        training = begin(
            films, options.size, options.prediction, options.steps, options.seed, device, options.frames
        )
        without, total = unlabelled(films)
        if without:
            print(f"{without} of {total} films have no emotion; they teach speech and no mood", flush=True)
        go_on(training.run, resume)
    except ValueError as error:
        parser.error(str(error))
    done = train(training.run, training.loss, resume, options.hours * 3600, options.report)
    facts = {
        "seed": options.seed, "command": command("takin.train_films"), "steps": training.run.step, "done": done,
        "minutes_of_speech": round(films.minutes, 1), "training_seconds": round(training.run.seconds),
        "rate": training.run.recipe.rate,
    }  # fmt: skip
    if held_out is not None:
        frames = options.frames or FRAMES[options.size]
        draw = partial(draw_film_batch, held_out, training.network.config, frames)
        facts["validation"] = round(training.held_out(draw), 4)
        print(f"loss on held-out films {facts['validation']}")
    training.write(options.out, facts)
    size = options.out.stat().st_size / 1e6
    print(f"{training.run.step} steps in {training.run.seconds:.0f} s, {size:.1f} MB")


if __name__ == "__main__":
    main()
