"""The first time that a film is read: the faces of every frame, and a tiny picture of it by which cuts are seen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..face.landmarks import landmarks_in_pixels
from ..media.film_reader import Film
from ..media.pixels import rounded_bytes
from ..progress import Progress
from .looks import Look, look_at

Frame = TypeVar("Frame")
AT_ONCE = 8  # frames that the detector is given
SURE = 0.5  # of the detector, as Detect Face Landmarks has it
THUMBNAIL = 32
MOST_FACES = 6  # of a frame: more are a crowd


@dataclass(frozen=True)
class Watched:
    """A film as it was seen once. faces: of every frame, with `points` [478,3] in pixels, `look` and `presence` beside
    core's box and landmarks. thumbnails [T,32,32] bytes, grey. stamps [T]. size: height and width."""

    faces: list[list[Mapping[str, Any]]]
    thumbnails: np.ndarray
    stamps: list[int]
    size: tuple[int, int]


def watch(film: Film, detector: Any, wanted: int, progress: Progress, expected: int = 0) -> Watched:
    """All frames of a film, for which `detector` has core's detect_batch; `wanted`: faces that there must be.

    ValueError where the film has no frames, or frames of different sizes. Of `expected` frames progress is told.
    """
    faces, thumbnails, stamps = [], [], []
    size: tuple[int, int] | None = None
    for frames in groups(film.frames()):
        for frame in frames:
            size = size or (frame.pixels.shape[0], frame.pixels.shape[1])
            if tuple(frame.pixels.shape[:2]) != size:
                raise ValueError("video changes its size in the middle; save it again in one size.")
        pictures = [rounded_bytes(frame.pixels).numpy() for frame in frames]
        for frame, found in zip(frames, found_faces(detector, pictures, wanted), strict=True):
            faces.append([known_face(face, frame.pixels.numpy()) for face in found])
            thumbnails.append(thumbnail(frame.pixels))
            stamps.append(frame.stamp)
        progress(len(stamps), max(expected, len(stamps) + 1))
    if size is None:
        raise ValueError("video has 0 frames, so there is nothing to dub. Choose another file.")
    return Watched(faces, np.stack(thumbnails), stamps, size)


def groups(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Some frames at once."""
    coming = iter(frames)
    while group := list(islice(coming, AT_ONCE)):
        yield group


def found_faces(detector: Any, pictures: Sequence[np.ndarray], wanted: int) -> list[list[Mapping[str, Any]]]:
    """Faces of each picture; one that shows too few to the detector for near faces is given to that for far ones."""
    found = detector.detect_batch(list(pictures), MOST_FACES, SURE, "short")
    few = [number for number, faces in enumerate(found) if len(faces) < wanted]
    if few:
        again = detector.detect_batch([pictures[number] for number in few], MOST_FACES, SURE, "full")
        for number, faces in zip(few, again, strict=True):
            if len(faces) > len(found[number]):
                found[number] = faces
    return found


def known_face(face: Mapping[str, Any], pixels: np.ndarray) -> Mapping[str, Any]:
    """What is kept of a face: points, box, presence and look."""
    points = landmarks_in_pixels(face)
    look: Look = look_at(pixels, points)
    return {
        "landmarks_xy": points[:, :2],
        "bbox_xyxy": np.asarray(face["bbox_xyxy"], np.float32),
        "presence": float(face.get("presence", np.inf)),
        "points": points,
        "look": look,
    }


def thumbnail(pixels: Tensor) -> np.ndarray:
    """[32,32] bytes of a frame [H,W,3]."""
    grey = pixels.mean(-1)[None, None]
    return (torch.nn.functional.adaptive_avg_pool2d(grey, THUMBNAIL)[0, 0] * 255).byte().numpy()
