"""FACE_LANDMARKS made by hand, for tests that need no picture."""

import numpy as np
from talking_portrait.models.face.regions import FACE_OVAL, MOUTH_AREA

HEIGHT, WIDTH = 120, 200


def make_face(
    x: float, y: float = 60.0, radius: float = 25.0, degrees: float = 0.0, presence: float = 9.0
) -> dict:
    """A round face: the outline on a circle, the mouth's points in the lower third, corners of the eyes
    above, all others in the middle; turned clockwise by degrees."""
    around = np.linspace(0, 2 * np.pi, len(FACE_OVAL), endpoint=False) - np.pi / 2
    some = around[: len(MOUTH_AREA)]
    points = np.zeros((478, 2))
    points[list(MOUTH_AREA)] = np.stack([0.5 * np.cos(some), 0.5 + 0.3 * np.sin(some)], 1)
    points[list(FACE_OVAL)] = np.stack([np.cos(around), np.sin(around)], 1)
    points[33], points[263] = (-0.4, -0.2), (0.4, -0.2)
    turn = np.deg2rad(degrees)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    xy = (points * radius + [x, y]).astype(np.float32)
    three = np.concatenate([(points + 1.5) * 64, np.full((478, 1), -8)], 1)
    return {
        "bbox_xyxy": np.array([x - radius, y - radius, x + radius, y + radius], np.float32),
        "landmarks_xy": xy, "landmarks_3d": three, "presence": presence, "score": 0.9,
    }  # fmt: skip


def make_landmarks(*frames: list[dict], size: tuple[int, int] = (HEIGHT, WIDTH)) -> dict:
    """FACE_LANDMARKS of these faces by frame."""
    return {"frames": list(frames), "image_size": size, "connection_sets": {}}
