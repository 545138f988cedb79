"""Train ACTalker's UNet on prepared films (training/actalker/prepare_films.py).

    python3 run.py python -m talking_portrait.training.actalker.train OUT.safetensors FILMS --model MODEL \\
        [--train control] [--steps 136000] [--batch 1]

MODEL is ACTalker's own UNet, or Stable Video Diffusion XT as ComfyUI takes it, whose missing layers start at random.
`--train all` trains every weight, as the paper does; `control` the mamba layers and the keys and values of sound and
motion alone. OUT is taken by Load ACTalker. The state goes to OUT.resume.safetensors every minute and at the end, and
the same command goes on from there. One GPU; the UNet's layers compute themselves again backward.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.utils

from ...models.actalker.core_model import SAVED_PREFIXES, check_tensors, core_state, model_config
from ...models.actalker.regions import Regions
from ...models.actalker.unet import ACTalkerUNet, parts_of, time_id_embedding
from ...models.atomic_file import atomic_file
from ..data.clips import Clip, Clips, read_clips
from ..learning.core import checkpointed, core_in_training
from ..learning.loop import command, go_on, train, write_json
from ..learning.recipe import Cosine, Recipe
from ..learning.training import Training
from .fresh import filled
from .objective import Films, velocity_loss

MAKER = "training/actalker/prepare_films.py"
TENSORS = (
    "latents", "portrait", "identity", "audio", "motion", "no_audio", "no_motion", "pose", "mouth", "rest",
)  # fmt: skip
CONTROL = (".mamba_blocks.", ".processor.")  # names of what `control` trains
STEPS, RATE, DROPPED = 136_000, 1e-5, 0.1  # steps: as the published file's name says; the others are ours
NOISE_LEVELS = 0.7, 1.6  # mean and deviation of ln sigma


def recipe(steps: int, rate: float = RATE) -> Recipe:
    """AdamW at a constant rate after a warm-up; the paper gives none of it, so all is ours."""
    return Recipe(
        steps, rate, Cosine(min(500, max(1, steps // 10)), last=1.0), betas=(0.9, 0.999), decay=0.01, clip=1.0
    )


def read_unet(path: Path, seed: int) -> ACTalkerUNet:
    """A UNet with the weights of a file, in float32; ValueError if it is another's."""
    content: dict[str, Tensor] = comfy.utils.load_torch_file(str(path))  # type: ignore[assignment]
    prefix = next((p for p in SAVED_PREFIXES if f"{p}input_blocks.0.0.weight" in content), None)
    plain = prefix is not None and not any(".mamba_blocks." in key for key in content)
    try:
        state: Mapping[str, Tensor] = (
            {key.removeprefix(prefix): v for key, v in content.items() if key.startswith(prefix)}
            if plain and prefix is not None
            else core_state(content)
        )
        config = dict(model_config(state).unet_config)
        network = ACTalkerUNet(**config)
        if not plain:
            check_tensors(network, state)
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from None
    torch.manual_seed(seed)
    filled(network, frozenset(state))
    missing = network.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    if missing.unexpected_keys or any(not is_control(name) for name in missing.missing_keys):
        raise ValueError(f"{path} cannot be used: it is no UNet of Stable Video Diffusion XT")
    return network


def is_control(name: str) -> bool:
    """Whether a tensor is of what ACTalker added to SVD."""
    return any(part in name for part in CONTROL)


def choose(network: ACTalkerUNet, what: str) -> ACTalkerUNet:
    """Let all weights learn, or those of the control alone."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(what == "all" or is_control(name))
    return network


def layers_of(network: ACTalkerUNet) -> list[nn.Module]:
    """The layers that compute themselves again."""
    parts = [*parts_of(network.input_blocks), *parts_of(network.output_blocks), network.middle_block]
    return [layer for part in parts for layer in part]  # type: ignore[union-attr]


def given(clip: Clip, random: np.random.Generator, device: torch.device, told: Tensor) -> Films:
    """A clip as a batch of one; one time in ten each it hears, or sees, nothing."""
    found = {name: clip.rows(name).float().to(device) for name in TENSORS}
    for name in ("audio", "motion"):
        if random.random() < DROPPED:
            found[name] = found[f"no_{name}"][:, None].expand_as(found[name])
    mouth, rest = (found[name][:, None].cpu() for name in ("mouth", "rest"))
    return Films(
        found["latents"], found["portrait"], found["identity"], found["audio"], found["motion"],
        Regions(mouth, rest), told, found["pose"],
    )  # fmt: skip


class ACTalkerTraining:
    """A run on clips, resumed from its file if there is one."""

    def __init__(
        self, network: ACTalkerUNet, clips: Clips, what: str, steps: int, batch: int, seed: int, out: Path,
        rate: float = RATE,
    ):  # fmt: skip
        clips.batch(batch, 0, seed)  # ValueError where there are too few
        self.network, self.clips, self.batch = choose(network, what), clips, batch
        self.network.train()
        self.device = next(network.parameters()).device
        self.told = time_id_embedding(network.label_emb[0][0].in_features // 3)  # type: ignore[index, operator]
        settings = {"films": clips.digest(), "batch": batch, "trained": what}
        self.run = Training(network, recipe(steps, rate), seed, settings)
        self.out, self.resume = out, out.with_suffix(".resume.safetensors")
        go_on(self.run, self.resume)

    def loss(self) -> Tensor:
        """Of the next clips; in bfloat16 but on a CPU."""
        losses = []
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu"):
            for clip in self.clips.batch(self.batch, self.run.step, self.run.seed):
                films = given(clip, self.run.random, self.device, self.told)
                losses.append(
                    velocity_loss(self.network, films, self.run.random, NOISE_LEVELS, dropped=DROPPED)
                )
        return torch.stack(losses).mean()

    def train(self, report: int = 50) -> bool:
        """All steps that are left; whether all are done."""
        with core_in_training(), checkpointed(layers_of(self.network)):
            return train(self.run, self.loss, self.resume, report=report, name="ACTalker")

    def write(self, facts: Mapping[str, Any]) -> None:
        """In half precision, under the names that Load ACTalker knows."""
        state = {
            key: value.detach().half().cpu().contiguous() for key, value in self.network.state_dict().items()
        }
        with atomic_file(self.out) as part:
            save_file(state, part, {name: str(facts[name]) for name in ("seed", "command") if name in facts})
        write_json(self.out.with_suffix(".json"), {**facts, "curve": self.run.curve, "steps": self.run.step})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="ACTalker's UNet, or SVD XT")
    parser.add_argument("--train", choices=("all", "control"), default="all")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        clips = read_clips(options.films, MAKER, TENSORS)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = read_unet(options.model, options.seed).to(device)
        training = ACTalkerTraining(
            network,
            clips,
            options.train,
            options.steps,
            options.batch,
            options.seed,
            options.out,
            options.rate,
        )
    except ValueError as error:
        parser.error(str(error))
    training.train()
    training.write({"seed": options.seed, "command": command("actalker.train")})
    print(f"{options.out} is written")


if __name__ == "__main__":
    main()
