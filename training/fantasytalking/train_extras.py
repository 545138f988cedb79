"""Train FantasyTalking's identity branch and motion-intensity network on a tiny Wan, and show that they do
what the paper says.

    python3 run.py python -m talking_portrait.training.fantasytalking.train_extras \\
        OUT.safetensors [RESULT.json]

First a tiny Wan2.1 image-to-video model learns films of made-up people, seeing the first picture half of the
time. Then it is frozen, and only the two modules are trained. Measured afterwards, on new motion: how far
made films are from the person when no picture is seen, with and without the identity branch, for people of
the training and new ones; and how much mouth and head move for coefficients from 0 to 1. Numbers are of this
toy: they show that the parts work, not what a 14B model would gain. A run that was stopped goes on with the same
command.
"""

import argparse
import json
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

import comfy.ops
from comfy.ldm.wan.model import WanModel

from ...models.fantasytalking.identity import VECTOR, IdentityBranch, published_names
from ...models.fantasytalking.intensity import PREFIX, MotionIntensity
from ...models.fantasytalking.motion_measure import Reference
from ..data.talking_faces import LinearLatents, Person, Probe, film, motion, people, smooth_noise
from ..learning.loop import go_on, losses, train_fully
from ..learning.recipe import tiny
from ..learning.training import Training
from .objective import Extras, Films, flow_loss, hearing, sample

SIZE, FRAMES, STRIDE = 48, 5, 4  # pixels; latent frames; video frames from one to the next
CHANNELS, PATCH = 16, 4
KNOWN, NEW = 24, 8
FILMS = 40  # of each person
DIM, LAYERS, TEXT = 128, 4, 32
COEFFICIENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def tiny_wan(seed: int, dim: int = DIM) -> nn.Module:
    """Core's Wan2.1 image-to-video model with random weights, `dim` numbers to a place."""
    torch.manual_seed(seed)
    wan = WanModel(
        "i2v", in_dim=CHANNELS + 20, dim=dim, ffn_dim=4 * dim, num_heads=2, num_layers=LAYERS, text_dim=TEXT,
        text_len=8,
        operations=comfy.ops.disable_weight_init,
    )  # fmt: skip
    for name, parameter in wan.named_parameters():
        if "norm" in name and parameter.ndim == 1:
            parameter.data.fill_(float(name.endswith("weight")))
        elif parameter.ndim == 1:
            parameter.data.zero_()
        else:
            parameter.data.normal_(0, 0.5 * parameter[0].numel() ** -0.5)
    return wan


def drawn(
    people_: list[Person], count: int, random: np.random.Generator
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Films [P*count,FRAMES,3,S,S] and, of each frame, jaw and yaw [P*count,FRAMES]; strengths differ from
    film to film."""
    films, jaws, yaws = [], [], []
    for who in people_:
        for _ in range(count):
            lively, turning = (
                np.exp(random.uniform(np.log(0.04), 0)),
                np.exp(random.uniform(np.log(0.6), np.log(14))),
            )
            curves = smooth_noise(FRAMES * STRIDE, 2, 0.25, random)[::STRIDE]
            jaw, yaw = (lively * np.abs(curves[:, 0])).clip(0, 1), (turning * curves[:, 1]).clip(-20, 20)
            pose = np.stack([np.zeros(FRAMES), yaw, np.zeros(FRAMES)], 1)
            films.append(film(who, motion({"jawOpen": jaw}, pose), SIZE))
            jaws.append(jaw)
            yaws.append(yaw)
    return torch.stack(films), np.stack(jaws), np.stack(yaws)


def reference_of(raw: np.ndarray) -> Reference:
    return Reference(*(float(value) for value in np.percentile(np.maximum(raw, 1e-8), (5, 95))))


def lip_weights() -> Tensor:
    """[h,w] of mean 1: what is around the mouth counts five times."""
    side = SIZE // PATCH
    weights = torch.ones(side, side)
    weights[round(0.58 * side) : round(0.92 * side), round(0.25 * side) : round(0.75 * side)] = 5
    return weights / weights.mean()


def identity_vectors(pictures: Tensor) -> Tensor:
    """[B,3,S,S] -> [B,512]: a stand-in for ArcFace, the small picture itself."""
    small = torch.nn.functional.interpolate(pictures, (13, 13), mode="area").flatten(1) - 0.5
    return torch.nn.functional.pad(small, (0, VECTOR - small.shape[1]))


def beside(latents: Tensor, seen: Tensor) -> Tensor:
    """The 20 channels: a mask that marks the first frame and its latent, zeros where `seen` [B] is false."""
    out = torch.zeros(len(latents), 20, *latents.shape[2:])
    out[:, :4, 0] = seen[:, None, None, None]
    out[:, 4:, 0] = latents[:, :, 0] * seen[:, None, None, None]
    return out


def as_films(latents: Tensor, seen: Tensor, identity: Tensor, intensity: Tensor) -> Films:
    """Nothing is said and no CLIP vision seen in this toy."""
    count = len(latents)
    return Films(
        latents,
        beside(latents, seen),
        torch.zeros(count, 257, 1280),
        torch.zeros(count, 1, TEXT),
        identity,
        intensity,
    )


def identity_errors(made: Tensor, wanted: Tensor, others: Tensor) -> dict[str, float]:
    """Made films [B,F,3,S,S] of people whose mean picture is wanted [B,3,S,S]: distance, and how often the
    nearest of `others` [P,3,S,S] is the person."""
    mean = made.mean(1)
    nearest = torch.cdist(mean.flatten(1), others.flatten(1)).argmin(1)
    own = torch.cdist(wanted.flatten(1), others.flatten(1)).argmin(1)
    error = (mean - wanted).square().mean((1, 2, 3)).sqrt().mean()
    return {"rms_error": float(error), "nearest_is_the_person": float((nearest == own).float().mean())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "output", type=Path, help="safetensors of both modules, under the names that the nodes load"
    )
    parser.add_argument("result", type=Path, nargs="?", help="JSON of what was measured")
    parser.add_argument(
        "--base", type=Path, help="safetensors of the tiny Wan: read if it is there, else written"
    )
    parser.add_argument("--base-steps", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    faces = people(KNOWN + NEW, options.seed)
    films, jaws, yaws = drawn(faces, FILMS, random)
    train_count = KNOWN * FILMS
    linear = LinearLatents(films[:train_count].flatten(0, 1), CHANNELS, PATCH)
    latents = linear.encode(films.flatten(0, 1)).unflatten(0, films.shape[:2]).transpose(1, 2)
    face, body = reference_of(jaws[:train_count].var(1)), reference_of(yaws[:train_count].var(1))
    intensity = torch.tensor(
        [[face.coefficient(a), body.coefficient(b)] for a, b in zip(jaws.var(1), yaws.var(1), strict=True)]
    )
    intensity = intensity.float()
    means = films.unflatten(0, (KNOWN + NEW, FILMS)).mean((1, 2))
    identity = identity_vectors(means).repeat_interleave(FILMS, 0)
    print(f"{len(films)} films of {KNOWN + NEW} people", flush=True)

    def batch() -> Films:
        index = torch.from_numpy(random.integers(0, train_count, options.batch))
        seen = torch.from_numpy(random.random(options.batch) < 0.5).float()
        return as_films(latents[index], seen, identity[index], intensity[index])

    wan, base_curve = tiny_wan(options.seed), []
    if options.base and options.base.exists():
        wan.load_state_dict(load_file(options.base))
    else:
        base = Training(wan, tiny(options.base_steps, 1e-3), options.seed)
        base.random, resume = random, options.output.with_suffix(".base.resume.safetensors")
        go_on(base, resume)
        with hearing(wan):
            train_fully(base, lambda: flow_loss(wan, None, batch()), resume, name="tiny Wan")
        base_curve = losses(base)
    if options.base:
        save_file(wan.state_dict(), options.base)
    wan.requires_grad_(False)
    extras = Extras(IdentityBranch(LAYERS, DIM, 128, queries=4, layers=2), MotionIntensity(DIM, 128))
    with hearing(wan):
        weights, run = lip_weights(), Training(extras, tiny(options.steps, 2e-3), options.seed)
        run.random, resume = random, options.output.with_suffix(".resume.safetensors")
        go_on(run, resume)
        train_fully(run, lambda: flow_loss(wan, extras, batch(), weights=weights), resume, name="extras")
        result = measured(wan, extras, linear, films, latents, identity, means, jaws, yaws, train_count)
    chosen = {name: getattr(options, name) for name in ("base_steps", "steps", "batch", "seed")}
    result |= {"base_loss": base_curve, "extras_loss": losses(run), "settings": chosen}
    state = {
        **published_names(extras.identity),
        **{PREFIX + key: value for key, value in extras.intensity.state_dict().items()},
    }
    save_file({key: value.detach().contiguous() for key, value in state.items()}, options.output)
    print(json.dumps({key: result[key] for key in ("identity", "intensity")}, indent=1))
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n")


@torch.no_grad()
def measured(wan, extras, linear, films, latents, identity, means, jaws, yaws, train_count) -> dict:
    """Identity errors without a picture, and motion against coefficients with one."""

    def made(index: Tensor, seen: float, coefficients: Tensor, use: Extras | None, scale: float) -> Tensor:
        given = as_films(latents[index], torch.full((len(index),), seen), identity[index], coefficients)
        noise = torch.randn(latents[index].shape, generator=torch.Generator().manual_seed(7))
        out = sample(wan, use, given, noise, scale=scale)
        return linear.decode(out.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(index), FRAMES))

    neutral = torch.full((1, 2), 0.5)
    known, new = torch.arange(0, train_count, FILMS), torch.arange(train_count, len(films), FILMS)
    groups = {"known people": known.repeat(2), "new people": new.repeat(4)}
    found: dict = {"identity": {}, "intensity": {}}
    for name, index in groups.items():
        wanted = means[index // FILMS]
        for label, use, scale in (("without", None, 0.0), ("with", extras, 0.5)):
            result = made(index, 0.0, neutral.expand(len(index), -1), use, scale)
            found["identity"][f"{name}, {label}"] = identity_errors(result, wanted, means)
    pictures = films[:train_count].flatten(0, 1)
    # New people speak: the first picture is theirs, and only changes from it are read off.
    index = torch.arange(train_count, len(films), 4)
    for place, name, values in ((0, "expression", jaws), (1, "body", yaws)):
        half = slice(SIZE // 2, None) if place == 0 else slice(None)
        probe = Probe(pictures[..., half, :], torch.from_numpy(values[:train_count].flatten()).float())
        for coefficient in COEFFICIENTS:
            given = torch.full((len(index), 2), 0.5)
            given[:, place] = coefficient
            result = made(index, 1.0, given, extras, 0.5)
            read = probe(result.flatten(0, 1)[..., half, :]).unflatten(0, (len(index), FRAMES))
            found["intensity"].setdefault(name, {})[str(coefficient)] = float(read.std(1).mean())
    return found


if __name__ == "__main__":
    main()
