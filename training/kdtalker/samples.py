"""What KDTalker learns from: statistics of prepared films, and windows of them in the network's numbers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...models.atomic_file import atomic_file
from ...models.kdtalker.motion import ORDER, STATISTICS, MotionStatistics
from ..data.clips import Clip, Clips

SOUND = "speech"  # the track of Wav2Lip's features [N,512]
PARTS = tuple(name for name, _ in ORDER)
TRACKS = (*PARTS, "kp", SOUND)  # of a prepared film, a row for each frame, angles in degrees


def statistics(clips: Clips) -> MotionStatistics:
    """Mean and population deviation of every number over all frames of all clips, in float64; 0 becomes 1."""
    values = {}
    for name in (*PARTS, "kp"):
        rows = torch.cat([clip.rows(name) for clip in clips]).double()
        deviation = rows.std(0, unbiased=False)
        values[f"{name}_mean"] = rows.mean(0).float()
        values[f"{name}_std"] = torch.where(deviation == 0, 1.0, deviation).float()
    return MotionStatistics(values)


def liveliest(found: MotionStatistics, count: int) -> tuple[int, ...] | None:
    """The keypoints whose expression moves most, in their order; None where all of them are wanted."""
    spread = found.values["exp_std"].unflatten(0, (-1, 3)).square().sum(1)
    if count == len(spread):
        return None
    return tuple(sorted(spread.argsort(descending=True, stable=True)[:count].tolist()))


def write_statistics(found: MotionStatistics, path: Path) -> None:
    """norm.npz as published."""
    arrays = {name: found.values[name].numpy() for name in STATISTICS}
    with atomic_file(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType] (names are arrays')


def usable_frames(clip: Clip) -> int:
    """Frames of a clip that have both motion and sound, by the published count."""
    sound = clip.frames if clip.path is not None else len(clip.tracks[SOUND])  # files hold as many of both
    return min(clip.frames - 1, sound - 2)


def last_start(clip: Clip, window: int) -> int:
    """The highest frame that a sample can start from; ValueError for a clip that is too short."""
    if (last := usable_frames(clip) - (window + 1)) < 0:
        raise ValueError(
            f"{clip.name} has {usable_frames(clip)} usable frames, but a window takes {window + 1}; leave it out, "
            f"or lower --window"
        )
    return last


def sample(clip: Clip, found: MotionStatistics, start: int, window: int) -> dict[str, Tensor]:
    """A reference frame and the window behind it, normalised.

    motion [N,M], reference [M], canonical [M-7] of the reference frame, speech [N,512]; M = 7 + 3 numbers a keypoint.
    """
    stop = start + 1 + window
    parts: Mapping[str, Tensor] = {name: clip.rows(name, start, stop).float() for name in PARTS}
    vectors = found.vector(parts)
    canonical = found.canonical(clip.rows("kp", start, start + 1).float())
    return {
        "motion": vectors[1:], "reference": vectors[0], "canonical": canonical[0],
        "speech": clip.rows(SOUND, start + 1, stop).float(),
    }  # fmt: skip


def drawn(
    clips: list[Clip], found: MotionStatistics, window: int, random: np.random.Generator
) -> dict[str, Tensor]:
    """One sample of each clip, from a frame drawn evenly, stacked."""
    samples = [
        sample(clip, found, int(random.integers(last_start(clip, window) + 1)), window) for clip in clips
    ]
    return {name: torch.stack([one[name] for one in samples]) for name in samples[0]}
