"""How the face of one film moves: blinks, closures of the lips, smoothness, and how far two films' faces are apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .faces_of_film import EXPRESSIVE, FaceSeen
from .landmark_distance import MOUTH, same_length

Faces = Sequence[FaceSeen | None]
SHUT_LIDS = 0.6  # of the median opening of the eyes
CLOSED_LIPS = 0.03  # eye distances
AROUND = 0.04  # seconds around a p, b or m in which the lips must meet
SPOKEN, PAUSE = 0.5, 6  # probability from which the ear is sure; steps of 10 ms between two of them


def track(faces: Faces, name: str) -> np.ndarray:
    """One number by frame, NaN without the face."""
    return np.array([np.nan if face is None else getattr(face, name) for face in faces])


def poses(faces: Faces) -> np.ndarray:
    """[n,3] pitch, yaw and roll in degrees of the frames that have the face."""
    return np.array([face.pose for face in faces if face is not None]).reshape(-1, 3)


def blinks_per_minute(faces: Faces, fps: float) -> float:
    """How often the lids come below 0.6 of their usual opening. ValueError without a face."""
    lids = track(faces, "lids")
    if not np.isfinite(lids).any():
        raise ValueError("no frame shows a face, so blinks cannot be counted.")
    shut = np.nan_to_num(lids, nan=np.inf) < SHUT_LIDS * np.nanmedian(lids)
    begins = np.flatnonzero(np.diff(np.concatenate([[0], shut.astype(int)])) == 1)
    return 60 * len(begins) * fps / np.isfinite(lids).sum()


def heard_closures(closing: np.ndarray) -> np.ndarray:
    """Probability of p, b or m at 100 Hz -> the seconds at which one is surely spoken."""
    sure = closing >= SPOKEN
    edges = np.flatnonzero(np.diff(np.concatenate([[0], sure.astype(int), [0]])))
    spans = [(a, b) for a, b in edges.reshape(-1, 2)]
    peaks = [a + int(closing[a:b].argmax()) for a, b in spans]
    kept = [peak for place, peak in enumerate(peaks) if not place or peak - peaks[place - 1] > PAUSE]
    return np.array(kept) / 100


@dataclass(frozen=True)
class Closures:
    """spoken: how many p, b, m were heard where a face is seen; closed: at how many of them the lips meet."""

    spoken: int
    closed: int

    @property
    def share(self) -> float:
        """0 to 1; NaN where none was heard."""
        return self.closed / self.spoken if self.spoken else float("nan")


def closures(faces: Faces, fps: float, seconds: np.ndarray) -> Closures:
    """Do the lips meet at these times?"""
    mouth, spoken, closed = track(faces, "mouth"), 0, 0
    for second in seconds:
        first, last = int((second - AROUND) * fps), int((second + AROUND) * fps)
        near = mouth[max(first, 0) : last + 1]
        if np.isfinite(near).any():
            spoken, closed = spoken + 1, closed + int(np.nanmin(near) < CLOSED_LIPS)
    return Closures(spoken, closed)


def jerk(values: Sequence[np.ndarray | None], fps: float) -> float:
    """Points or angles [...] by frame -> root mean square of the third derivative, in their unit by s^3; NaN where no
    four frames in a row have the face. It grows with the frame rate and with a detector's tremble."""
    runs, current = [], []
    for value in [*values, None]:
        if value is not None:
            current.append(np.asarray(value, np.float64))
            continue
        if len(current) > 3:
            runs.append(np.square(np.diff(np.stack(current), 3, axis=0)).reshape(-1))
        current = []
    return float(np.sqrt(np.concatenate(runs).mean()) * fps**3) if runs else float("nan")


def lips(faces: Faces) -> list[np.ndarray | None]:
    """The mouth's points in the head's own frame, in eye distances."""
    return [None if face is None else face.calm[: len(MOUTH)] for face in faces]


def angles(faces: Faces) -> list[np.ndarray | None]:
    """Pitch, yaw and roll in degrees."""
    return [None if face is None else face.pose for face in faces]


@dataclass(frozen=True)
class FaceDistance:
    """Means over frames that have both faces. pose: degrees of an angle. expression: eye distances of a point of
    lips, lids and brows in the head's own frame. jaw: correlation of both mouths' opening."""

    pose: float
    expression: float
    mouths: float


def face_distance(first: Faces, second: Faces) -> FaceDistance:
    """How far the faces of two films are apart, 0 for the same. ValueError where no frame has both."""
    pairs = [
        (a, b) for a, b in zip(*same_length(first, second), strict=True) if a is not None and b is not None
    ]
    if not pairs:
        raise ValueError("no frame shows a face in both films, so they cannot be compared.")
    turns = np.array([a.pose - b.pose for a, b in pairs])
    calm = np.array([a.calm - b.calm for a, b in pairs])
    mouths = np.array([(a.mouth, b.mouth) for a, b in pairs])
    moving = len(pairs) > 2 and bool((mouths.std(0) > 1e-6).all())
    return FaceDistance(
        float(np.abs((turns + 180) % 360 - 180).mean()),
        float(np.linalg.norm(calm.reshape(len(pairs), len(EXPRESSIVE), 3), axis=-1).mean()),
        float(np.corrcoef(mouths.T)[0, 1]) if moving else float("nan"),
    )
