"""A film watched once for its measures: of every frame the face in a few numbers, never the picture."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from ..face.following import face_in_every_frame
from ..face.head_pose import poses_of
from ..face.landmarks import landmarks_in_pixels
from ..footage.looks import opening
from ..footage.watching import found_faces, groups
from ..media.pixels import rounded_bytes
from ..progress import Progress
from .head_motion import HEAD_POINTS
from .landmark_distance import EYES, MOUTH
from .sharpness import cpbd
from .ssim import grey

LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))  # upper, lower, and the corners of each eye
BROWS = (46, 53, 52, 65, 55, 276, 283, 282, 295, 285)
EXPRESSIVE = (*MOUTH, 159, 145, 386, 374, *BROWS)  # points by which expressions are compared


@dataclass(frozen=True)
class FaceSeen:
    """One face of one frame. xy [478,2] in pixels; head [70,3] in widths and heights of the frame; mouth: opening in
    eye distances; lids: opening of the eyes, of their width; pose [3]: pitch, yaw, roll in degrees; calm [34,3]: the
    expressive points in the head's own frame, in eye distances."""

    xy: np.ndarray
    head: np.ndarray
    mouth: float
    lids: float
    pose: np.ndarray
    calm: np.ndarray


@dataclass
class FilmSeen:
    """fps; size [H, W]; faces of every frame as core's dicts, each with `seen`; sharpness: CPBD of every
    `sharpness_every`th frame."""

    fps: Fraction
    sharpness_every: int = 5
    size: tuple[int, int] | None = None
    faces: list[list[Mapping[str, Any]]] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.faces)

    def take(self, pictures: Sequence[np.ndarray], detector: Any) -> None:
        """The next frames [H,W,3] in bytes. ValueError where the film changes its size."""
        for picture, found in zip(pictures, found_faces(detector, pictures, 1), strict=True):
            height, width = picture.shape[:2]
            self.size = self.size or (height, width)
            if (height, width) != self.size:
                raise ValueError("video changes its size in the middle; save it again in one size.")
            if self.sharpness_every and len(self.faces) % self.sharpness_every == 0:
                self.sharpness.append(cpbd(grey(picture)))
            self.faces.append([face_seen(face, self.size, detector.canonical_data) for face in found])

    def followed(self, index: int = 0) -> list[FaceSeen | None]:
        """One face in every frame, None where it is not; `index` counts by size in the first frame that has so many.

        ValueError where no frame has it.
        """
        chosen = face_in_every_frame(self.faces, index)
        if all(face is None for face in chosen):
            most = max((len(faces) for faces in self.faces), default=0)
            raise ValueError(
                f"face_index is {index}, but at most {most} faces were found in a frame of video. "
                + ("Choose a smaller number." if most else "Choose a film that shows a face.")
            )
        return [None if face is None else face["seen"] for face in chosen]


def face_seen(
    face: Mapping[str, Any], size: tuple[int, int], canonical: Mapping[str, np.ndarray]
) -> Mapping[str, Any]:
    """What is kept of core's face dict."""
    points = landmarks_in_pixels(face).astype(np.float64)
    usual = np.zeros((len(points), 3))
    vertices = canonical["canonical_vertices"].astype(np.float64) * [1, -1, -1]
    usual[: len(vertices)] = vertices
    poses = poses_of(usual, points[None])
    eyes = np.linalg.norm(usual[EYES[0]] - usual[EYES[1]])
    lids = [
        np.linalg.norm(points[up, :2] - points[low, :2])
        / max(np.linalg.norm(points[a, :2] - points[b, :2]), 1e-3)
        for up, low, a, b in LIDS
    ]
    seen = FaceSeen(
        points[:, :2].astype(np.float32),
        (points[list(HEAD_POINTS)] / [size[1], size[0], size[1]]).astype(np.float32),
        float(opening(points)),
        float(np.mean(lids)),
        poses.degrees()[0],
        (poses.align(points[None])[0, list(EXPRESSIVE)] / eyes).astype(np.float32),
    )
    return {"landmarks_xy": seen.xy, "bbox_xyxy": np.asarray(face["bbox_xyxy"], np.float32), "seen": seen}


def watch(
    frames: Iterable[Tensor],
    fps: Fraction,
    detector: Any,
    progress: Progress,
    expected: int = 0,
    every: int = 5,
) -> FilmSeen:
    """Frames [H,W,3] in 0..1, looked at as they come; `every`: of how many frames one is measured for sharpness."""
    check_detector(detector)
    film = FilmSeen(fps, every)
    for group in groups(frames):
        film.take([rounded_bytes(pixels).numpy() for pixels in group], detector)
        progress(len(film), max(expected, len(film) + 1))
    return film


def check_detector(detector: Any) -> None:
    """ValueError unless it finds faces and knows the usual one."""
    if not hasattr(detector, "detect_batch") or not hasattr(detector, "canonical_data"):
        raise ValueError("face_detection_model cannot look for faces. Connect Load Face Detector (built-in).")
