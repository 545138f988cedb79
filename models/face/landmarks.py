"""Choosing one face of FACE_LANDMARKS, by number or by box, and reading its points.

FACE_LANDMARKS is core's object: {"frames": [[face, ...], ...], "image_size": (H, W), "connection_sets": {...}}, the
faces of a frame in the detector's order. Here they are numbered by size: 0 is the largest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NUM_LANDMARKS = 478
# the mesh's own logit: 24 to 36 from the front, 4 to 6 at 65 degrees, 2 at 70, below 0 at 75
LEAST_PRESENCE = 2.0
UPSIDE_DOWN = 120.0  # degrees of roll; less is a head that lies on its side
OUTER_CORNERS = (33, 263)  # of the eyes, from the picture's left to its right where a face is upright
ADVICE = (
    "Try detector_variant 'both' and a lower min_confidence in Detect Face Landmarks (MediaPipe), turn the picture "
    "upright, leave more around a face that fills it, crop a small one out, or draw a box around the face and use Face "
    "Landmarks from Box."
)

Face = Mapping[str, Any]
Box = Mapping[str, float]


def select_face(face_landmarks: Mapping[str, Any], index: int = 0, box: Any = None) -> np.ndarray:
    """Landmarks [478,3] float32 of one face of one picture: x, y and depth z in pixels of it, nearer is smaller.

    index counts by size (0 = largest); a box chooses instead of it. ValueError where there is no such
    face, where it is not seen well or upside down, and where the landmarks are those of a film.
    """
    frames = face_landmarks["frames"]
    if len(frames) != 1:
        raise ValueError(
            f"face_landmarks covers {len(frames)} frames, but one picture is wanted. Connect the landmarks "
            "of that picture."
        )
    if not frames[0]:
        raise ValueError(f"face_landmarks holds no face. {ADVICE}")
    (chosen_box,) = boxes_per_frame(box, 1)
    face = chosen_face(frames[0], index, chosen_box)
    if face is None:
        raise ValueError(why_not_chosen(frames[0], index, chosen_box))
    check_seen(face)
    points = landmarks_in_pixels(face)
    check_upright([points])
    return points


def chosen_face(faces: Sequence[Face], index: int, box: Box | None) -> Face | None:
    """The face with that number by size, or with a box the one that shares most of it; None where there is none."""
    if box is None:
        return by_size(faces)[index] if index < len(faces) else None
    if index != 0:
        raise ValueError(
            f"face_index is {index}, but face_box chooses the face already. Set face_index to 0, or take face_box out."
        )
    inside = [face for face in faces if lies_in(face["bbox_xyxy"], box)]
    return max(inside, key=lambda face: shared_area(face["bbox_xyxy"], box), default=None)


def by_size(faces: Sequence[Face]) -> list[Face]:
    """The faces of a picture, the largest first."""
    return sorted(faces, key=lambda face: area(face["bbox_xyxy"]), reverse=True)


def area(corners: Sequence[float]) -> float:
    """Pixels in a bounding box (x0, y0, x1, y1)."""
    return float((corners[2] - corners[0]) * (corners[3] - corners[1]))


def others_found(faces: Sequence[Face], points: np.ndarray) -> str:
    """In words, where a picture shows several faces: which of them has these landmarks [478,3]; empty for one face."""
    if len(faces) < 2:
        return ""
    middle = points[:, :2].mean(0)
    boxes = [face["bbox_xyxy"] for face in by_size(faces)]
    away = [np.hypot((b[0] + b[2]) / 2 - middle[0], (b[1] + b[3]) / 2 - middle[1]) for b in boxes]
    number = int(np.argmin(away))
    return f"{len(faces)} faces found: number {number} ({place(boxes[number])}) moves, face_index chooses another"


def lies_in(corners: Sequence[float], box: Box) -> bool:
    """Whether the middle of a face lies in a box, or that of the box in the face: a touch at the edge is no choice."""
    x, y = (corners[0] + corners[2]) / 2, (corners[1] + corners[3]) / 2
    if box["x"] <= x <= box["x"] + box["width"] and box["y"] <= y <= box["y"] + box["height"]:
        return True
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return corners[0] <= x <= corners[2] and corners[1] <= y <= corners[3]


def shared_area(corners: Sequence[float], box: Box) -> float:
    """Pixels that a face's bounding box (x0, y0, x1, y1) and a box have in common."""
    width = min(corners[2], box["x"] + box["width"]) - max(corners[0], box["x"])
    height = min(corners[3], box["y"] + box["height"]) - max(corners[1], box["y"])
    return float(max(width, 0) * max(height, 0))


def box_groups(box: Any, count: int) -> list[list[Box]]:
    """All boxes {x, y, width, height} of each of count frames, from core's shapes of BOUNDING_BOX.

    Those are one dict, a list of dicts (one a frame), or a list of dicts for each frame. What is given for one frame
    holds for all; else ValueError unless there is one entry for each.
    """
    entries = list(box) if isinstance(box, (list, tuple)) else [box]
    groups = [list(entry) if isinstance(entry, (list, tuple)) else [entry] for entry in entries]
    groups = [[single for single in group if single] for group in groups]
    if len(groups) == 1:
        groups = groups * count
    if len(groups) != count:
        raise ValueError(
            f"face_box holds boxes of {len(groups)} frames for {count} frames; give 1 or {count}."
        )
    return groups


def boxes_per_frame(box: Any, count: int) -> list[Box | None]:
    """The one box of each frame, None where there is none; ValueError where a frame has several."""
    if box is None:
        return [None] * count
    groups = box_groups(box, count)
    for number, group in enumerate(groups):
        if len(group) > 1:
            raise ValueError(
                f"face_box holds {len(group)} boxes in frame {number}; it takes one, since one face is "
                "chosen. Set num_faces to 1 in the node that made them, or draw a box."
            )
    return [group[0] if group else None for group in groups]


def check_seen(face: Face) -> None:
    """ValueError if the mesh hardly sees this face: its points lie beside the eyes and lips. A drawn box is
    the artist's word."""
    presence = face.get("presence", LEAST_PRESENCE)
    if presence < LEAST_PRESENCE and not face.get("from_box"):
        score = 1 / (1 + math.exp(-max(presence, -60.0)))
        raise ValueError(
            f"no human-like face was found in face_landmarks (score {score:.2f}): it is an animal's or a robot's, or "
            "turned too far aside (more than about 70 degrees), upside down, covered or small, so eyes and lips cannot "
            "be placed. Turn the picture upright, take one more from the front, or crop a small face out of its "
            "picture; Face Landmarks from Box with a low min_presence uses it anyway."
        )


def check_upright(tracked: Sequence[np.ndarray | None]) -> None:
    """ValueError if a face [478,2 or 3], or that of most frames, stands on its head: networks know upright
    faces alone."""
    rolls = [abs(roll(points)) for points in tracked if points is not None]
    if rolls and float(np.median(rolls)) > UPSIDE_DOWN:
        raise ValueError(
            f"the face in face_landmarks is upside down (rolled by {np.median(rolls):.0f} degrees). Turn the "
            "picture upright (Rotate Image), then detect its landmarks again."
        )


def roll(points: np.ndarray) -> float:
    """Degrees by which the line of the eyes is turned clockwise in the picture, -180 to 180; 0 is upright."""
    x, y = points[OUTER_CORNERS[1], :2] - points[OUTER_CORNERS[0], :2]
    return float(np.degrees(np.arctan2(y, x)))


def landmarks_in_pixels(face: Face) -> np.ndarray:
    """[478,3] float32: landmarks_xy with the depth of landmarks_3d brought to pixels by the scale between the two."""
    xy, canonical = np.asarray(face["landmarks_xy"], np.float64), np.asarray(face["landmarks_3d"], np.float64)
    flat = np.concatenate([canonical[:, :2], np.ones((len(canonical), 1))], axis=1)
    affine = np.linalg.lstsq(flat, xy, rcond=None)[0]
    depth = canonical[:, 2] * np.linalg.norm(affine[0])
    return np.concatenate([xy, depth[:, None]], axis=1)[:NUM_LANDMARKS].astype(np.float32)


def why_not_chosen(faces: Sequence[Face], index: int, box: Box | None) -> str:
    """Why the wanted face is not there, with all that are."""
    places = "; ".join(f"{number}: {place(face['bbox_xyxy'])}" for number, face in enumerate(by_size(faces)))
    known = f"Faces found, in pixels: {places}."
    if box:
        corner = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f}x{box['height']:.0f}"
        return f"no face lies in face_box ({corner} pixels). {known}"
    return (
        f"face_index is {index}, but {len(faces)} face(s) were found, numbered from 0. Raise num_faces in "
        f"the detection node to find more. {known}"
    )


def place(corners: Sequence[float]) -> str:
    """A bounding box (x0, y0, x1, y1) in words."""
    return "x {:.0f} to {:.0f}, y {:.0f} to {:.0f}".format(
        *(float(corners[corner]) for corner in (0, 2, 1, 3))
    )


def frame_numbers(numbers: Sequence[int]) -> str:
    """Frame numbers for people: 3, 7-9, 12."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
