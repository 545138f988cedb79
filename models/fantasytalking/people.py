"""The body that belongs to a followed face: which person of POSE_KEYPOINT has the head there.

POSE_KEYPOINT is core's: for each frame {"people": [{"pose_keypoints_2d": [x, y, confidence] * 18}], "canvas_width",
"canvas_height"}, in OpenPose's order, in no particular order of people.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..face.landmarks import Box, lies_in

JOINTS = 18
HEAD = (0, 14, 15, 16, 17)  # nose, eyes, ears
SEEN = 0.3  # least confidence of a joint


def body_of_face(
    poses: Sequence[Mapping[str, Any]], faces: Sequence[np.ndarray | None], image_size: tuple[int, int]
) -> list[np.ndarray | None]:
    """Joints [18,3] (x, y in pixels of the faces' picture, confidence) of the person whose head lies at the
    face [478,2] of each frame; None where the face is missing or nobody's head is there. ValueError where
    that is so in all frames."""
    if len(poses) != len(faces):
        raise ValueError(
            f"keypoints covers {len(poses)} frames, but face_landmarks {len(faces)}; give both one video."
        )
    found = [
        None if face is None else person_at(people_of(pose, image_size), face)
        for pose, face in zip(poses, faces, strict=True)
    ]  # fmt: skip
    if all(body is None for body in found):
        raise ValueError(
            "keypoints has nobody in it whose head lies at the followed face. Detect both in the same frames."
        )
    return found


def people_of(pose: Mapping[str, Any], image_size: tuple[int, int]) -> list[np.ndarray]:
    """Joints [18,3] of everybody in a frame, in pixels of a picture of this height and width."""
    height, width = image_size
    scale = np.array(
        [width / (pose.get("canvas_width") or width), height / (pose.get("canvas_height") or height), 1.0]
    )
    people = [
        np.array(person["pose_keypoints_2d"], np.float64).reshape(-1, 3)
        for person in pose.get("people") or []
    ]
    if wrong := [len(joints) for joints in people if len(joints) != JOINTS]:
        raise ValueError(
            f"keypoints has a person of {wrong[0]} joints; OpenPose's {JOINTS} are needed, as core's SDPose has them."
        )
    return [joints * scale for joints in people]


def person_at(people: Sequence[np.ndarray], face: np.ndarray) -> np.ndarray | None:
    """The person whose head's middle lies in the box around a face, or nearest to its middle, if there are several."""
    low, high = face.min(0), face.max(0)
    box: Box = {"x": low[0], "y": low[1], "width": high[0] - low[0], "height": high[1] - low[1]}
    near = []
    for joints in people:
        head = joints[[joint for joint in HEAD if joints[joint, 2] > SEEN], :2]
        if len(head) and lies_in([*head.mean(0), *head.mean(0)], box):
            near.append((float(np.hypot(*(head.mean(0) - (low + high) / 2))), len(near), joints))
    return min(near)[2] if near else None
