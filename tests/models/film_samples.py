"""Films for tests: pictures in memory, and a detector that says what it was told."""

import ctypes
import gc
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image
from talking_portrait.models.face.landmarks import landmarks_in_pixels
from talking_portrait.models.face.weights import load_face_detector
from talking_portrait.models.media.film_reader import PictureFilm

ROOT = Path(__file__).resolve().parent.parent.parent
SIDE = 160


@cache
def portrait() -> tuple[np.ndarray, np.ndarray]:
    """The shipped portrait [160,160,3] in bytes, around its face, and its landmarks [478,3]."""
    whole = Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    picture = np.array(whole.crop((90, 0, 390, 300)).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    with torch.inference_mode():
        (face,) = load_face_detector().detect_batch([picture], 1, 0.3, "short")[0]
    return picture, landmarks_in_pixels(face)


def closed(points: np.ndarray) -> np.ndarray:
    """A face whose lips touch."""
    shut = points.copy()
    shut[14] = shut[13]
    return shut


def opened(points: np.ndarray, amount: float) -> np.ndarray:
    """A face [478,3] whose lower lip and chin are down by `amount` eye distances."""
    moved = closed(points)
    eyes = np.linalg.norm(points[33] - points[263])
    for row in (14, 17, 84, 314, 87, 317, 178, 402, 152, 148, 377, 175, 199, 200):
        moved[row, 1] += amount * eyes
    return moved


def face_dict(points: np.ndarray, presence: float = 25.0) -> dict:
    """A detector's answer whose points in pixels are these."""
    return {
        "bbox_xyxy": np.concatenate([points[:, :2].min(0), points[:, :2].max(0)]).astype(np.float32),
        "landmarks_xy": points[:, :2].astype(np.float32),
        "landmarks_3d": points.astype(np.float32),
        "presence": presence,
        "score": 0.9,
    }


def held_memory() -> int:
    """Bytes of this process, without what it gave back and its allocator keeps for later (where that is glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
    return psutil.Process().memory_info().rss


class Told:
    """A detector that gives these faces, frame after frame."""

    def __init__(self, frames: list[list[dict]]):
        self.frames, self.at = frames, 0

    def detect_batch(self, images, num_faces, score_thresh, variant):
        if variant != "short":
            return [[] for _ in images]
        self.at += len(images)
        return self.frames[self.at - len(images) : self.at]


def film(count: int, change: int = 0, fps: Fraction = Fraction(25)) -> PictureFilm:
    """`count` frames of the portrait, from frame `change` on (0: never) in other light."""
    picture = torch.from_numpy(portrait()[0]).float() / 255
    frames = picture.expand(count, *picture.shape).clone()
    if change:
        frames[change:] = 1 - frames[change:]
    return PictureFilm(frames, fps)


def talking(count: int, shift: tuple[float, float] = (0, 0)) -> list[np.ndarray]:
    """Faces of somebody who opens and closes the mouth, a third of the time closed."""
    base = portrait()[1] + np.array([*shift, 0.0])
    return [opened(base, 0.12 * max(0.0, np.sin(0.7 * number))) for number in range(count)]


def told(*people: list[np.ndarray | None]) -> Told:
    """A detector that sees these people, None where one is not seen."""
    return Told(
        [[face_dict(points) for points in faces if points is not None] for faces in zip(*people, strict=True)]
    )
