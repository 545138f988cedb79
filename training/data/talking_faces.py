"""Small films of made-up people, drawn by the built-in renderer from known motion: what the tiny training
proofs learn from.

People are the photo and the cartoon, recoloured and reshaped. Latents are a linear stand-in for a video VAE:
patches of pixels on their principal components.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ...models.builtin.warp import WarpRenderer
from ...models.face.landmarks import landmarks_in_pixels
from ...models.face.weights import load_face_detector, load_person_segmenter
from ...models.face_motion import CONTROLS, FaceMotion, resolve
from ...models.portrait import FaceLandmarks478, Portrait
from .cartoon import cartoon_face

PHOTO = Path(__file__).resolve().parents[2] / "samples" / "talking_portrait_astronaut.png"
WORK = 256  # pixels at which films are drawn, before their face is cut out
FPS = Fraction(25)
SAMPLED = 128  # pixels at which a face is read off, where films are smaller than half of it
MARGIN = 0.62  # of the face's height, from its centre to each side of the crop


@dataclass(frozen=True)
class Person:
    """A portrait and the square around its face, (x, y, half side) in its pixels."""

    portrait: Portrait
    square: tuple[float, float, float]


@torch.no_grad()
def people(count: int, seed: int = 0) -> list[Person]:
    """Different faces; the same ones for the same seed. Those in which no face is found are drawn anew."""
    random, found = np.random.default_rng(seed), []
    bases = [Image.open(PHOTO).convert("RGB"), cartoon_face(512)]
    while len(found) < count:
        picture = changed(bases[len(found) % 2], random)
        faces = load_face_detector().detect_batch([picture], 1, 0.3, "short")[0]
        if faces:
            found.append(person(picture, landmarks_in_pixels(faces[0])))
    return found


def changed(picture: Image.Image, random: np.random.Generator) -> np.ndarray:
    """[WORK,WORK,3] bytes: other colours, and wider or longer."""
    wide, high = (int(WORK * random.uniform(0.85, 1.2)) for _ in range(2))
    small = (
        np.asarray(picture.resize((max(wide, WORK), max(high, WORK)), Image.Resampling.LANCZOS), np.float32)
        / 255
    )
    top, left = (small.shape[0] - WORK) // 2, (small.shape[1] - WORK) // 2
    small = small[top : top + WORK, left : left + WORK]
    mix = np.eye(3) * random.uniform(0.65, 1.15, 3) + random.normal(0, 0.12, (3, 3))
    return ((small @ mix + random.normal(0, 0.05, 3)).clip(0, 1) * 255).astype(np.uint8)


def person(picture: np.ndarray, points: np.ndarray) -> Person:
    """The portrait of a picture [H,W,3] bytes with known landmarks."""
    image = torch.from_numpy(picture).float() / 255
    portrait = WarpRenderer().prepare(image, FaceLandmarks478(points), load_person_segmenter().mask(image))
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    x, y = (low + high) / 2
    return Person(portrait, (float(x), float(y), float(high[1] - low[1]) * MARGIN))


def smooth_noise(frames: int, count: int, seconds: float, random: np.random.Generator) -> np.ndarray:
    """[frames,count] random curves of variance 1 that change over about so many seconds."""
    sigma = max(0.5, seconds * float(FPS) / 3)
    reach = int(4 * sigma)
    curves = gaussian_filter1d(random.standard_normal((frames + 2 * reach, count)), sigma, axis=0)[
        reach : reach + frames
    ]
    return curves * np.sqrt(2 * sigma * np.sqrt(np.pi))


def motion(controls: dict[str, np.ndarray], pose: np.ndarray) -> FaceMotion:
    """A motion of [N] curves by control name, and a pose [N,3] in degrees."""
    values = torch.zeros(len(pose), len(CONTROLS))
    for name, curve in controls.items():
        values[:, CONTROLS.index(name)] = torch.from_numpy(np.asarray(curve, np.float32))
    still = torch.zeros(len(pose), 3)
    return FaceMotion.from_controls(
        values,
        torch.from_numpy(pose.astype(np.float32)),
        still,
        torch.ones(len(pose)),
        FPS,
        source={"producer": "talking faces"},
    )


@torch.no_grad()
def film(who: Person, moves: FaceMotion, size: int) -> Tensor:
    """The face's square of every frame, [N,3,size,size] in 0..1."""
    resolved = resolve(moves, who.portrait.motion)
    x, y, half = who.square
    finer = max(2, SAMPLED // size)
    grid = torch.linspace(-half, half, finer * size)
    place = torch.stack(torch.meshgrid(x + grid, y + grid, indexing="xy"), -1)
    scaled = (place + 0.5) / WORK * 2 - 1
    frames = []
    for start in range(0, len(moves), 2):
        drawn = (
            WarpRenderer()
            .render(who.portrait, resolved.slice(start, start + 2), torch.device("cpu"))
            .permute(0, 3, 1, 2)
        )
        cut = F.grid_sample(
            drawn, scaled.expand(len(drawn), -1, -1, -1), align_corners=False, padding_mode="border"
        )
        frames.append(F.avg_pool2d(cut, finer))
    return torch.cat(frames)


class LinearLatents:
    """Pictures [n,3,H,W] in 0..1 <-> latents [n,channels,H/patch,W/patch] of mean 0 and mean variance 1."""

    def __init__(self, pictures: Tensor, channels: int, patch: int):
        self.patch = patch
        values = self._patches(pictures).permute(1, 0, 2, 3).flatten(1)
        self.mean = values.mean(1, keepdim=True)
        vectors, strengths, _ = torch.linalg.svd(
            (values - self.mean) @ (values - self.mean).T / values.shape[1]
        )
        self.basis = vectors[:, :channels]
        self.scale = strengths[:channels].mean().sqrt()

    def _patches(self, pictures: Tensor) -> Tensor:
        return F.pixel_unshuffle(2 * pictures - 1, self.patch)

    def encode(self, pictures: Tensor) -> Tensor:
        return (
            torch.einsum("pc,nphw->nchw", self.basis, self._patches(pictures) - self.mean[..., None])
            / self.scale
        )

    def decode(self, latents: Tensor) -> Tensor:
        patches = torch.einsum("pc,nchw->nphw", self.basis, latents * self.scale) + self.mean[..., None]
        return (F.pixel_shuffle(patches, self.patch) + 1) / 2


class Probe:
    """Reads a number off pictures: ridge regression on the pixels in which it shows."""

    def __init__(self, pictures: Tensor, values: Tensor, strength: float = 1.0):
        x = pictures.flatten(1)
        self.mean_x, self.mean_y = x.mean(0), values.mean(0)
        x, y = x - self.mean_x, values - self.mean_y
        kernel = x @ x.T
        kernel += strength * kernel.diagonal().mean() * 1e-3 * torch.eye(len(x))
        self.weights = x.T @ torch.linalg.solve(kernel, y)

    def __call__(self, pictures: Tensor) -> Tensor:
        return (pictures.flatten(1) - self.mean_x) @ self.weights + self.mean_y
