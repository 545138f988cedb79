"""The same motion at other times: cut, resampled, at another frame rate."""

import math
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from .container import TRACKS, FaceMotion
from .rest import pinned
from .rotation import slerp


def slice_motion(motion: FaceMotion, start: int, stop: int) -> FaceMotion:
    """Frames start to stop - 1."""
    return replace(pinned(motion), **{name: getattr(motion, name)[start:stop] for name in TRACKS})


def joined(parts: list[FaceMotion]) -> FaceMotion:
    """Pieces of one motion, end to end, as engines that stream give them."""
    blinks = [time for part in parts for time in part.source.get("blinks", ())]
    told = {"blinks": blinks} if "blinks" in parts[0].source else {}
    return replace(
        parts[0], **{name: torch.cat([getattr(part, name) for part in parts]) for name in TRACKS},
        source={**parts[0].source, **told},
    )  # fmt: skip


def sample_motion(motion: FaceMotion, positions: Tensor) -> FaceMotion:
    """Frames at fractional positions [M], clamped to the ends; poses by the shortest turn. ValueError if empty."""
    if len(motion) == 0:
        raise ValueError(
            "face motion: it has 0 frames, so it cannot be brought to another length or frame rate."
        )
    place = positions.double().clamp(0, len(motion) - 1)
    low = place.floor().long()
    high = (low + 1).clamp(max=len(motion) - 1)
    part = (place - low).float()

    def lerp(track: Tensor) -> Tensor:
        return torch.lerp(track[low], track[high], part.reshape(-1, *[1] * (track.ndim - 1)))

    return replace(
        pinned(motion), expression=lerp(motion.expression),
            pose=slerp(motion.pose[low], motion.pose[high], part),
        translation=lerp(motion.translation), scale=lerp(motion.scale), controls=lerp(motion.controls),
        valid=motion.valid[low] & motion.valid[high],
    )  # fmt: skip


def retime(motion: FaceMotion, fps: Fraction, frames: int | None = None) -> FaceMotion:
    """The same motion and speed at another frame rate; `frames` of it (the last one is held), or all of it."""
    count = (
        frames if frames is not None else max(1, math.floor(len(motion) * fps / motion.fps + Fraction(1, 2)))
    )
    # Frame i is the middle of its time, so frame times are (i + 1/2) / fps on both sides.
    positions = (torch.arange(count, dtype=torch.float64) + 0.5) * float(motion.fps / fps) - 0.5
    return replace(sample_motion(motion, positions), fps=fps)
