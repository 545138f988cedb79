"""Training windows for Takin-ADA's tiny network: emotion, head, commands and context are drawn anew every time.

A film of training/takin/prepare.py has a neutral face. A window of it gets an emotion of some intensity, a
place and a liveliness of the head, and perhaps commands; what the network is told of each is drawn apart, so
that it learns to do without.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from ...models.takin.emotion import emotion_faces, exemplar_means
from ..data.clips import FPS, Clip, Clips, read_clips, stacked

LENGTHS = {125: 0.5, 50: 0.25, 25: 0.25}  # frames of a window and how often
TOKENS = 1100  # frames of a batch, context included
NEUTRAL_SHARE, MIXED_SHARE = 0.15, 0.15
# of the head's place: scale, translation, pitch, yaw, roll
BASE_DEVIATION = (0.05, 0.02, 0.02, 0.0, 3.0, 6.0, 2.0)
LIVELINESS = (0.5, 1.8)  # factor on head motion
COMMANDED, SWEPT = 0.4, 0.5  # share of windows whose head is commanded, and of those with a wide sweep in it
SWEEP = (0.04, 0.02, 0.02, 0.0, 8.0, 16.0, 8.0)
LIDS_COMMANDED = 0.5
# silent: of the dropped, those whose speech is not known either
CONTEXT_DROPPED, CONTEXT_SILENT, CONTEXT_NOISE = 0.5, 0.5, 0.15
NO_SPEECH, NO_EMOTION = 0.1, 0.1
LABEL_ONLY, EXEMPLAR_ONLY = 0.5, 0.2  # the rest is told both


MAKER, TRACKS = "training/takin/prepare.py", ("motion", "lids")
EACH = 2  # rows of features for each frame


@dataclass(frozen=True)
class Batch:
    """Windows of T frames: stack [B,L,2(P+T),D]; all motion in units, before normalisation (`context` [B,P,70])."""

    stack: Tensor
    clean: Tensor
    context: Tensor
    known: Tensor  # [B] whether the context is given
    reference: Tensor  # [B,7]
    label: Tensor  # [B,1,8]
    exemplar: Tensor  # [B,T,63]
    exemplar_given: Tensor  # [B]
    command: Tensor  # [B,T,8] in units
    mask: Tensor  # [B,T,8]
    hear: Tensor  # [B]
    feel: Tensor  # [B]


def read_films(paths: list[Path]) -> Clips:
    """All films of these files; ValueError if they are of different encoders."""
    return read_clips(paths, MAKER, ("features", *TRACKS), TRACKS)


def feature_sizes(clips: Clips) -> tuple[int, int]:
    """Layers and width of what the encoder says."""
    _, layers, width = clips[0].rows("features", 0, 1, EACH).shape
    return layers, width


def features_at(clip: Clip, index: np.ndarray) -> Tensor:
    """[2K,L,D] float32 of K frames in order, by their number in the stretch."""
    low = int(index.min())
    piece = clip.rows("features", low, int(index.max()) + 1, EACH)
    frames = EACH * torch.from_numpy(index - low)
    return piece[torch.stack([frames, frames + 1], 1).flatten()].float()


def stacked_batch(windows: list[dict[str, Any]]) -> Batch:
    """Windows of one length as a batch."""
    samples = [{name: torch.as_tensor(value) for name, value in window.items()} for window in windows]
    tensors = stacked(samples)
    return Batch(
        **{name: value if value.dtype == torch.bool else value.float() for name, value in tensors.items()}
    )


def sweep(frames: int, random: np.random.Generator) -> np.ndarray:
    """[frames,7] wide head motion: a few slow waves."""
    time = np.arange(frames)[:, None] / 25
    hertz, phase = random.uniform(0.08, 0.5, (2, 1, POSE)), random.uniform(0, 2 * np.pi, (2, 1, POSE))
    waves = np.sin(2 * np.pi * hertz[0] * time + phase[0]) + 0.3 * np.sin(
        2 * np.pi * 2 * hertz[1] * time + phase[1]
    )
    return waves * np.array(SWEEP) * random.uniform(0.2, 1.0, POSE)


def drawn_emotion(random: np.random.Generator) -> np.ndarray:
    """[8] shares of the emotions times intensity: mostly one emotion, sometimes two."""
    label = np.zeros(len(EMOTIONS), np.float32)
    label[
        EMOTIONS.index("neutral") if random.random() < NEUTRAL_SHARE else random.integers(len(EMOTIONS))
    ] = 1
    if random.random() < MIXED_SHARE:
        label *= random.uniform(0.3, 1)
        label[random.integers(len(EMOTIONS))] += 1 - label.sum()
    return label * np.float32(random.uniform(0, 1) if random.random() < 0.7 else 1.0)


def one_window(films: Clips, length: int, config: TakinConfig, random: np.random.Generator) -> dict[str, Any]:
    """One window of a random film, as the fields of Batch."""
    film = films[int(random.integers(len(films)))]
    total, before = film.frames, config.previous
    start = int(random.integers(0, max(1, total - length + 1)))
    index = np.clip(np.arange(start - before, start + length), 0, total - 1)
    motion = film.rows("motion").numpy()[index].copy()
    commanded = random.random() < COMMANDED
    place = random.normal(0, 1, POSE) * BASE_DEVIATION
    rest = np.array([1.0, 0, 0, 0, 0, 0, 0])
    pose = rest + place + (motion[:, EXPRESSION:] - rest) * random.uniform(*LIVELINESS)
    if commanded and random.random() < SWEPT:
        pose += sweep(len(pose), random)
    motion[:, EXPRESSION:] = pose
    emotion = drawn_emotion(random)
    faces, pitch = FACES
    motion[:, :EXPRESSION] += emotion @ faces
    motion[:, ANGLES.start] += emotion @ pitch
    draw = random.random()
    label = emotion[None] * (draw < LABEL_ONLY or draw >= LABEL_ONLY + EXEMPLAR_ONLY)
    shown = draw >= LABEL_ONLY
    mask = np.zeros((length, COMMANDS))
    if commanded:
        chosen = random.random(POSE) < 0.5 if random.random() < 0.5 else np.ones(POSE, bool)
        first, last = (0, length) if random.random() < 0.7 else sorted(random.integers(0, length + 1, 2))
        mask[first:last, :POSE] = chosen
    mask[:, POSE] = random.random() < LIDS_COMMANDED
    lids = film.rows("lids").numpy()[index[before:]]
    known = start >= before and random.random() >= CONTEXT_DROPPED
    stack = features_at(film, index)
    if start < before or (not known and random.random() < CONTEXT_SILENT):
        stack[: 2 * before] = 0
    seen = motion[int(random.integers(len(motion))), EXPRESSION:]
    return {
        "stack": stack.transpose(0, 1), "clean": motion[before:], "context": motion[:before], "known": known,
        "reference": seen, "label": label,
        "exemplar": exemplar_of(motion[before:, :EXPRESSION], config.exemplar_frames),
        "exemplar_given": shown, "command": np.concatenate([motion[before:, EXPRESSION:], lids[:, None]], 1),
        "mask": mask,
        "hear": random.random() >= NO_SPEECH, "feel": random.random() >= NO_EMOTION,
    }  # fmt: skip


def exemplar_of(expression: np.ndarray, frames: int) -> np.ndarray:
    """Mean expression around every frame."""
    return exemplar_means(torch.from_numpy(expression), frames).numpy()


FACES = tuple(part.numpy() for part in emotion_faces())


def draw_batch(films: Clips, config: TakinConfig, random: np.random.Generator) -> Batch:
    """A batch of about TOKENS frames, all windows of one length."""
    length = int(random.choice(list(LENGTHS), p=list(LENGTHS.values())))
    size = max(1, TOKENS // (length + config.previous))
    return stacked_batch([one_window(films, length, config, random) for _ in range(size)])


def feature_statistics(
    films: Clips, random: np.random.Generator, windows: int = 200
) -> tuple[Tensor, Tensor]:
    """Mean and deviation [L,1,D] of what the encoder says over seconds of films, drawn at random."""
    heard = []
    for _ in range(windows):
        film = films[int(random.integers(len(films)))]
        start = int(random.integers(max(1, film.frames - FPS)))
        heard.append(film.rows("features", start, min(start + FPS, film.frames), EACH).double())
    rows = torch.cat(heard).transpose(0, 1)
    return rows.mean(1, keepdim=True).float(), rows.std(1, keepdim=True).clamp(min=1e-3).float()


def motion_statistics(
    films: Clips, config: TakinConfig, random: np.random.Generator, batches: int = 60
) -> tuple[Tensor, Tensor]:
    """Mean and deviation [70] of the motion that is drawn; deviations are floored, so that what never moves
    is not magnified."""
    motion = torch.cat(
        [draw_batch(films, config, random).clean.flatten(0, 1) for _ in range(batches)]
    ).double()
    floor = torch.full((MOTION,), 1e-3)
    floor[ANGLES] = 0.1
    mean, deviation = motion.mean(0).float(), motion.std(0).float()
    mean[TRANSLATION.stop - 1], mean[SCALE] = 0.0, 1.0
    return mean, torch.maximum(deviation, floor)
