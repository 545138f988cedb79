"""How strongly a face moves over a film (FantasyTalking, section 3.4): variance of its landmarks, head aside."""

from collections.abc import Sequence

import numpy as np

# MediaPipe's points that expression does not move: corners of the eyes, bridge of the nose.
RIGID = (33, 133, 362, 263, 168, 6)
EYES = ((33, 133), (362, 263))
LEAST_PIXELS = 1.0  # between eyes, or shoulders: less is no measure


def face_intensity(frames: Sequence[np.ndarray | None]) -> float:
    """Landmarks [478,2] of every frame, None without a face -> mean over points of their variance over time.

    Frames are aligned by the points that expression does not move, and measured in distances between the
    eyes, so neither the face's place, roll nor size counts; turning and nodding do a little (about 1 % of
    that distance in natural speech). ValueError with fewer than two faces.
    """
    found = [np.asarray(points[:, :2], np.float64) for points in frames if points is not None]
    if len(found) < 2:
        raise ValueError(
            f"a face is needed in at least 2 frames; it was found in {len(found)} of {len(frames)} frames."
        )
    if (least := min(map(eye_distance, found))) < LEAST_PIXELS:
        raise ValueError(
            f"the eyes in face_landmarks lie {least:.2f} pixels apart, so nothing can be measured by them."
        )
    target = found[len(found) // 2]
    aligned = np.stack([similarity(points, target) for points in found])
    return float((aligned / eye_distance(target)).var(0).sum(-1).mean())


def eye_distance(points: np.ndarray) -> float:
    """Pixels between the middles of the eyes."""
    left, right = (points[list(pair)].mean(0) for pair in EYES)
    return float(np.linalg.norm(left - right))


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points turned, sized and moved so that the rigid ones fit the target's best (Umeyama 1991)."""
    source, wanted = points[list(RIGID)], target[list(RIGID)]
    a, b = (source - source.mean(0)) @ [1, 1j], (wanted - wanted.mean(0)) @ [1, 1j]
    turn = np.vdot(a, b) / np.vdot(a, a)
    moved = ((points - source.mean(0)) @ [1, 1j]) * turn
    return np.stack([moved.real, moved.imag], -1) + wanted.mean(0)
