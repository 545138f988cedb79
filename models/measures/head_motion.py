"""How much and when a head moves: KDTalker's diversity and beat alignment, as published and in degrees."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .hopenet import ANGLES

FRAME_LIMIT = 200  # of a film, in KDTalker's script
SMOOTHED = 5.0  # frames of the Gaussian over the speed
SIGMA = 0.1  # seconds by which a beat may miss
# MediaPipe's points whose speed is measured: 70 of them, four of them twice, as published
HEAD_POINTS = (
    10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 152, 377, 400, 378, 379, 365, 397,
    288, 361, 323, 454, 356, 389, 251, 284, 389, 253, 450, 447, 376, 433, 432, 287, 285, 295, 282, 276, 283, 278, 295,
    197, 332, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 91, 146, 61, 185, 40, 39, 37, 0, 267, 269,
)  # fmt: skip


def bin_diversity(films: Sequence[np.ndarray]) -> dict[str, float]:
    """Hopenet's raw bins [rows,3,66] of every film -> the diversity that KDTalker publishes, by angle and overall.

    It is the mean over the bins of their standard deviation over time, without a unit: 0 for a still head, and no
    figure of a paper that decodes degrees first can be compared with it. ValueError without a row.
    """
    if not films or any(not len(film) for film in films):
        raise ValueError("a film has no face for Hopenet, so its head's motion cannot be measured.")
    by_angle = np.mean([film.astype(np.float64).std(0).mean(-1) for film in films], 0)
    return dict(zip(ANGLES, map(float, by_angle), strict=True)) | {"overall": float(by_angle.mean())}


def degree_diversity(films: Sequence[np.ndarray]) -> dict[str, float]:
    """Angles [frames,3] in degrees of every film (yaw, pitch, roll) -> standard deviations over time, by angle and
    their mean."""
    if not films or any(not len(film) for film in films):
        raise ValueError("a film has no face, so its head's motion cannot be measured.")
    by_angle = np.mean([film.std(0) for film in films], 0)
    return dict(zip(ANGLES, map(float, by_angle), strict=True)) | {"overall": float(by_angle.mean())}


def smoothed_speed(points: np.ndarray, sigma: float = SMOOTHED) -> np.ndarray:
    """Points [frames,K,3] -> [frames - 1] mean step of a point, smoothed over time."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(-1)
    return gaussian_filter1d(steps, sigma)


def motion_beats(speed: np.ndarray) -> np.ndarray:
    """Where [K] a speed [n] is less than before and after: the moments at which the head turns back."""
    return np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] < speed[2:])) + 1


def beat_alignment(beats: np.ndarray, others: np.ndarray, sigma: float = SIGMA) -> float:
    """Times in seconds -> 0 to 1: how near each of `beats` has one of `others`. KDTalker's and Bailando's score is that
    of the sound's beats with the motion's. ValueError if either has none."""
    if not len(beats) or not len(others):
        what = (
            "the sound has no beats"
            if not len(beats)
            else "the head has no beats: it does not move to and fro"
        )
        raise ValueError(f"{what}, so they cannot be compared.")
    away = np.abs(np.asarray(beats)[:, None] - np.asarray(others)[None]).min(1)
    return float(np.exp(-(away**2) / (2 * sigma**2)).mean())
