"""The one form in which films are prepared for all trainings, and the one class that reads it.

A file of prepared films (safetensors) holds tracks of rows in time, `frames` [stretches] (how many frames each
stretch without a break has), and a header that says who made it and from what. A track has one or more rows for
every frame. Rows are read as they are asked for, so a corpus may be larger than the memory.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

FPS = 25


@dataclass(frozen=True)
class Clip:
    """A stretch of film without a break: `frames` rows of its tracks from `first` on, from a file or from memory."""

    name: str
    frames: int
    header: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    first: int = 0
    tracks: Mapping[str, Tensor] = field(default_factory=dict)

    def rows(self, name: str, start: int = 0, stop: int | None = None, each: int = 1) -> Tensor:
        """Rows of frames start..stop of a track that has `each` for every frame."""
        stop = self.frames if stop is None else stop
        place = slice(each * (self.first + start), each * (self.first + stop))
        if name in self.tracks:
            return self.tracks[name][place]
        if self.path is None:
            raise KeyError(name)
        with safe_open(str(self.path), "pt") as file:
            return file.get_slice(name)[place]


class Clips(Sequence[Clip]):
    """All stretches of prepared films."""

    def __init__(self, clips: Sequence[Clip], command: str = ""):
        self.clips, self.command = list(clips), command

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index):
        return self.clips[index]

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @property
    def minutes(self) -> float:
        """How long they are together."""
        return sum(clip.frames for clip in self) / FPS / 60

    @property
    def encoder(self) -> str:
        """What heard them all."""
        return self[0].header["encoder"]

    def made(self) -> dict[str, str]:
        """File -> the command that made it."""
        return {clip.path.name: clip.header.get("command", "") for clip in self if clip.path is not None}

    def digest(self) -> str:
        """A short name of which stretches these are; a run goes on with the same ones only."""
        told = [f"{clip.name} {clip.first} {clip.frames}" for clip in self]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]

    def batch(self, size: int, step: int, seed: int) -> list[Clip]:
        """The clips of a step: every epoch all of them in a new order, the last partial batch left out.

        A function of the step alone, so that a run that goes on needs to know no more.
        """
        batches = len(self) // size
        if batches == 0:
            raise ValueError(
                f"a batch of {size} clips is more than the {len(self)} that there are; lower --batch"
            )
        epoch, place = divmod(step, batches)
        order = np.random.default_rng([seed, epoch]).permutation(len(self))
        return [self[int(number)] for number in order[place * size : (place + 1) * size]]


def read_clips(
    place: Path | Sequence[Path], maker: str, needs: Sequence[str] = (), whole: Sequence[str] = ()
) -> Clips:
    """The films of a folder, or of some files; ValueError if there are none, one is damaged or not of `maker`,
    or different encoders heard them.

    needs: tracks without which a file is refused; whole: tracks that are read at once and kept in memory.
    """
    paths = sorted(place.glob("*.safetensors")) if isinstance(place, Path) else list(place)
    if not paths:
        raise ValueError(f"{place} has no prepared films; {maker} makes them")
    clips: list[Clip] = []
    for path in paths:
        try:
            clips += clips_in(path, needs, whole)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} cannot be read ({error}): delete it and prepare its film again"
            ) from None
    if len(encoders := sorted({clip.header["encoder"] for clip in clips})) > 1:
        told = ", ".join(encoders)
        raise ValueError(f"the prepared films are of different speech encoders: {told}; prepare them again")
    return Clips(clips)


def clips_in(path: Path, needs: Sequence[str], whole: Sequence[str]) -> list[Clip]:
    """The stretches of one file; its errors are told by `read_clips`."""
    with safe_open(str(path), "pt") as file:
        header = file.metadata() or {}
        if "encoder" not in header:
            raise ValueError("its header names no encoder")
        if missing := [name for name in (*needs, "frames") if name not in file.keys()]:
            raise ValueError(f"it has no {', '.join(missing)}")
        frames = [int(n) for n in file.get_tensor("frames")]
        for name in needs:
            if (rows := file.get_slice(name).get_shape()[0]) % sum(frames):
                raise ValueError(f"{name} has {rows} rows for {sum(frames)} frames")
        tracks = {name: file.get_tensor(name) for name in whole}
    starts = np.cumsum([0, *frames[:-1]]).tolist()
    return [
        Clip(f"{path.name}:{number}", count, header, path, start, tracks)
        for number, (start, count) in enumerate(zip(starts, frames, strict=True))
    ]


def stacked(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Samples of a batch, one tensor of each field."""
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
