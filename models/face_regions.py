"""Which pixels of a face speech moves and which expression moves; and picking one face out of FACE_LANDMARKS.

FACE_LANDMARKS is core's object: {"frames": [[face, ...], ...], "image_size": (H, W), "connection_sets": {...}}, the
faces of a frame in the detector's order (surest first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt
from scipy.spatial import ConvexHull
from torch import Tensor

MISSING_MODES = ("error", "hold", "interpolate")
NUM_LANDMARKS = 478
LEAST_PRESENCE = 2.0  # the mesh's own logit: 24 to 36 from the front, 4 to 6 at 65 degrees, 2 at 70, below 0 at 75
# In order around the face, from the middle of the forehead towards the picture's right.
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
# What speech moves: from under the nose and the folds beside the mouth down to the jaw line and chin.
MOUTH_AREA = (
    2, 97, 326, 98, 327, 206, 426, 216, 436, 207, 427, 214, 434, 135, 364, 136, 365, 150, 379, 149, 378,
    176, 400, 148, 377, 152,
)  # fmt: skip

Face = Mapping[str, Any]
Box = Mapping[str, float]


@dataclass(frozen=True)
class RegionMasks:
    """Masks [N,H,W] float32 0..1 on the CPU with mouth + expression = face, and the frames that held no such face."""

    face: Tensor
    mouth: Tensor
    expression: Tensor
    missed: tuple[int, ...]


def region_masks(
    landmarks: Mapping[str, Any], index: int, box: Any, feather: float, grow: float, missing: str, node: str
) -> RegionMasks:
    """Region masks of one face over all frames.

    index and box choose the face (see `follow_face`); feather is the width in pixels of the soft edge, which lies half
    inside and half outside; grow moves the edge out (negative: in) by pixels; missing is one of MISSING_MODES.
    Raises ValueError in the name of node where no frame has the face, or any lacks it and missing is "error".
    """
    height, width = landmarks["image_size"]
    tracked = follow_face(landmarks, index, box, node)
    missed = tuple(number for number, points in enumerate(tracked) if points is None)
    points = fill_missing(tracked, missing, node)
    shape = (len(points), int(height), int(width))
    face, mouth = torch.zeros(shape), torch.zeros(shape)
    for number, xy in enumerate(points):
        draw_region(face[number], xy[list(FACE_OVAL)], feather, grow)
        draw_region(mouth[number], _hull(xy[list(MOUTH_AREA)]), feather, grow)
    mouth = torch.minimum(mouth, face)
    return RegionMasks(face, mouth, face - mouth, missed)


def draw_region(mask: Tensor, polygon: np.ndarray, feather: float, grow: float) -> None:
    """Write a filled polygon [P,2] (pixels) with a soft edge into mask [H,W]; only its surroundings are computed."""
    height, width = mask.shape
    margin = int(np.ceil(feather / 2 + abs(grow))) + 2
    low = np.floor(np.clip(polygon.min(0) - margin, -margin, (width + margin, height + margin))).astype(int)
    high = np.ceil(np.clip(polygon.max(0) + margin, -margin, (width + margin, height + margin))).astype(int)
    size = np.maximum(high - low, 1)
    canvas = Image.new("L", (int(size[0]), int(size[1])), 0)
    ImageDraw.Draw(canvas).polygon([(float(x), float(y)) for x, y in polygon - low], fill=1)
    soft = _soften(np.asarray(canvas, dtype=bool), feather, grow)
    left, top = np.maximum(low, 0)
    right, bottom = np.minimum(low + size, (width, height))
    if right > left and bottom > top:
        part = soft[top - low[1] : bottom - low[1], left - low[0] : right - low[0]]
        mask[top:bottom, left:right] = torch.from_numpy(np.ascontiguousarray(part))


def _soften(inside: np.ndarray, feather: float, grow: float) -> np.ndarray:
    """Filled shape [h,w] bool to soft mask float32: a smooth step over feather pixels around the edge moved by grow."""
    if feather <= 0 and grow == 0:
        return inside.astype(np.float32)
    if not inside.any():
        return np.zeros(inside.shape, np.float32)
    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1] - distance_transform_edt(~inside)
    depth = depth + grow - 0.5 * np.sign(depth)  # distances are between pixel centres, the edge lies between two
    if feather <= 0:
        return (depth > 0).astype(np.float32)
    t = np.clip(depth / feather + 0.5, 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def _hull(points: np.ndarray) -> np.ndarray:
    """Corners of the convex hull of [P,2] points, in order; the points themselves where they lie on a line."""
    if np.linalg.matrix_rank(points - points.mean(0), tol=1e-3) < 2:
        return points
    return points[ConvexHull(points).vertices]


def fill_missing(tracked: Sequence[np.ndarray | None], mode: str, node: str) -> list[np.ndarray]:
    """Landmarks [478,2] for every frame: those found, and in the gaps the last one (hold) or a blend (interpolate)."""
    found = [number for number, points in enumerate(tracked) if points is not None]
    if not found:
        raise ValueError(f"{node}: face_landmarks holds no face in any of {len(tracked)} frames. {_ADVICE}")
    if mode not in MISSING_MODES:
        raise ValueError(f"{node}: missing_face is '{mode}'; it must be one of {', '.join(MISSING_MODES)}.")
    missed = [number for number in range(len(tracked)) if number not in set(found)]
    if missed and mode == "error":
        raise ValueError(
            f"{node}: no face in {len(missed)} of {len(tracked)} frames: {frame_numbers(missed)} (the first is 0). "
            f"Set missing_face to hold or interpolate. {_ADVICE}"
        )
    return [_fill_one(tracked, number, found, mode) for number in range(len(tracked))]


def _fill_one(tracked: Sequence[np.ndarray | None], number: int, found: Sequence[int], mode: str) -> np.ndarray:
    before = max((f for f in found if f <= number), default=None)
    after = min((f for f in found if f >= number), default=None)
    if before is None or after is None or before == after or mode == "hold":
        return tracked[after if before is None else before]
    t = (number - before) / (after - before)
    return (1 - t) * tracked[before] + t * tracked[after]


def follow_face(landmarks: Mapping[str, Any], index: int, box: Any, node: str) -> list[np.ndarray | None]:
    """Landmarks [478,2] of one face in every frame, None where it is not there.

    With a box: the face that overlaps it most. Without: in the first frame that has it the face number index, from then
    on the one nearest to where it was, so that faces which swap places in the detector's order are not mixed up.
    """
    frames = landmarks["frames"]
    boxes = boxes_per_frame(box, len(frames), node)
    result: list[np.ndarray | None] = []
    last: Face | None = None
    for faces, frame_box in zip(frames, boxes, strict=True):
        face = _overlapping(faces, frame_box) if frame_box is not None else _nearest(faces, last, index)
        last = face if face is not None else last
        result.append(None if face is None else np.asarray(face["landmarks_xy"], dtype=np.float64))
    if all(points is None for points in result) and any(frames):
        raise ValueError(_not_chosen(max(frames, key=len), index, next((b for b in boxes if b), None), node))
    return result


def _nearest(faces: Sequence[Face], last: Face | None, index: int) -> Face | None:
    """The face closest to where it was, if that is within its own size; else the one with that number."""
    if last is not None and faces:
        x0, y0, x1, y1 = last["bbox_xyxy"]
        centres = [np.reshape(f["bbox_xyxy"], (2, 2)).mean(0) for f in faces]
        gaps = [float(np.hypot(x - (x0 + x1) / 2, y - (y0 + y1) / 2)) for x, y in centres]
        if min(gaps) <= max(x1 - x0, y1 - y0):
            return faces[int(np.argmin(gaps))]
    return faces[index] if index < len(faces) else None


def _overlapping(faces: Sequence[Face], box: Box) -> Face | None:
    """The face whose bounding box shares the largest area with box, None where none touches it."""
    areas = [_shared_area(face["bbox_xyxy"], box) for face in faces]
    return faces[int(np.argmax(areas))] if areas and max(areas) > 0 else None


def _shared_area(corners: Sequence[float], box: Box) -> float:
    width = min(corners[2], box["x"] + box["width"]) - max(corners[0], box["x"])
    height = min(corners[3], box["y"] + box["height"]) - max(corners[1], box["y"])
    return float(max(width, 0) * max(height, 0))


def boxes_per_frame(box: Any, count: int, node: str) -> list[Box | None]:
    """One box {x, y, width, height} per frame (None: no choice) from core's shapes of BOUNDING_BOX.

    Those are one dict, a list of dicts, or one list of dicts per frame, of which the first counts. A single box holds
    for all frames; else there must be one for each.
    """
    if box is None:
        return [None] * count
    boxes = [entry[0] if isinstance(entry, list) and entry else entry or None for entry in _as_list(box)]
    if len(boxes) == 1:
        boxes = boxes * count
    if len(boxes) != count:
        raise ValueError(f"{node}: face_box holds {len(boxes)} boxes for {count} frames; give 1 or {count}.")
    return boxes


def _as_list(box: Any) -> list[Any]:
    return list(box) if isinstance(box, (list, tuple)) else [box]


def select_face(
    face_landmarks: Mapping[str, Any], frame: int = 0, index: int = 0, box: Any = None, node: str = "Prepare Portrait"
) -> np.ndarray:
    """Landmarks [478,3] float32 of one face of one frame: x, y and depth z in pixels of the picture, nearer is smaller.

    index counts in the detector's order (0 = surest); a box, if given, wins over it. Raises ValueError in the name of
    node where the frame holds no such face.
    """
    frames = face_landmarks["frames"]
    if frame >= len(frames):
        raise ValueError(f"{node}: face_landmarks covers {len(frames)} frames, so there is no frame {frame}.")
    faces = frames[frame]
    if not faces:
        raise ValueError(f"{node}: face_landmarks holds no face in frame {frame}. {_ADVICE}")
    chosen_box = boxes_per_frame(box, len(frames), node)[frame]
    face = _overlapping(faces, chosen_box) if chosen_box else (faces[index] if index < len(faces) else None)
    if face is None:
        raise ValueError(_not_chosen(faces, index, chosen_box, node))
    check_seen(face, node)
    return landmarks_in_pixels(face, node)


def check_seen(face: Face, node: str) -> None:
    """ValueError if the mesh hardly sees this face: its points lie beside the eyes and lips. A drawn box is the artist's word."""
    if face.get("presence", LEAST_PRESENCE) < LEAST_PRESENCE and not face.get("from_box"):
        raise ValueError(
            f"{node}: the face in face_landmarks is turned too far aside (more than about 70 degrees) or covered, so eyes and lips "
            "cannot be placed. Take a picture more from the front; Face Landmarks from Box with a low min_presence uses it anyway."
        )


def landmarks_in_pixels(face: Face, node: str) -> np.ndarray:
    """[478,3] float32: landmarks_xy with the depth of landmarks_3d brought to pixels by the scale between the two."""
    xy, canonical = np.asarray(face["landmarks_xy"], np.float64), np.asarray(face["landmarks_3d"], np.float64)
    if xy.shape[0] < NUM_LANDMARKS:
        raise ValueError(f"{node}: face_landmarks has {xy.shape[0]} points per face; {NUM_LANDMARKS} are needed.")
    flat = np.concatenate([canonical[:, :2], np.ones((len(canonical), 1))], axis=1)
    affine = np.linalg.lstsq(flat, xy, rcond=None)[0]
    depth = canonical[:, 2] * np.linalg.norm(affine[0])
    return np.concatenate([xy, depth[:, None]], axis=1)[:NUM_LANDMARKS].astype(np.float32)


def frame_numbers(numbers: Sequence[int]) -> str:
    """Frame numbers for people: 3, 7-9, 12."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


_ADVICE = (
    "Try detector_variant 'both' and a lower min_confidence in Detect Face Landmarks (MediaPipe), or draw a box around "
    "the face and use Face Landmarks from Box."
)


def _not_chosen(faces: Sequence[Face], index: int, box: Box | None, node: str) -> str:
    """Why the wanted face is not there, with all that are."""
    places = "; ".join("{}: x {:.0f} to {:.0f}, y {:.0f} to {:.0f}".format(
        number, *(float(face["bbox_xyxy"][corner]) for corner in (0, 2, 1, 3))) for number, face in enumerate(faces)
    )  # fmt: skip
    known = f"Faces found, in pixels: {places}."
    if box:
        corner = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f}x{box['height']:.0f}"
        return f"{node}: no face touches face_box ({corner} pixels). {known}"
    return (
        f"{node}: face_index is {index}, but {len(faces)} face(s) were found, numbered from 0. Raise num_faces in the "
        f"detection node to find more. {known}"
    )
