"""Train KDTalker's denoiser on prepared films (training/kdtalker/prepare_films.py), by the published recipe.

    python3 run.py python -m talking_portrait.training.kdtalker.train OUT FILMS [--validation FILMS]

FILMS is a folder of prepared films. OUT gets KDTalker.safetensors and norm.npz: put both into models/kdtalker/ and
choose them as denoiser_file and norm_file in Load Motion Engine. The state goes to OUT/KDTalker.resume.safetensors
every minute and at the end, and the same command goes on from there; on a CPU with the same numbers as if it had
never stopped. Published are a batch of 256 and 500 000 steps in float32, one sample of every stretch and epoch.

The switches are those of the paper's ablations: --without reference, rotary or attention (Table 3), --points 15 (Table
5, here the 15 of LivePortrait's keypoints that move most); --window 8 to 64 besides.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ...models.atomic_file import atomic_file
from ...models.kdtalker.motion import POSE, MotionStatistics
from ...models.kdtalker.network import KDTalkerDenoiser, Sizes
from ..data.clips import Clip, Clips, read_clips
from ..learning.loop import command, go_on, train, write_json
from ..learning.recipe import Recipe
from ..learning.training import Training
from .objective import AUGMENTED, BATCH, RATE_OF_ONE, STEPS, WARM_UP, initialised, loss_of, recipe
from .samples import SOUND, TRACKS, drawn, last_start, liveliest, statistics, usable_frames, write_statistics

PARTS = ("reference", "rotary", "attention")
WINDOWS = (8, 64)  # frames
MAKER = "training/kdtalker/prepare_films.py"


def sizes_for(window: int, points: int, without: list[str], base: Sizes | None = None) -> Sizes:
    """The published sizes, or others, with some of the paper's parts left out."""
    base = base or Sizes()
    return replace(
        base, motion=POSE + 3 * points, window=window, rotary=0 if "rotary" in without else base.rotary,
        attention="attention" not in without, reference="reference" not in without,
    )  # fmt: skip


def header(sizes: Sizes, points: tuple[int, ...] | None) -> dict[str, str]:
    """What no shape says of a network (models/kdtalker/network.py reads it)."""
    parts = {name: "on" if getattr(sizes, name) else "off" for name in PARTS}
    told = {"points": " ".join(map(str, points))} if points else {}
    return {**parts, **told, "window": str(sizes.window), "format": "pt"}


def long_enough(clips: Clips, window: int) -> Clips:
    """The stretches that hold a sample; ValueError if none does."""
    kept = [clip for clip in clips if usable_frames(clip) > window]
    if not kept:
        last_start(max(clips, key=lambda clip: clip.frames), window)
    if len(kept) < len(clips):
        print(
            f"{len(clips) - len(kept)} of {len(clips)} stretches are too short for a window of {window}",
            flush=True,
        )
    return Clips(kept)


class KDTalkerTraining:
    """A run: network, statistics, films."""

    def __init__(
        self, clips: Clips, sizes: Sizes, found: MotionStatistics, rules: Recipe, batch: int, seed: int,
        device: torch.device, augmented: float = AUGMENTED,
    ):  # fmt: skip
        self.clips, self.statistics, self.batch, self.device, self.augmented = (
            clips,
            found,
            batch,
            device,
            augmented,
        )
        self.network = initialised(KDTalkerDenoiser(sizes), seed).to(device)
        settings = {"sizes": asdict(sizes), "films": clips.digest(), "batch": batch, "augmented": augmented}
        self.run = Training(self.network, rules, seed, settings)

    def given(self, clips: list[Clip], random: np.random.Generator) -> dict[str, Tensor]:
        """A sample of each clip, where the network is."""
        samples = drawn(clips, self.statistics, self.network.sizes.window, random)
        return {name: value.to(self.device) for name, value in samples.items()}

    def loss(self) -> dict[str, Tensor]:
        """Of the next batch."""
        clips = self.clips.batch(self.batch, self.run.step, self.run.seed)
        return loss_of(self.network, self.given(clips, self.run.random), self.augmented)

    def held_out(self, clips: Clips) -> Callable[[], float]:
        """The loss on other clips, undisturbed, at the same noise every time; the run's own chance stays as it is."""

        @torch.no_grad()
        def validate() -> float:
            kept, random = torch.get_rng_state(), np.random.default_rng(0)
            torch.manual_seed(0)
            losses = [float(loss_of(self.network, self.given([clip], random), 0.0)["loss"]) for clip in clips]
            torch.set_rng_state(kept)
            return float(np.mean(losses))

        return validate

    def write(self, out: Path, facts: dict) -> None:
        """The weights as the loader takes them, the statistics, and what made them."""
        told = header(self.network.sizes, self.statistics.points)
        told |= {name: str(facts[name]) for name in ("seed", "command") if name in facts}
        state = {key: value.detach().cpu().contiguous().clone() for key, value in self.run.result().items()}
        with atomic_file(out / "KDTalker.safetensors") as part:
            save_file(state, part, told)
        write_statistics(self.statistics, out / "norm.npz")
        write_json(
            out / "KDTalker.json", {**facts, "sizes": asdict(self.network.sizes), "curve": self.run.curve}
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("films", type=Path)
    parser.add_argument("--validation", type=Path, help="prepared films of other people")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--warm-up", type=int, default=WARM_UP)
    parser.add_argument(
        "--rate", type=float, default=RATE_OF_ONE, help="learning rate of each sample in a batch"
    )
    parser.add_argument("--average", action="store_true", help="keep a running average of the weights")
    parser.add_argument("--without", nargs="+", choices=PARTS, default=[], help="parts to leave out")
    parser.add_argument("--points", type=int, choices=(15, 21), default=21, help="keypoints that move")
    parser.add_argument(
        "--window", type=int, default=WINDOWS[1], help="frames that are learned at once, 8 to 64"
    )
    parser.add_argument("--hours", type=float, default=1e6, help="stop after this long, resumable")
    parser.add_argument("--report", type=int, default=50, help="steps between two reports")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    if not WINDOWS[0] <= options.window <= WINDOWS[1]:
        parser.error(f"--window is {options.window}; it can be {WINDOWS[0]} to {WINDOWS[1]} frames")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resume = options.out / "KDTalker.resume.safetensors"
    rules = recipe(
        options.batch, options.steps, options.warm_up, average=options.average, rate_of_one=options.rate
    )
    try:
        clips = long_enough(read_clips(options.films, MAKER, TRACKS, TRACKS), options.window)
        found = statistics(clips)
        found = replace(found, points=liveliest(found, options.points))
        sizes = sizes_for(options.window, options.points, options.without)
        training = KDTalkerTraining(clips, sizes, found, rules, options.batch, options.seed, device)
        clips.batch(options.batch, 0, options.seed)
        validate = None
        if options.validation:
            others = long_enough(read_clips(options.validation, MAKER, TRACKS), options.window)
            if others.encoder != clips.encoder:
                raise ValueError(
                    f"{options.validation} was heard by {others.encoder}, the films by {clips.encoder}"
                )
            validate = training.held_out(others)
        go_on(training.run, resume)
    except ValueError as error:
        parser.error(str(error))
    done = train(training.run, training.loss, resume, options.hours * 3600, options.report, validate)
    facts = {
        "seed": options.seed, "command": command("kdtalker.train"), "steps": training.run.step, "done": done,
        "minutes_of_speech": round(clips.minutes, 1), "training_seconds": round(training.run.seconds),
        "sound": f"{SOUND} of {clips.encoder}",
    }  # fmt: skip
    training.write(options.out, facts)
    print(f"{training.run.step} steps in {training.run.seconds:.0f} s")


if __name__ == "__main__":
    main()
