"""What an actor's landmarks say as FACE_MOTION: distances on the face against the actor's own calm face, and the pose.

Distances are taken in space, in distances of the eyes' outer corners, so that a turned head changes them little.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter
from torch import Tensor

from ..face.head_pose import poses_of
from ..face.landmarks import landmarks_in_pixels
from ..face_motion import CONTROLS, FaceMotion
from .warp.head import face_size
from .warp.mouth import DROP

CALMEST, CHOSEN = "calmest frames", "frame number"
NEUTRALS = (CALMEST, CHOSEN)
CLOSED, OPEN_LIDS = 0.05, 0.8  # quantiles over the frames: of the lips' opening, and of the lids'
CALM = 0.2  # of the frames, the least open ones, whose width and pose are the calm face's
PRESSED = 0.012  # eye distances above the closed mouth within which lips press
MOVING = (0.012, 0.05)  # range of the opening, below which nobody speaks and nothing presses
RISE = 0.05  # mouth widths that the warp lifts the upper lip by at jawOpen 1
SHUT_LID = 0.08  # opening of a shut eye, of its width
WIDTH_BY_JAW, PUCKER, STRETCH = 0.15, 0.23, 0.09  # how jaw, rounding and spreading change the mouth's width
ORDER = 2  # of Savitzky and Golay's filter
# at mouthSmile 1: mouth widths that the corners rise, and the share by which the mouth grows (medians of 15 faces)
SMILE_RISE, SMILE_WIDTH = 0.09, 0.076
# mouth widths that corners come down without a frown, by jaw squared and by rounding
FALL_BY_JAW, FALL_BY_PUCKER = 0.1, 0.1
NARROW_SMILE = 0.03  # of the calm width, that a smile's mouth may be narrower by for all that is measured
SMILE_RANGE, SMILE_SECONDS = (-0.3, 1.0), 0.1
GAZE_SHARE = 0.06  # of the eye's width, that the iris is seen to move at gazeX 1: 0.055 to 0.068 on six faces
BROW = 0.055  # eye distances that a brow rises at browInnerUp 1
LIDS = {"eyeBlinkRight": (159, 145, 33, 133), "eyeBlinkLeft": (386, 374, 362, 263)}


@dataclass(frozen=True)
class Measures:
    """Of n faces. opening, width [n]: of the mouth. lids: opening over width of each eye. gaze [n]: where along the
    eyes the irises are. brow [n]: how high. points [n,478,3]: in pixels."""

    opening: np.ndarray
    width: np.ndarray
    lids: dict[str, np.ndarray]
    gaze: np.ndarray
    brow: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Amounts:
    """Factors on lips, eyes with brows, and head; limit: degrees that the head turns at most (0: any); smoothing:
    frames."""

    mouth: float = 1.0
    eyes: float = 1.0
    head: float = 1.0
    limit: float = 0.0
    smoothing: int = 5


def measures_of(faces: Sequence[Mapping[str, Any]]) -> Measures:
    """What is measured of core's face dicts."""
    space = np.stack([np.asarray(face["landmarks_3d"], np.float64) for face in faces])
    flat = np.stack([np.asarray(face["landmarks_xy"], np.float64) for face in faces])
    eyes = np.maximum(gap(space, 33, 263), 1e-6)
    brows = (
        np.linalg.norm(space[:, brow] - space[:, [a, b]].mean(1), axis=-1)
        for brow, a, b in ((105, 33, 133), (334, 263, 362))
    )
    lids = {
        name: gap(flat, up, low) / np.maximum(gap(flat, a, b), 1e-6) for name, (up, low, a, b) in LIDS.items()
    }
    return Measures(
        gap(space, 13, 14) / eyes, gap(space, 61, 291) / eyes, lids, along_eyes(flat), sum(brows) / 2 / eyes,
        np.stack([landmarks_in_pixels(face) for face in faces]).astype(np.float64),
    )  # fmt: skip


def gap(points: np.ndarray, first: int, second: int) -> np.ndarray:
    """Distance of two points of faces [n,478,2 or 3]."""
    return np.linalg.norm(points[:, first] - points[:, second], axis=-1)


def along_eyes(flat: np.ndarray) -> np.ndarray:
    """[n] where both irises are between their eyes' corners, 0 at the picture's left to 1 at its right."""
    places = []
    for iris, left, right in ((468, 33, 133), (473, 362, 263)):
        line = flat[:, right] - flat[:, left]
        places.append(
            ((flat[:, iris] - flat[:, left]) * line).sum(-1) / np.maximum(np.square(line).sum(-1), 1e-6)
        )
    return np.mean(places, 0)


def landmark_motion(
    faces: Sequence[Mapping[str, Any] | None], fps: Fraction, neutral: str = CALMEST, neutral_frame: int = 0,
    amounts: Amounts = Amounts(),
) -> FaceMotion:  # fmt: skip
    """Changes from an actor's neutral face for every frame; None is a frame without the face, which is bridged and not
    valid. neutral: of NEUTRALS.

    ValueError where no frame has the face, or the chosen neutral frame has not.
    """
    known = np.array([number for number, face in enumerate(faces) if face is not None])
    if not len(known):
        raise ValueError("face_landmarks holds no face in any frame. Choose another video.")
    found = measures_of([face for face in faces if face is not None])
    calm = calm_frames(found) if neutral == CALMEST else chosen_frame(known, neutral_frame, len(faces))
    controls = controls_of(found, calm, neutral == CHOSEN, amounts, float(fps))
    pose = pose_of(found.points, calm, amounts)
    count = len(faces)
    valid = torch.zeros(count, dtype=torch.bool)
    valid[torch.from_numpy(known)] = True
    return FaceMotion.from_controls(
        bridged(controls, known, count), bridged(pose, known, count), torch.zeros(count, 3), torch.ones(count), fps,
        source={"producer": "landmarks", "licence": "Apache-2.0"}, valid=valid,
    )  # fmt: skip


def calm_frames(found: Measures) -> np.ndarray:
    """Numbers of the frames with closed lips of usual width, the calmest first."""
    closed = np.argsort(found.opening, kind="stable")[: max(1, round(CALM * len(found.opening)))]
    unusual = np.abs(found.width[closed] - np.median(found.width))
    return closed[np.argsort(unusual, kind="stable")][: max(1, len(closed) // 2)]


def chosen_frame(known: np.ndarray, frame: int, count: int) -> np.ndarray:
    """The chosen neutral frame, among those with a face; ValueError if it has none."""
    if frame >= count:
        raise ValueError(f"neutral_frame is {frame}, but there are {count} frames, counted from 0.")
    if frame not in known:
        raise ValueError(f"neutral_frame is {frame}, which has no face. Choose another frame.")
    return np.flatnonzero(known == frame)


def controls_of(found: Measures, calm: np.ndarray, chosen: bool, amounts: Amounts, fps: float) -> np.ndarray:
    """[n,12] controls as changes from the calm frames."""
    values = dict.fromkeys(CONTROLS, np.zeros(len(found.opening)))
    closed = found.opening[calm].mean() if chosen else np.quantile(found.opening, CLOSED)
    width = max(float(np.median(found.width[calm])), 1e-3)
    jaw = (smooth(found.opening, amounts.smoothing) - closed) / (jaw_travel(found.points[calm[0]]) * width)
    jaw = np.clip(amounts.mouth * jaw, 0, 1.2)
    change = smooth(found.width, amounts.smoothing) / width + WIDTH_BY_JAW * np.clip(jaw, 0, 1) - 1
    change = amounts.mouth * change
    smile = smile_of(found.points, calm, jaw, change, amounts, fps)
    change = change - SMILE_WIDTH * smile
    pucker = np.clip(-change / PUCKER, 0, 1)
    values["jawOpen"], values["mouthPucker"], values["mouthSmile"] = jaw, pucker, smile
    values["mouthStretch"] = np.clip(change / STRETCH * (1 - 0.4 * pucker), 0, 1.2)
    values["mouthClose"] = min(amounts.mouth, 1) * pressed(found.opening, closed)
    for name, lid in found.lids.items():
        wide = lid[calm].mean() if chosen else np.quantile(lid, OPEN_LIDS)
        values[name] = np.clip(amounts.eyes * (0.92 * wide - lid) / max(0.92 * wide - SHUT_LID, 0.02), 0, 1)
    for name, track, unit in (("gazeX", found.gaze, GAZE_SHARE), ("browInnerUp", found.brow, BROW)):
        middle = track[calm].mean() if chosen else np.median(track)
        values[name] = np.clip(amounts.eyes * (smooth(track, amounts.smoothing) - middle) / unit, -1, 1)
    return np.stack([values[name] for name in CONTROLS], 1)


def smile_of(
    points: np.ndarray, calm: np.ndarray, jaw: np.ndarray, change: np.ndarray, amounts: Amounts, fps: float
) -> np.ndarray:
    """[n] how far the corners are above those of the calm frames, but for what jaw and rounding take them down; a
    smile is broad, as `change` [n] of the width tells, or lips that pout upwards would smile."""
    shape = points[calm[0]]
    corners = poses_of(shape, points).align(points)[:, [61, 291], 1].mean(1)
    rise = (corners[calm].mean() - corners) / max(float(np.linalg.norm(shape[61] - shape[291])), 1e-3)
    rise = amounts.mouth * rise + FALL_BY_JAW * jaw**2 + FALL_BY_PUCKER * np.clip(-change / PUCKER, 0, 1)
    smile = np.minimum(rise / SMILE_RISE, ((change + NARROW_SMILE) / SMILE_WIDTH).clip(min=0))
    if amounts.smoothing:
        smile = gaussian_filter1d(smile, SMILE_SECONDS * fps, mode="nearest")
    return np.clip(smile, *SMILE_RANGE)


def jaw_travel(points: np.ndarray) -> float:
    """Mouth widths between the lips at jawOpen 1, as the warp would open this face [478,3]."""
    width = max(float(np.linalg.norm(points[61] - points[291])), 1e-3)
    return float(np.clip(DROP * face_size(points)[1] / width, 0.28, 0.55)) + RISE


def pressed(opening: np.ndarray, closed: float) -> np.ndarray:
    """[n] how far lips press that are as close as the closest; nothing in somebody who does not speak."""
    moves = (np.ptp(np.quantile(opening, [CLOSED, 1 - CLOSED])) - MOVING[0]) / (MOVING[1] - MOVING[0])
    return np.clip(moves, 0, 1) * np.clip(0.6 * (closed + PRESSED - opening) / PRESSED, 0, 1)


def smooth(track: np.ndarray, frames: int) -> np.ndarray:
    """A track [n] or [n,k] through Savitzky and Golay's filter over an odd number of frames."""
    window = min(frames - 1 + frames % 2, len(track) - 1 + len(track) % 2)
    return (
        track if window <= ORDER else np.asarray(savgol_filter(track, window, ORDER, axis=0, mode="interp"))
    )


def pose_of(points: np.ndarray, calm: np.ndarray, amounts: Amounts) -> np.ndarray:
    """[n,3] pitch, yaw and roll in degrees from the calm frame whose pose is the most usual."""
    poses = poses_of(points[calm[0]], points)
    away = np.linalg.norm(poses.degrees() - np.median(poses.degrees(), 0), axis=1)
    turned = poses.turned_from(int(calm[np.argmin(away[calm])])).degrees()
    return held(amounts.head * smooth(turned, amounts.smoothing), amounts.limit)


def held(pose: np.ndarray, limit: float) -> np.ndarray:
    """Poses [n,3] turned by no more than a limit of degrees, which they come close to smoothly; 0 for none."""
    if not limit:
        return pose
    size = np.linalg.norm(pose, axis=1, keepdims=True)
    return pose * limit * np.tanh(size / limit) / np.maximum(size, 1e-6)


def bridged(track: np.ndarray, known: np.ndarray, count: int) -> Tensor:
    """[count,k] a track of the known frames, straight between them."""
    columns = [np.interp(np.arange(count), known, column) for column in track.T]
    return torch.from_numpy(np.stack(columns, 1)).float()
