"""Train FantasyTalking's audio in two stages on a tiny Wan, and repeat the paper's Table 4: clip level alone, frame
level alone, both.

    python3 run.py python -m talking_portrait.training.fantasytalking.train_dual_stage FOLDER RESULT.json [--seed 1]

A tiny Wan2.1 image-to-video model first learns silent films of made-up people and is frozen. It sees the first picture,
and its latents hold what changes from there, so that all it has to learn is motion. Then three adapters
learn to hear for as many steps each (both: four fifths of them at clip level, as the paper's 80 000 and 20 000).
The sound's vectors are a fixed random map of the mouth's opening, of how lively the speaker is and of the place in the
clip, with noise; the head turns as far as the speaker is lively. Measured on new motion of people of the training and
new ones: r of the mouth's opening with the sound's, frame by frame; r of how far the head turns with how lively the
sound is, and how far it turns over the truth; beside the same, read off the true films, and off films of the Wan that
hears nothing. Numbers are of this toy. FOLDER keeps the films and the networks; a run that was stopped goes on.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()
comfy.cli_args.args.use_pytorch_cross_attention = True  # a fifth faster in training on a CPU

from ...models.atomic_file import atomic_file
from ...models.face.regions import MOUTH_AREA, draw_region, hull
from ...models.face_motion import rotation_matrix
from ...models.fantasytalking.network import FantasyTalking
from ..data.talking_faces import WORK, LinearLatents, Person, Probe, film, motion, people, smooth_noise
from ..learning.loop import command, go_on, train_fully, write_json
from ..learning.recipe import Average, Cosine, Recipe
from ..learning.training import Training
from .dual_stage import CLIP, FRAME, begun, heard, latent_mask, stage_loss
from .objective import Films, flow_loss, hearing, sample
from .train_extras import CHANNELS, PATCH, TEXT, beside, tiny_wan

SIZE, FRAMES = 16, 7  # pixels; latent frames
DIM = 128  # numbers to a place of the tiny Wan; the 64 of noise that each place holds must fit in beside the film
VIDEO = 4 * (FRAMES - 1) + 1  # frames of the video
SHOWN = np.array(
    [0, *(4 * i - 1 for i in range(1, FRAMES))]
)  # the video frame in the middle of each latent frame
EACH = 2  # vectors of sound for each frame of the video
HEARD, WIDTH = 32, 64  # numbers of a vector and of a token
KNOWN, NEW, FILMS = 4, 2, 60  # people of the training, new ones, films of each
HELD_OUT = 10  # films of each person of the training that it never sees
CLOSE, LOWER = 0.7, 0.15  # of the face's square: how much of it is seen, and how much lower
RATE, BASE_RATE, BATCH, BASE_SEED = 5e-3, 1.5e-3, 16, 1
SHIFT = 3.0  # of the noise levels, as the tiny Wan learned
CASES = {"clip level": ((CLIP, 1.0),), "frame level": ((FRAME, 1.0),), "both": ((CLIP, 0.8), (FRAME, 0.2))}


def mouth_masks(who: Person, pose: np.ndarray) -> Tensor:
    """The mouth's area in every frame of a film [N,SIZE,SIZE], turned with the head's pose [N,3]."""
    points = np.asarray(who.portrait.face.points, np.float64)
    middle = points.mean(0)
    turns = rotation_matrix(torch.from_numpy(pose)).numpy()
    masks = torch.zeros(len(pose), WORK, WORK)
    for mask, turn in zip(masks, turns, strict=True):
        turned = (points - middle) @ turn + middle
        draw_region(mask, hull(turned[list(MOUTH_AREA), :2]), 4.0, 0.0)
    x, y, half = who.square
    grid = torch.linspace(-half, half, SIZE)
    place = torch.stack(torch.meshgrid(x + grid, y + grid, indexing="xy"), -1)
    scaled = ((place + 0.5) / WORK * 2 - 1).expand(len(pose), -1, -1, -1)
    return torch.nn.functional.grid_sample(masks[:, None], scaled.float(), align_corners=False)[:, 0]


def near(who: Person) -> Person:
    """Somebody seen from brows to chin, so that a mouth has pixels enough."""
    x, y, half = who.square
    return replace(who, square=(x, y + LOWER * half, CLOSE * half))


def drawn(who: Person, random: np.random.Generator) -> dict[str, Tensor]:
    """A film: pictures, the lips' masks, what is said [VIDEO] and how lively, and the head's angles of each picture."""
    lively = float(random.uniform(0, 1))
    curves = smooth_noise(VIDEO, 2, 0.35, random)
    jaw = (0.6 * np.abs(curves[:, 0])).clip(0, 1)
    yaw = (2 + 14 * lively) * (curves[:, 1] - curves[:, 1].mean()) / max(np.ptp(curves[:, 1]), 1e-6)
    pose = np.stack([np.zeros(VIDEO), yaw, np.zeros(VIDEO)], 1)
    chosen = pose[SHOWN]
    pictures = film(who, motion({"jawOpen": jaw[SHOWN]}, chosen), SIZE)
    return {
        "pictures": pictures, "masks": mouth_masks(who, chosen), "jaw": torch.from_numpy(jaw).float(),
        "yaw": torch.from_numpy(yaw[SHOWN].copy()).float(), "lively": torch.tensor(lively),
    }  # fmt: skip


def world(folder: Path) -> dict[str, Tensor]:
    """All films of all people, kept in the folder: people first, those of the training before the new ones."""
    path = folder / "films.safetensors"
    if not path.is_file():
        random = np.random.default_rng(7)
        films = [drawn(near(who), random) for who in people(KNOWN + NEW, 7) for _ in range(FILMS)]
        with atomic_file(path) as part:
            save_file(
                {name: torch.stack([one[name] for one in films]).contiguous() for name in films[0]}, part
            )
    return load_file(path)


def sound_of(films: dict[str, Tensor], seed: int = 3) -> Tensor:
    """[n,L,HEARD] a random map of mouth, liveliness and the place in the clip, and noise."""
    make = torch.Generator().manual_seed(seed)
    jaw = films["jaw"].repeat_interleave(EACH, 1)
    lively = 0.3 * (films["lively"][:, None] - 0.5).expand_as(jaw)
    place = (torch.arange(jaw.shape[1]) / jaw.shape[1] * 2 * torch.pi).expand_as(jaw)
    told = torch.stack([jaw, lively, torch.full_like(jaw, 0.2), 0.3 * place.sin(), 0.3 * place.cos()], -1)
    vectors = told @ torch.randn(told.shape[-1], HEARD, generator=make)
    return vectors + 0.15 * torch.randn(vectors.shape, generator=make)


class World:
    """Films with what is heard, as latents."""

    def __init__(self, folder: Path):
        self.films = world(folder)
        pictures, count = self.films["pictures"], len(self.films["jaw"])
        numbers = torch.arange(count)
        known, late = numbers < KNOWN * FILMS, numbers % FILMS >= FILMS - HELD_OUT
        self.train, self.tests = (
            numbers[known & ~late],
            {"known people": numbers[known & late], "new people": numbers[~known][::3]},
        )
        changes = 0.5 + 0.5 * (pictures - pictures[:, :1])
        self.linear = LinearLatents(changes[self.train].flatten(0, 1), CHANNELS, PATCH)
        self.latents = (
            self.linear.encode(changes.flatten(0, 1)).unflatten(0, pictures.shape[:2]).transpose(1, 2)
        )
        first = pictures[:, 0]
        self.shown = LinearLatents(first[self.train], CHANNELS, PATCH).encode(first)[:, :, None]
        self.sound, grid = sound_of(self.films), (FRAMES, SIZE // PATCH, SIZE // PATCH)
        self.lips = torch.stack([latent_mask(mask, grid) for mask in self.films["masks"]])

    def given(self, index: Tensor, seen: Tensor) -> Films:
        """Films by number; those whose `seen` is 0 lack their first picture."""
        latents, count = self.latents[index], len(index)
        return Films(
            latents, self.beside(index, seen), torch.zeros(count, 1, 1280), torch.zeros(count, 1, TEXT),
            torch.zeros(count, 512), torch.zeros(count, 2), self.sound[index], self.lips[index],
        )  # fmt: skip

    def beside(self, index: Tensor, seen: Tensor) -> Tensor:
        """The 20 channels beside the noise, with the first picture in the first frame where it is seen."""
        latents = self.latents[index].clone()
        latents[:, :, :1] = self.shown[index]
        return beside(latents, seen)

    def drawn(self, latents: Tensor, index: Tensor) -> Tensor:
        """Pictures [B*F,3,S,S] of latents [B,C,F,h,w] of films by number."""
        changes = 2 * self.linear.decode(latents.transpose(1, 2).flatten(0, 1)) - 1
        return self.films["pictures"][index, 0].repeat_interleave(FRAMES, 0) + changes

    def chosen(self, random: np.random.Generator) -> Tensor:
        """Numbers of films of the training."""
        return self.train[torch.from_numpy(random.integers(0, len(self.train), BATCH))]

    def batch(self, random: np.random.Generator) -> Films:
        """Films of the training."""
        return self.given(self.chosen(random), torch.ones(BATCH))

    @torch.no_grad()
    def made(self, wan: nn.Module, index: Tensor, adapter: FantasyTalking | None, stage: str) -> Tensor:
        """Pictures [B*F,3,S,S] of films by number, by what is heard of them in a stage; by nothing without an
        adapter."""
        given = self.given(index, torch.ones(len(index)))
        noise = torch.randn(given.latents.shape, generator=torch.Generator().manual_seed(7))
        assert given.speech is not None
        audio = None if adapter is None else heard(adapter, given.speech, FRAMES, stage)
        with hearing(wan):
            return self.drawn(sample(wan, None, given, noise, audio=audio), index)

    def measured(self, films_of: Callable[[Tensor], Tensor]) -> dict[str, dict[str, float]]:
        """How mouth and head of films, pictures [B*F,3,S,S] by number, follow what is heard."""
        pictures, half = self.films["pictures"][self.train].flatten(0, 1), SIZE // 2
        jaw = self.films["jaw"][:, SHOWN]
        mouth = Probe(pictures[..., half:, :], jaw[self.train].flatten(), 30.0)
        head = Probe(pictures, self.films["yaw"][self.train].flatten(), 30.0)
        found = {}
        for name, index in self.tests.items():
            films = films_of(index)
            opened = mouth(films[..., half:, :]).view(-1, FRAMES)
            turned = head(films).view(-1, FRAMES)
            true_turn = self.films["yaw"][index].std(1)
            found[name] = {
                "lips_r": mean_r(opened[:, 1:], jaw[index, 1:]),
                "head_follows_liveliness_r": correlation(turned.std(1), self.films["lively"][index]),
                "head_motion_over_truth": round(float(turned.std(1).mean() / true_turn.mean()), 3),
            }
        return found


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's r of two rows."""
    return round(float(torch.corrcoef(torch.stack([first, second]))[0, 1]), 3)


def mean_r(made: Tensor, truth: Tensor) -> float:
    """The mean over films of r within each, [n,F] each; films whose mouth stays still say nothing."""
    moving = truth.std(1) > 0.03
    return round(
        float(np.mean([correlation(a, b) for a, b in zip(made[moving], truth[moving], strict=True)])), 3
    )


def base(world_: World, folder: Path, seed: int, steps: int) -> tuple[nn.Module, list]:
    """The tiny Wan that has learned silent films, frozen."""
    wan = tiny_wan(seed, DIM).requires_grad_(True)
    rules = Recipe(steps, BASE_RATE, Cosine(steps // 10), average=Average())
    run = Training(wan, rules, seed)
    resume = folder / f"wan_{seed}.resume.safetensors"
    go_on(run, resume)

    def loss() -> Tensor:
        index = world_.chosen(run.random)
        seen = torch.from_numpy(run.random.random(BATCH) < 0.8).float()
        return flow_loss(wan, None, replace(world_.given(index, seen), speech=None), SHIFT)

    with hearing(wan):
        train_fully(run, loss, resume, report=100, name=f"tiny Wan {seed}")
    wan.load_state_dict(run.result())
    return wan.requires_grad_(False).eval(), [entry["loss"] for entry in run.curve]


def adapter_of(
    world_: World, wan: nn.Module, folder: Path, seed: int, name: str, steps: int
) -> tuple[FantasyTalking, list]:
    """An adapter that learned in the stages of a case, one behind the other."""
    torch.manual_seed(seed)
    adapter = begun(FantasyTalking(HEARD, WIDTH, wan.dim, len(wan.blocks)))  # type: ignore[arg-type]
    curve = []
    for stage, share in CASES[name]:
        count = round(share * steps)
        run = Training(
            adapter, Recipe(count, RATE, Cosine(max(1, count // 10), last=0.02), average=Average(0.99)), seed
        )
        resume = folder / f"{name.replace(' ', '_')}_{stage}_{seed}.resume.safetensors"
        go_on(run, resume)

        def loss(run: Training = run, stage: str = stage) -> Tensor:
            return stage_loss(wan, adapter, world_.batch(run.random), stage, SHIFT)

        with hearing(wan):
            train_fully(run, loss, resume, report=100, name=f"{name}, {stage}")
        adapter.load_state_dict(run.result())
        curve += [entry["loss"] for entry in run.curve]
    return adapter.eval(), curve


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--base-steps", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=[*CASES])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.folder.mkdir(parents=True, exist_ok=True)
    began, all_films = time.process_time(), World(options.folder)
    wan, curve = base(all_films, options.folder, BASE_SEED, options.base_steps)
    mine: dict = {
        "command": command("fantasytalking.train_dual_stage"), "base_loss": curve, "base_steps": options.base_steps,
        "steps": options.steps, "batch": BATCH,
        "the true films": all_films.measured(lambda index: all_films.films["pictures"][index].flatten(0, 1)),
        "without sound": all_films.measured(lambda index: all_films.made(wan, index, None, CLIP)),
    }  # fmt: skip
    for name in options.cases:
        adapter, losses = adapter_of(all_films, wan, options.folder, options.seed, name, options.steps)
        last = CASES[name][-1][0]
        found = all_films.measured(lambda index, a=adapter, s=last: all_films.made(wan, index, a, s))
        mine[name] = {**found, "loss": losses}
        print(name, json.dumps(mine[name]), flush=True)
        mine["cpu_seconds_of_this_call"] = round(time.process_time() - began)
        # others may have added their own meanwhile
        result = json.loads(options.result.read_text()) if options.result.is_file() else {}
        seed = f"seed {options.seed}"
        write_json(options.result, result | {seed: result.get(seed, {}) | mine})


if __name__ == "__main__":
    main()
