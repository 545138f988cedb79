"""Train FantasyTalking's motion-intensity network on films whose mouths and heads do move, and measure what it does.

    python3 run.py python -m talking_portrait.training.fantasytalking.train_intensity FOLDER RESULT.json [--seed 1]

Films and the frozen tiny Wan are those of train_dual_stage, in the same FOLDER: people whose heads turn by 2 to 16
degrees, and whose mouths open as chance has it. A film's labels are its own motion between the 5th and the 95th
percentile of all films, for mouth (face) and head (body). Measured on films made of new people: how far mouth and head
move for coefficients from 0 to 1. Numbers are of this toy.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import comfy.cli_args
import torch
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()
comfy.cli_args.args.use_pytorch_cross_attention = True  # a fifth faster in training on a CPU

from ...models.fantasytalking.identity import IdentityBranch
from ...models.fantasytalking.intensity import MotionIntensity
from ..data.talking_faces import Probe
from ..learning.loop import command, go_on, losses, train_fully, write_json
from ..learning.recipe import Average, Cosine, Recipe
from ..learning.training import Training
from .objective import Extras, flow_loss, hearing, sample
from .train_dual_stage import BASE_SEED, DIM, FRAMES, KNOWN, SHIFT, SHOWN, SIZE, World, base
from .train_dual_stage import FILMS as EACH_PERSON
from .train_extras import COEFFICIENTS, LAYERS, reference_of

MADE = 24  # films of new people
RATE, KEPT = 5e-3, 0.99


def labels(world: World) -> Tensor:
    """Coefficients of face and body [n,2] of every film."""
    moved = [world.films["jaw"][:, SHOWN].var(1), world.films["yaw"].var(1)]
    references = [reference_of(values[world.train].numpy()) for values in moved]
    found = [
        [reference.coefficient(float(value)) for value in values]
        for reference, values in zip(references, moved, strict=True)
    ]
    return torch.tensor(found).T.contiguous()


@torch.no_grad()
def measured(world: World, wan: nn.Module, extras: Extras) -> dict[str, dict[str, float]]:
    """Mean deviation of mouth (0..1) and head (degrees) over each film made of new people, by coefficient."""
    pictures, half = world.films["pictures"][world.train].flatten(0, 1), SIZE // 2
    mouth = Probe(pictures[..., half:, :], world.films["jaw"][world.train][:, SHOWN].flatten(), 30.0)
    head = Probe(pictures, world.films["yaw"][world.train].flatten(), 30.0)
    new = torch.arange(KNOWN * EACH_PERSON, len(world.films["jaw"]))
    index = new[:: max(1, len(new) // MADE)]
    found: dict[str, dict[str, float]] = {}
    for place, name in ((0, "face"), (1, "body")):
        rows = {}
        for coefficient in COEFFICIENTS:
            asked = torch.full((len(index), 2), 0.5)
            asked[:, place] = coefficient
            given = replace(world.given(index, torch.ones(len(index))), intensity=asked, speech=None)
            noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(7))
            with hearing(wan):
                made = world.drawn(sample(wan, extras, given, noise, scale=0.0), index)
            read = mouth(made[..., half:, :]) if place == 0 else head(made)
            rows[f"{coefficient:g}"] = round(float(read.view(-1, FRAMES).std(1).mean()), 4)
        rows["1 over 0"] = round(rows["1"] / rows["0"], 3)
        found[name] = rows
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--base-steps", type=int, default=3000, help="as train_dual_stage")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    began, world = time.process_time(), World(options.folder)
    wan, _ = base(world, options.folder, BASE_SEED, options.base_steps)
    coefficients = labels(world)
    torch.manual_seed(options.seed)
    extras = Extras(IdentityBranch(LAYERS, DIM, 128, queries=4, layers=2), MotionIntensity(DIM, 128))
    extras.identity.requires_grad_(False)  # its values are zero: nobody is told who it is
    before = measured(world, wan, extras)
    warm_up = Cosine(max(1, options.steps // 10), last=0.02)
    run = Training(extras, Recipe(options.steps, RATE, warm_up, average=Average(KEPT)), options.seed)
    resume = options.folder / f"intensity_{options.seed}.resume.safetensors"
    go_on(run, resume)

    def loss() -> Tensor:
        index = world.chosen(run.random)
        given = world.given(index, torch.ones(len(index)))
        return flow_loss(wan, extras, replace(given, intensity=coefficients[index], speech=None), SHIFT)

    with hearing(wan):
        train_fully(run, loss, resume, name="intensity")
    extras.load_state_dict(run.result())
    mine = {
        "untrained": before, "trained": measured(world, wan, extras), "steps": run.step, "loss": losses(run),
        "cpu_seconds": round(time.process_time() - began), "command": command("fantasytalking.train_intensity"),
    }  # fmt: skip
    print(json.dumps(mine["trained"]), flush=True)
    result = json.loads(options.result.read_text()) if options.result.is_file() else {}
    write_json(options.result, result | {f"seed {options.seed}": mine})


if __name__ == "__main__":
    main()
