"""Training windows for Takin-ADA from films of people (training/takin/prepare_films.py), read from disk as
they are drawn.

The network learns changes from a person's resting face, as the shipped one does, so that it drives any
portrait: the rest is the median of the person's films that are labelled neutral, or of all their films where
none is. Angles are differences in degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...models.face_motion.emotion_names import emotion_name
from ...models.takin.config import (
    ANGLES,
    COMMANDS,
    EMOTIONS,
    EXPRESSION,
    MOTION,
    POSE,
    SCALE,
    TRANSLATION,
    TakinConfig,
)
from ...models.takin.emotion import exemplar_means
from .batches import LENGTHS, Batch

COMMANDED, LIDS_COMMANDED = 0.3, 0.5  # share of windows whose pose, and whose lids, are commanded
CONTEXT_DROPPED, NO_SPEECH, NO_EMOTION = 0.5, 0.1, 0.1
LABEL_ONLY, EXEMPLAR_ONLY = 0.5, 0.2  # of films with a label; the rest is told both
FLOOR = {"expression": 1e-3, "angles": 0.1}  # least deviation, so that what never moves is not magnified


@dataclass(frozen=True)
class Stretch:
    """Frames of one file without a break: the first of them, motion [N,70] from rest, lids [N], label [8]
    (zeros: none)."""

    path: Path
    first: int
    motion: Tensor
    lids: Tensor
    label: np.ndarray

    def features(self, index: np.ndarray) -> Tensor:
        """[2K,L,D] float32 of K frames in order, by their number in the stretch; read from disk."""
        low, high = int(index.min()), int(index.max()) + 1
        with safe_open(str(self.path), "pt") as file:
            piece = file.get_slice("features")[2 * (self.first + low) : 2 * (self.first + high)]
        frames = torch.from_numpy(index - low)
        return piece[torch.stack([2 * frames, 2 * frames + 1], 1).flatten()].float()


@dataclass(frozen=True)
class FilmFolder:
    """All stretches, the encoder that heard them, and its layers and width."""

    stretches: list[Stretch]
    encoder: str
    layers: int
    width: int
    unlabelled: int  # files whose film has no emotion
    films: int

    @property
    def minutes(self) -> float:
        """How much speech there is."""
        return sum(len(stretch.motion) for stretch in self.stretches) / 25 / 60


def from_rest(motion: Tensor, rest: Tensor) -> Tensor:
    """[N,70] of a person as changes from their resting face [70]: scale is a ratio, depth stays out."""
    changed = motion - rest
    changed[:, SCALE] = motion[:, SCALE] / rest[SCALE]
    changed[:, TRANSLATION.stop - 1] = 0
    return changed


def read_folder(folder: Path) -> FilmFolder:
    """ValueError if there is nothing in it, a file is damaged, or the films were heard by different encoders."""
    films, encoders, shape = [], set(), [0, 0, 0]
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(str(path), "pt") as file:
                header, shape = file.metadata(), file.get_slice("features").get_shape()
                encoders.add(header["encoder"])
                films.append((path, header["person"], label_of(header),
                              *(file.get_tensor(name) for name in ("motion", "lids", "frames"))))  # fmt: skip
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}): delete it and prepare its film again"
            ) from None
    if not films:
        raise ValueError(f"{folder} has no prepared films; training/takin/prepare_films.py makes them")
    if len(encoders) != 1:
        raise ValueError(
            f"{folder} has films of different speech encoders: {', '.join(sorted(encoders))}; prepare them again"
        )
    rests = {
        person: resting_face([film for film in films if film[1] == person])
        for person in {film[1] for film in films}
    }
    stretches = []
    for path, person, label, motion, lids, frames in films:
        first = 0
        for count in frames.tolist():
            part = slice(first, first + count)
            stretches.append(Stretch(path, first, from_rest(motion[part], rests[person]), lids[part], label))
            first += count
    unlabelled = sum(not label.any() for _, _, label, *_ in films)
    return FilmFolder(stretches, encoders.pop(), shape[1], shape[2], unlabelled, len(films))


def label_of(header: Mapping[str, str]) -> np.ndarray:
    """[8] of a prepared film: its emotion times its intensity, zeros where none is known; ValueError for an
    unknown one."""
    label, word, intensity = (
        np.zeros(len(EMOTIONS), np.float32),
        header["emotion"],
        float(header.get("intensity", "1")),
    )
    if not word:
        return label
    if (emotion := emotion_name(word)) is None or not 0 < intensity <= 1:
        raise ValueError(f"its emotion is {word!r} of intensity {intensity:g}")
    label[EMOTIONS.index(emotion)] = intensity
    return label


def resting_face(films: list[tuple]) -> Tensor:
    """[70] the median of a person's neutral films, or of all."""
    neutral = [film for film in films if film[2][EMOTIONS.index("neutral")]]
    return torch.cat([film[3] for film in neutral or films]).median(0).values


def one_window(
    folder: FilmFolder, length: int, config: TakinConfig, random: np.random.Generator
) -> dict[str, Any]:
    """One window of a random stretch, the longer ones more often, as the fields of Batch."""
    shares = np.array([len(stretch.motion) for stretch in folder.stretches], float)
    stretch = folder.stretches[int(random.choice(len(shares), p=shares / shares.sum()))]
    total, before = len(stretch.motion), config.previous
    start = int(random.integers(0, max(1, total - length + 1)))
    index = np.clip(np.arange(start - before, start + length), 0, total - 1)
    motion, labelled, draw = stretch.motion.numpy()[index], stretch.label.any(), random.random()
    mask = np.zeros((length, COMMANDS), np.float32)
    if random.random() < COMMANDED:
        mask[:, :POSE] = random.random(POSE) < 0.5 if random.random() < 0.5 else True
    mask[:, POSE] = random.random() < LIDS_COMMANDED
    stack = stretch.features(index)
    if start < before:
        stack[: 2 * before] = 0
    return {
        "stack": stack.transpose(0, 1), "clean": motion[before:], "context": motion[:before],
        "known": start >= before and random.random() >= CONTEXT_DROPPED,
        "reference": motion[int(random.integers(len(motion))), EXPRESSION:],
        "label": stretch.label[None] * (draw < LABEL_ONLY or draw >= LABEL_ONLY + EXEMPLAR_ONLY),
        "exemplar": exemplar_means(torch.from_numpy(motion[before:, :EXPRESSION]), config.exemplar_frames),
        "exemplar_given": bool(draw >= LABEL_ONLY or not labelled),
        "command": np.concatenate([motion[before:, EXPRESSION:], stretch.lids.numpy()[index[before:], None]],
        1), "mask": mask,
        "hear": random.random() >= NO_SPEECH, "feel": random.random() >= NO_EMOTION,
    }  # fmt: skip


def draw_film_batch(
    folder: FilmFolder, config: TakinConfig, frames: int, random: np.random.Generator
) -> Batch:
    """A batch of about `frames` frames, all windows of one length."""
    length = int(random.choice(list(LENGTHS), p=list(LENGTHS.values())))
    windows = [
        one_window(folder, length, config, random)
        for _ in range(max(1, frames // (length + config.previous)))
    ]
    tensors = {
        name: torch.stack([torch.as_tensor(window[name]) for window in windows]) for name in windows[0]
    }
    return Batch(
        **{name: value if value.dtype == torch.bool else value.float() for name, value in tensors.items()}
    )


def film_statistics(folder: FilmFolder) -> tuple[Tensor, Tensor]:
    """Mean and deviation [70] of the motion of all films."""
    motion = torch.cat([stretch.motion for stretch in folder.stretches]).double()
    floor = torch.full((MOTION,), FLOOR["expression"])
    floor[ANGLES] = FLOOR["angles"]
    mean = motion.mean(0).float()
    mean[TRANSLATION.stop - 1], mean[SCALE] = 0.0, 1.0
    return mean, torch.maximum(motion.std(0).float(), floor)
