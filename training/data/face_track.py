"""Where a film's face is, frame by frame, and which stretches of it are good to learn from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ...models.face.landmarks import LEAST_PRESENCE
from ...models.face.weights import load_face_detector
from ...models.liveportrait.source import EYES_478

SHORTEST, LONGEST = 50, 750  # frames of a stretch: 2 s, and 30 s as in the paper (section 4.1)
CUT = 0.5  # heights of the face by which it moves from one frame to the next at a cut
LEAST_SCORE = 0.5
BATCH = 8


@dataclass
class Track:
    """points: [478,2] in pixels of each frame, or None; lost and crowded: how many frames had no face, or several."""

    points: list[np.ndarray | None] = field(default_factory=list)
    lost: int = 0
    crowded: int = 0

    def add(self, faces: list[dict]) -> None:
        """The faces of the next frame."""
        self.lost += not faces
        self.crowded += len(faces) > 1
        sure = len(faces) == 1 and faces[0]["presence"] >= LEAST_PRESENCE
        self.points.append(np.asarray(faces[0]["landmarks_xy"][:478], np.float32) if sure else None)


@torch.no_grad()
def track(frames: Iterable[np.ndarray]) -> Track:
    """The one face of every frame; frames with none, or with several, have none."""
    detector, found, batch = load_face_detector(), Track(), []

    def look() -> None:
        for faces in detector.detect_batch(batch, 2, LEAST_SCORE, "full"):
            found.add(faces)
        batch.clear()

    for frame in frames:
        batch.append(frame)
        if len(batch) == BATCH:
            look()
    if batch:
        look()
    return found


def moved(before: np.ndarray, after: np.ndarray) -> float:
    """How far a face went from one frame to the next, in its heights."""
    return float(np.linalg.norm(after.mean(0) - before.mean(0)) / (np.ptp(before[:, 1]) + 1e-6))


def stretches(points: Sequence[np.ndarray | None], good: np.ndarray | None = None) -> list[tuple[int, int]]:
    """First and last-but-one frames of runs with one face and no cut; too short ones are left out, long ones
    are parted.

    `good` [N] bool: further frames to leave out where it is false.
    """
    runs, first, before = [], None, None
    for number in range(len(points) + 1):
        here = points[number] if number < len(points) and (good is None or good[number]) else None
        cut = here is not None and before is not None and first is not None and moved(before, here) > CUT
        if first is not None and (here is None or cut):
            runs.append((first, number))
            first = None
        if here is not None and first is None:
            first = number
        before = here
    return [part for start, stop in runs for part in parted(start, stop) if part[1] - part[0] >= SHORTEST]


def parted(start: int, stop: int) -> list[tuple[int, int]]:
    """Equal parts of at most LONGEST frames."""
    count = -(-(stop - start) // LONGEST)
    edges = np.linspace(start, stop, count + 1).round().astype(int).tolist()
    return list(zip(edges[:-1], edges[1:], strict=True))


def lid_closure(points: list[np.ndarray]) -> np.ndarray:
    """[N] 0 (as open as this face is most of the time) to 1 (shut), the mean of both eyes."""
    tracks = []
    for upper, lower, inner, outer in EYES_478:
        gaps = [
            np.linalg.norm(p[upper] - p[lower]) / (np.linalg.norm(p[inner] - p[outer]) + 1e-6) for p in points
        ]
        tracks.append(1 - np.array(gaps) / max(float(np.percentile(gaps, 75)), 1e-6))
    return np.mean(tracks, 0).clip(0, 1).astype(np.float32)
