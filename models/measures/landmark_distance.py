"""LMD: how far the landmarks of a film lie from those of its reference (the evaluation of EAT, which EDTalk-type papers
follow), and how smoothly and strongly they move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Frame = TypeVar("Frame")
Points = Sequence[np.ndarray | None]  # [K,2] of every frame, None without a face

# MediaPipe's points that stand for dlib's 20 of the mouth, 48 to 67
MOUTH = (61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87)
EYES = (33, 263)  # the outer corners, whose distance makes figures of different films comparable


@dataclass(frozen=True)
class LandmarkDistance:
    """distance: mean over points and frames, without the mean of each frame's points. velocity: of their steps.
    frames: how many had both faces."""

    distance: float
    velocity: float
    frames: int


def same_length(first: Sequence[Frame], second: Sequence[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Both films with as many frames as the shorter has, taken evenly."""
    count = min(len(first), len(second))
    chosen = [np.linspace(0, len(film), count, endpoint=False).astype(int) for film in (first, second)]
    return [first[k] for k in chosen[0]], [second[k] for k in chosen[1]]


def landmark_distance(first: Points, second: Points) -> LandmarkDistance:
    """Landmarks [K,2] of a film and of its reference, in one unit -> their distance; 0 is equal, without an upper end.

    Frames without both faces are left out. The velocity is of the points as they are, divided by all frames that count
    though the first has none, as published. ValueError where no frame has both.
    """
    pairs = [
        (a, b) for a, b in zip(*same_length(first, second), strict=True) if a is not None and b is not None
    ]
    if not pairs:
        raise ValueError("no frame shows a face in both films, so landmarks cannot be compared.")
    a, b = (np.stack(side).astype(np.float64) for side in zip(*pairs, strict=True))
    calm = (a - a.mean(1, keepdims=True)) - (b - b.mean(1, keepdims=True))
    steps = np.diff(a, axis=0) - np.diff(b, axis=0)
    return LandmarkDistance(
        float(np.linalg.norm(calm, axis=-1).mean()),
        float(np.linalg.norm(steps, axis=-1).mean(1).sum() / len(pairs)),
        len(pairs),
    )


def published_face_velocity(mouth: LandmarkDistance, mouth_points: int, face_points: int) -> float:
    """What EAT's script prints as the face's velocity: the mouth's steps, shared out over all points of the face."""
    return mouth.velocity * mouth_points / face_points


def part(film: Points, chosen: Sequence[int]) -> list[np.ndarray | None]:
    """Some points of every frame."""
    return [None if points is None else points[list(chosen)] for points in film]
