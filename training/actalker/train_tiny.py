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
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.actalker.regions import Regions
from ...models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from ...tools.golden_cases.actalker_pipeline import euler_step, scaled_input, timestep
from ..data.talking_faces import LinearLatents, Person, Probe, film, motion, people, smooth_noise
from ..learning.core import core_in_training
from ..learning.curves import draw_curves
from ..learning.loop import losses, train
from ..learning.recipe import tiny
from ..learning.training import Training

# pixels of a film, pixels of a latent's patch, latent channels
SIZE, PATCH, CHANNELS = 48, 4, 4
PEOPLE, FILMS, HELD_OUT = 4, 400, 40  # films of each person, the last of them for the test
WIDTH, HEAD_DIM, CONTEXT, AUDIO_TOKENS = 32, 16, 48, 4
SIGMAS = 0.3, 1.4  # mean and deviation of the logarithm of the noise in training
HIGHEST, LOWEST, STEPS = 40.0, 0.02, 10  # of sampling
MOUTH = (0.58, 0.95, 0.2, 0.8)  # top, bottom, left, right of the face's square
GATES = ((True, False), (False, True), (True, True))  # sound, motion
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
    """Random weights; what is added to a residual starts at zero."""
    torch.manual_seed(seed)
    network = ACTalkerUNet(**unet_config(WIDTH, CONTEXT, HEAD_DIM, 96))
    for name, parameter in network.named_parameters():
        if "A_logs" in name:
            parameter.data.copy_(torch.arange(1.0, 17).log().expand_as(parameter))
        elif name.endswith("Ds") or (parameter.ndim == 1 and name.endswith("weight")):
            parameter.data.fill_(1.0)
        elif name.endswith("dt_projs_bias"):
            steps = torch.empty_like(parameter).uniform_(np.log(1e-3), np.log(0.1)).exp()
            parameter.data.copy_(steps + (-(-steps).expm1()).log())
        elif parameter.ndim <= 1 or any(
            part in name for part in ("out_layers.3", "proj_out", ".out.2", "temporal.to_out")
        ):
            parameter.data.zero_()
        else:
            parameter.data.normal_(0, parameter.shape[-1 if parameter.ndim == 3 else 1 :].numel() ** -0.5)
    return network.requires_grad_(True)


class World:
    """Films of people with known signals, and how a network is shown them. identity: whether it is told who it is by
    a token, a fixed random map of the person's first picture in the place of ArcFace."""

    def __init__(self, seed: int, frames: int = 1, identity: bool = True):
        random, self.frames = np.random.default_rng(seed), frames
        found = [drawn(who, FILMS, random, frames) for who in people(PEOPLE, seed)]
        self.films, self.signals = (torch.cat(part) for part in zip(*found, strict=True))
        numbers = torch.arange(len(self.films))
        held = numbers % FILMS >= FILMS - HELD_OUT
        self.train, self.test = numbers[~held], numbers[held]
        self.linear = LinearLatents(self.films[self.train].flatten(0, 1), CHANNELS, PATCH)
        self.latents = self.linear.encode(self.films.flatten(0, 1)).unflatten(0, self.films.shape[:2])
        self.encoders = Encoders(seed)
        first = numbers // FILMS * FILMS  # the person's first film gives the portrait
        self.portrait = self.latents[first, 0]
        seen = torch.nn.functional.interpolate(self.films[first, 0], (8, 8), mode="area").flatten(1) - 0.5
        make = torch.Generator().manual_seed(seed + 1)
        told = seen @ torch.randn(seen.shape[1], CONTEXT, generator=make)
        self.identity = (told / told.std() if identity else torch.zeros_like(told))[:, None]

    def denoised(
        self, network, noisy: Tensor, sigma: Tensor, index: Tensor, heard: Tensor, seen: Tensor, gates, masks
    ) -> Tensor:
        """v-prediction [B,F,C,h,w] for noisy latents at sigma [B] of the people of films `index`."""
        count = len(index) * self.frames
        audio, tokens = self.encoders(heard.flatten(0, 1), seen.flatten(0, 1))
        flat, level = noisy.flatten(0, 1), sigma.repeat_interleave(self.frames)
        given = torch.cat(
            [
                scaled_input(flat, level[:, None, None, None]),
                self.portrait[index].repeat_interleave(self.frames, 0),
            ],
            1,
        )
        out = network(
            given, timestep(level), context=self.identity[index].repeat_interleave(self.frames, 0),
            y=time_id_embedding(32).expand(count, -1),
            audio=audio if gates[0] else None, motion=tokens if gates[1] else None, regions=masks,
            num_video_frames=self.frames,
        )  # fmt: skip
        return out.unflatten(0, (len(index), self.frames))

    def loss(self, network: nn.Module, random: np.random.Generator, batch: int, mask_drop: bool) -> Tensor:
        """Squared error of v at random noise, with random gates."""
        index = self.train[torch.from_numpy(random.integers(0, len(self.train), batch))]
        gates = GATES[int(random.integers(len(GATES)))]
        clean, noise = self.latents[index], torch.randn_like(self.latents[index])
        sigma = torch.exp(SIGMAS[0] + SIGMAS[1] * torch.randn(batch))
        s = sigma[:, None, None, None, None]
        noisy = clean + s * noise
        masks = separate() if mask_drop and all(gates) else Regions()
        v = self.denoised(
            network, noisy, sigma, index, self.signals[index], self.signals[index], gates, masks
        )
        wanted = (noisy / (s**2 + 1) - clean) * (s**2 + 1).sqrt() / s
        return (v - wanted).square().mean()

    @torch.no_grad()
    def made(
        self, network: nn.Module, index: Tensor, heard: Tensor, seen: Tensor, gates, masks: Regions
    ) -> Tensor:
        """Films [B,F,3,S,S] from noise that is the same in every call."""
        noise = torch.randn(self.latents[index].shape, generator=torch.Generator().manual_seed(5))
        ladder = torch.cat(
            [torch.linspace(HIGHEST ** (1 / 7), LOWEST ** (1 / 7), STEPS) ** 7, torch.zeros(1)]
        )
        x = HIGHEST * noise
        for now, following in zip(ladder, ladder[1:], strict=False):
            v = self.denoised(network, x, now.expand(len(index)), index, heard, seen, gates, masks)
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
    index, other = world.test, world.test.roll(3)
    other = index // FILMS * FILMS + other % FILMS  # another film of the same person
    heard, seen = world.signals[index], world.signals[other]
    pictures, truth = world.films[world.train].flatten(0, 1), world.signals[world.train].flatten(0, 1)
    top, bottom, left, right = (round(part * SIZE) for part in MOUTH)
    everywhere = slice(0, SIZE)
    windows = {
        "jaw": (slice(top, bottom), slice(left, right)),
        "blink": (slice(0, top), everywhere),
        "yaw": (everywhere,) * 2,
    }
    cases = {
        "both": (GATES[2], masks),
        "sound alone": (GATES[0], Regions()),
        "motion alone": (GATES[1], Regions()),
    }
    found = {}
    for name, (gates, where) in cases.items():
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
    parser.add_argument("folder", type=Path, help="where the two networks are written")
    parser.add_argument("result", type=Path, help="JSON of what was measured")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--frames", type=int, default=1, help="of each film; from two on the temporal layers act"
    )
    parser.add_argument("--without-identity", action="store_true", help="no token that says who it is")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    world = World(options.seed, options.frames, not options.without_identity)
    print(f"{len(world.films)} films of {PEOPLE} people", flush=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    result: dict = {
        "settings": {
            key: str(value) for key, value in vars(options).items() if key not in ("folder", "result")
        }
    }
    for name, mask_drop in (("with mask-drop", True), ("without mask-drop", False)):
        network = tiny_unet(options.seed)
        torch.manual_seed(options.seed)
        run = Training(network, tiny(options.steps, 1.5e-3), options.seed + 1)
        with core_in_training():
            train(
                run,
                lambda n=network, r=run, m=mask_drop: world.loss(n, r.random, options.batch, m),
                name=name,
            )
        masks = separate() if mask_drop else Regions()
        result[name] = {"loss": losses(run), **measured(world, network.requires_grad_(False).eval(), masks)}
        save_file(network.state_dict(), options.folder / f"{name.replace(' ', '_')}.safetensors")
        print(name, json.dumps(result[name]["both"]), flush=True)
        options.result.write_text(json.dumps(result, indent=1) + "\n")
    curves = {name: result[name]["loss"] for name in result if name != "settings"}
    draw_curves(curves, "A tiny ACTalker: loss of v", options.folder / "loss.png")


if __name__ == "__main__":
    main()
