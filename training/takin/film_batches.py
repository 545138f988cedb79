"""Training windows for Takin-ADA from films of people (training/takin/prepare_films.py), read from disk as
they are drawn.

The network learns changes from a person's resting face, as the shipped one does, so that it drives any
portrait: the rest is the median of the person's films that are labelled neutral, or of all their films where
none is. Angles are differences in degrees.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
from ..data.clips import Clip, Clips, read_clips
from .batches import LENGTHS, TRACKS, Batch, features_at, stacked_batch

MAKER = "training/takin/prepare_films.py"
COMMANDED, LIDS_COMMANDED = 0.3, 0.5  # share of windows whose pose, and whose lids, are commanded
CONTEXT_DROPPED, NO_SPEECH, NO_EMOTION = 0.5, 0.1, 0.1
LABEL_ONLY, EXEMPLAR_ONLY = 0.5, 0.2  # of films with a label; the rest is told both
FLOOR = {"expression": 1e-3, "angles": 0.1}  # least deviation, so that what never moves is not magnified


def from_rest(motion: Tensor, rest: Tensor) -> Tensor:
    """[N,70] of a person as changes from their resting face [70]: scale is a ratio, depth stays out."""
    changed = motion - rest
    changed[:, SCALE] = motion[:, SCALE] / rest[SCALE]
    changed[:, TRANSLATION.stop - 1] = 0
    return changed


def read_folder(folder: Path) -> Clips:
    """Prepared films, their motion as changes from the person's rest; ValueError if there is nothing in the folder, a
    file is damaged, or the films were heard by different encoders."""
    clips = read_clips(folder, MAKER, ("features", *TRACKS), TRACKS)
    for clip in clips:
        try:
            label_of(clip.header)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{clip.path} cannot be read ({error}): delete it and prepare its film again"
            ) from None
    rests = {person: resting_face(clips, person) for person in {clip.header["person"] for clip in clips}}
    return Clips([replace(clip, tracks=told_from_rest(clip, rests[clip.header["person"]])) for clip in clips])


def told_from_rest(clip: Clip, rest: Tensor) -> dict[str, Tensor]:
    """The tracks of a clip, its motion from rest."""
    return {**clip.tracks, "motion": from_rest(clip.tracks["motion"], rest)}


def unlabelled(clips: Clips) -> tuple[int, int]:
    """How many films have no emotion, and how many there are."""
    labels = {clip.path: label_of(clip.header).any() for clip in clips}
    return sum(not known for known in labels.values()), len(labels)


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


def resting_face(clips: Clips, person: str) -> Tensor:
    """[70] the median of a person's neutral films, or of all."""
    own = [clip for clip in clips if clip.header["person"] == person]
    neutral = [clip for clip in own if label_of(clip.header)[EMOTIONS.index("neutral")]]
    return torch.cat([clip.rows("motion") for clip in neutral or own]).median(0).values


def one_window(
    folder: Clips, length: int, config: TakinConfig, random: np.random.Generator
) -> dict[str, Any]:
    """One window of a random stretch, the longer ones more often, as the fields of Batch."""
    shares = np.array([clip.frames for clip in folder], float)
    clip = folder[int(random.choice(len(shares), p=shares / shares.sum()))]
    total, before, own = clip.frames, config.previous, label_of(clip.header)
    start = int(random.integers(0, max(1, total - length + 1)))
    index = np.clip(np.arange(start - before, start + length), 0, total - 1)
    motion, labelled, draw = clip.rows("motion").numpy()[index], own.any(), random.random()
    mask = np.zeros((length, COMMANDS), np.float32)
    if random.random() < COMMANDED:
        mask[:, :POSE] = random.random(POSE) < 0.5 if random.random() < 0.5 else True
    mask[:, POSE] = random.random() < LIDS_COMMANDED
    stack = features_at(clip, index)
    if start < before:
        stack[: 2 * before] = 0
    return {
        "stack": stack.transpose(0, 1), "clean": motion[before:], "context": motion[:before],
        "known": start >= before and random.random() >= CONTEXT_DROPPED,
        "reference": motion[int(random.integers(len(motion))), EXPRESSION:],
        "label": own[None] * (draw < LABEL_ONLY or draw >= LABEL_ONLY + EXEMPLAR_ONLY),
        "exemplar": exemplar_means(torch.from_numpy(motion[before:, :EXPRESSION]), config.exemplar_frames),
        "exemplar_given": bool(draw >= LABEL_ONLY or not labelled),
        "command": np.concatenate([motion[before:, EXPRESSION:], clip.rows("lids").numpy()[index[before:], None]],
        1), "mask": mask,
        "hear": random.random() >= NO_SPEECH, "feel": random.random() >= NO_EMOTION,
    }  # fmt: skip


def draw_film_batch(folder: Clips, config: TakinConfig, frames: int, random: np.random.Generator) -> Batch:
    """A batch of about `frames` frames, all windows of one length."""
    length = int(random.choice(list(LENGTHS), p=list(LENGTHS.values())))
    size = max(1, frames // (length + config.previous))
    return stacked_batch([one_window(folder, length, config, random) for _ in range(size)])


def film_statistics(folder: Clips) -> tuple[Tensor, Tensor]:
    """Mean and deviation [70] of the motion of all films."""
    motion = torch.cat([clip.rows("motion") for clip in folder]).double()
    floor = torch.full((MOTION,), FLOOR["expression"])
    floor[ANGLES] = FLOOR["angles"]
    mean = motion.mean(0).float()
    mean[TRANSLATION.stop - 1], mean[SCALE] = 0.0, 1.0
    return mean, torch.maximum(motion.std(0).float(), floor)
