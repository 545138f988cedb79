"""Train a tiny ACTalker on films of made-up people, with and without mask-drop, and measure what each signal moves.

    python3 run.py python -m talking_portrait.training.actalker.train_tiny OUT_FOLDER RESULT.json
        (writes OUT_FOLDER/loss.png too)

The sound's tokens hold the mouth of each frame; the motion tokens hold all that a driving video shows: mouth,
lids, brows and head. In training both come from the film itself, as in the paper, each gate is open at
random, and (with mask-drop) sound scans only the mouth's tokens and motion only the others. Afterwards sound
comes from one film and motion from another, both gates open: how far does the mouth follow the sound, and how
far the motion that should not move it? (The paper's ablation, at a toy's scale.)
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()
comfy.cli_args.args.use_pytorch_cross_attention = True

from ...models.actalker.regions import Regions
from ...models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from ...tools.golden_cases.actalker_pipeline import euler_step
from ..data.talking_faces import LinearLatents, Person, Probe, film, motion, people, smooth_noise
from ..learning.core import core_in_training
from ..learning.loop import command, go_on, losses, train_fully, write_json
from ..learning.recipe import tiny
from ..learning.training import Training
from .fresh import filled
from .objective import GATES, OPEN, Films, velocity, velocity_loss

# pixels of a film, pixels of a latent's patch, latent channels
SIZE, PATCH, CHANNELS = 32, 4, 4
PEOPLE, FILMS, TESTS = 2, 400, 50  # films of each person to learn, all but a tenth, and to measure
WIDTH, HEAD_DIM, CONTEXT, AUDIO_TOKENS = 32, 16, 48, 4
SIGMAS = 0.3, 1.4  # mean and deviation of the logarithm of the noise in training
HIGHEST, LOWEST, STEPS = 40.0, 0.02, 6  # of sampling
MOUTH = (0.58, 0.95, 0.2, 0.8)  # top, bottom, left, right of the face's square
# mask-drop, identity
CASES = {
    "with mask-drop": (True, True), "without mask-drop": (False, True), "with mask-drop, no identity": (True, False),
}  # fmt: skip
SIGNALS = ("jaw", "pucker", "blink", "brow", "yaw", "pitch")
HEARD = 2  # the first signals are the mouth's


def region(mouth: bool) -> Tensor:
    """Mask [1,1,S,S] of the mouth, or of all but the mouth."""
    top, bottom, left, right = (round(part * SIZE) for part in MOUTH)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., top:bottom, left:right] = 1
    return mask if mouth else 1 - mask


def drawn(who: Person, count: int, random: np.random.Generator, frames: int) -> tuple[Tensor, Tensor]:
    """Films [count,frames,3,S,S] of a person and their signals [count,frames,6] in about -1..1."""
    films, signals = [], []
    for _ in range(count):
        curves = smooth_noise(4 * frames, len(SIGNALS), 0.35, random)[::4]
        jaw, pucker, blink = (np.abs(curves[:, :3]) * [0.55, 0.5, 0.6]).clip(0, 1).T
        brow, (yaw, pitch) = 0.6 * curves[:, 3].clip(-1, 1), (8 * curves[:, 4:].clip(-2, 2)).T
        controls = {
            "jawOpen": jaw,
            "mouthPucker": pucker,
            "eyeBlinkLeft": blink,
            "eyeBlinkRight": blink,
            "browInnerUp": brow,
        }
        films.append(film(who, motion(controls, np.stack([pitch / 2, yaw, 0 * yaw], 1)), SIZE))
        signals.append(np.stack([jaw, pucker, blink, brow, yaw / 16, pitch / 16], 1))
    return torch.stack(films), torch.from_numpy(np.stack(signals)).float()


class Encoders:
    """Fixed random maps from signals [n,6] to tokens, in place of the published encoders: sound hears the
    mouth alone."""

    def __init__(self, seed: int):
        make = torch.Generator().manual_seed(seed)
        self.audio = torch.randn(HEARD, AUDIO_TOKENS * CONTEXT, generator=make)
        self.motion = torch.randn(len(SIGNALS), CONTEXT, generator=make)

    def __call__(self, heard: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        return (heard[:, :HEARD] @ self.audio).unflatten(-1, (AUDIO_TOKENS, CONTEXT)), (seen @ self.motion)[
            :, None
        ]


def tiny_unet(seed: int) -> ACTalkerUNet:
    """Random weights from which it can learn."""
    torch.manual_seed(seed)
    network = ACTalkerUNet(**unet_config(WIDTH, CONTEXT, HEAD_DIM, 96))
    filled(network)
    return network


class World:
    """Films of people with known signals, and how a network is shown them. It is told who it is by a token, a fixed
    random map of the person's first picture in the place of ArcFace."""

    def __init__(self, seed: int, frames: int = 1, films: int = FILMS, tests: int = TESTS):
        self.frames, faces = frames, people(PEOPLE, seed)
        found = []
        for count, chance in (
            (films, np.random.default_rng(seed)),
            (tests, np.random.default_rng([seed, 1])),
        ):
            found += [drawn(who, count, chance, frames) for who in faces]
        self.films, self.signals = (torch.cat(part) for part in zip(*found, strict=True))
        numbers, learned = torch.arange(len(self.films)), PEOPLE * films
        held = (numbers % films >= films - max(2, films // 10)) | (numbers >= learned)
        self.train, self.test = numbers[~held], numbers[numbers >= learned]
        self.linear = LinearLatents(self.films[self.train].flatten(0, 1), CHANNELS, PATCH)
        self.latents = self.linear.encode(self.films.flatten(0, 1)).unflatten(0, self.films.shape[:2])
        self.encoders = Encoders(seed)
        who = torch.where(numbers < learned, numbers // films, (numbers - learned) // max(tests, 1))
        first = who * films  # the person's first film gives the portrait
        turned = (numbers - learned + 3) % max(tests, 1) + who * tests + learned
        self.other = torch.where(numbers < learned, numbers, turned)  # a test's other film of the same person
        self.portrait = self.latents[first, 0]
        seen = torch.nn.functional.interpolate(self.films[first, 0], (8, 8), mode="area").flatten(1) - 0.5
        make = torch.Generator().manual_seed(seed + 1)
        told = seen @ torch.randn(seen.shape[1], CONTEXT, generator=make)
        self.faces = (told / told.std())[:, None]
        self.identity = self.faces

    def knows(self, identity: bool) -> None:
        """Whether the token of the person is told from now on."""
        self.identity = self.faces if identity else torch.zeros_like(self.faces)

    def given(self, index: Tensor, heard: Tensor, seen: Tensor) -> Films:
        """Films by number, with the tokens of these signals [B,F,6]."""
        audio, motion = self.encoders(heard.flatten(0, 1), seen.flatten(0, 1))
        shape = (len(index), self.frames)
        return Films(
            self.latents[index], self.portrait[index], self.identity[index], audio.unflatten(0, shape),
            motion.unflatten(0, shape), separate(), time_id_embedding(32),
        )  # fmt: skip

    def loss(self, network: Any, random: np.random.Generator, batch: int, mask_drop: bool) -> Tensor:
        """Squared error of v at random noise, with random gates."""
        index = self.train[torch.from_numpy(random.integers(0, len(self.train), batch))]
        films = self.given(index, self.signals[index], self.signals[index])
        return velocity_loss(network, films, random, SIGMAS, mask_drop)

    @torch.no_grad()
    def made(self, network: Any, index: Tensor, heard: Tensor, seen: Tensor, gates, masks: Regions) -> Tensor:
        """Films [B,F,3,S,S] from noise that is the same in every call."""
        noise = torch.randn(self.latents[index].shape, generator=torch.Generator().manual_seed(5))
        ladder = torch.cat(
            [torch.linspace(HIGHEST ** (1 / 7), LOWEST ** (1 / 7), STEPS) ** 7, torch.zeros(1)]
        )
        x, films = HIGHEST * noise, self.given(index, heard, seen)
        for now, following in zip(ladder, ladder[1:], strict=False):
            v = velocity(network, x, now.expand(len(index)), films, gates, masks)
            x = euler_step(x, v, now, following)
        return self.linear.decode(x.flatten(0, 1)).unflatten(0, (len(index), self.frames))


def separate() -> Regions:
    """Sound has the mouth, motion the rest."""
    return Regions(region(True), region(False))


def slopes(read: Tensor, heard: Tensor, seen: Tensor) -> dict[str, float]:
    """How far a number read off the films [n] follows that of the sound's film and that of the motion's, by
    least squares."""
    given = torch.stack([heard, seen, torch.ones_like(heard)], 1)
    found = torch.linalg.lstsq(given, read[:, None]).solution[:, 0]
    return {"sound": round(float(found[0]), 3), "motion": round(float(found[1]), 3)}


def measured(world: World, network: nn.Module, masks: Regions) -> dict:
    """Slopes of mouth, lids and head on both signals, with both gates open and with one."""
    pictures, truth = world.films[world.train].flatten(0, 1), world.signals[world.train].flatten(0, 1)
    top, bottom, left, right = (round(part * SIZE) for part in MOUTH)
    everywhere = slice(0, SIZE)
    windows = {
        "jaw": (slice(top, bottom), slice(left, right)),
        "blink": (slice(0, top), everywhere),
        "yaw": (everywhere,) * 2,
    }
    cases = {
        "both": (OPEN, masks),
        "sound alone": (GATES[0], Regions()),
        "motion alone": (GATES[1], Regions()),
    }
    found = {}
    for name, (gates, where) in cases.items():
        index = world.test if name == "both" else world.test[::3]
        heard, seen = world.signals[index], world.signals[world.other[index]]
        films = world.made(network, index, heard, seen, gates, where).flatten(0, 1)
        found[name] = {}
        for signal, (rows, columns) in windows.items():
            place = SIGNALS.index(signal)
            probe = Probe(pictures[..., rows, columns], truth[:, place])
            read = probe(films[..., rows, columns])
            found[name][signal] = slopes(read, heard.flatten(0, 1)[:, place], seen.flatten(0, 1)[:, place])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where networks are kept; a run that was stopped goes on")
    parser.add_argument("result", type=Path, help="JSON of what was measured; other runs in it stay")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--frames", type=int, default=1, help="of each film; from two on the temporal layers act"
    )
    parser.add_argument("--films", type=int, default=FILMS, help="of each of the people")
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=[*CASES])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    world = World(options.seed, options.frames, options.films)
    print(f"{len(world.films)} films of {PEOPLE} people", flush=True)
    mine: dict = {name: getattr(options, name) for name in ("steps", "batch", "frames", "films")}
    mine["command"] = command("actalker.train_tiny")
    for name in options.cases:
        began = time.process_time()
        mask_drop, identity = CASES[name]
        world.knows(identity)
        network = tiny_unet(options.seed)
        resume = (
            options.folder / f"{name.replace(' ', '_').replace(',', '')}_{options.seed}.resume.safetensors"
        )
        told = {
            "mask-drop": mask_drop,
            "identity": identity,
            "frames": options.frames,
            "batch": options.batch,
        }
        run = Training(network, tiny(options.steps, 1.5e-3), options.seed + 1, told)
        torch.manual_seed(options.seed)
        go_on(run, resume)
        with core_in_training():
            train_fully(
                run, lambda n=network, r=run, m=mask_drop: world.loss(n, r.random, options.batch, m),
                resume, name=name,
            )  # fmt: skip
        masks = separate() if mask_drop else Regions()
        found = measured(world, network.requires_grad_(False).eval(), masks)
        mine[name] = {**found, "loss": losses(run), "cpu_seconds": round(time.process_time() - began)}
        print(name, json.dumps(found["both"]), flush=True)
        # others may have added their own meanwhile
        result = json.loads(options.result.read_text()) if options.result.is_file() else {}
        seed = f"seed {options.seed}"
        write_json(options.result, result | {seed: result.get(seed, {}) | mine})


if __name__ == "__main__":
    main()
