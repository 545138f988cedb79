"""The built-in keypoint extractor: expression and pose of a picture by landmarks, with nothing downloaded.

It knows no actor, so a face is measured against a usual one. What matters is the change between two pictures of one
person; against a video's own calm face landmark_motion.py is surer.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..face.head_pose import poses_of
from ..face_motion import CONTROLS, controls_to_expression
from ..liveportrait.motion_extractor import KeypointMotion
from ..media.pixels import rounded_bytes
from .landmark_motion import BROW, GAZE_SHARE, LIDS, SHUT_LID, jaw_travel, measures_of

MOUTH, LID, GAZE_MIDDLE, BROW_HEIGHT = 0.56, 0.30, 0.5, 0.33  # of a usual calm face, in the units of Measures
WIDER, NARROWER = 0.10, 0.23
INSIDE = 0.15  # of a crop's side, that lies around the face


class LandmarkExtractor:
    """Reads faces by the shipped detector's mesh. It gives no canonical keypoints."""

    id = "built-in landmarks"
    gives_keypoints = False  # a renderer that draws by keypoints cannot use it
    source: ClassVar[dict[str, str]] = {"producer": "landmarks", "licence": "Apache-2.0"}
    device = torch.device("cpu")

    def __init__(self, detector: Any):
        self.detector = detector

    def ready(self) -> "LandmarkExtractor":
        """See KeypointExtractor."""
        return self

    def __call__(self, pictures: Tensor) -> KeypointMotion:
        """Pictures [n,3,256,256] in 0..1 of upright faces -> n motions, angles in degrees."""
        faces = [self.face_in(picture) for picture in rounded_bytes(pictures.movedim(1, -1)).cpu().numpy()]
        found = measures_of(faces)
        controls = usual_controls(found)
        pose = torch.from_numpy(poses_of(self.usual_face(), found.points).degrees()).float()
        pitch, yaw, roll = pose.split(1, 1)
        count = len(faces)
        nothing = torch.zeros(count, 21, 3)
        expression = controls_to_expression(torch.from_numpy(controls).float())
        return KeypointMotion(
            nothing, torch.ones(count, 1), pitch, yaw, roll, torch.zeros(count, 3), expression
        )

    def face_in(self, picture: np.ndarray) -> Any:
        """The face of a crop [H,W,3] in bytes: the one that is found, else what the mesh sees in its middle."""
        found = self.detector.detect_batch([picture], 1, 0.3, "short")[0]
        if found:
            return found[0]
        height, width = picture.shape[:2]
        box = {
            "x": INSIDE * width, "y": INSIDE * height, "width": (1 - 2 * INSIDE) * width,
            "height": (1 - 2 * INSIDE) * height,
        }  # fmt: skip
        return self.detector.landmarks_from_boxes([picture], [[box]])[0][0]

    def usual_face(self) -> np.ndarray:
        """[478,3] MediaPipe's canonical face, x to the right, y down and z away; its irises are left out as zeros."""
        known = self.detector.canonical_data["canonical_vertices"].astype(np.float64) * [1, -1, -1]
        return np.concatenate([known, np.zeros((478 - len(known), 3))])


def usual_controls(found: Any) -> np.ndarray:
    """[n,12] controls of measured faces against a usual calm one."""
    values = dict.fromkeys(CONTROLS, np.zeros(len(found.opening)))
    travel = np.array([jaw_travel(points) for points in found.points]) * MOUTH
    values["jawOpen"] = np.clip(found.opening / travel, 0, 1.2)
    change = found.width / MOUTH - 1
    values["mouthPucker"] = np.clip(-change / NARROWER, 0, 1)
    values["mouthStretch"] = np.clip(change / WIDER, 0, 1.2)
    for name in LIDS:
        values[name] = np.clip((0.92 * LID - found.lids[name]) / (0.92 * LID - SHUT_LID), 0, 1)
    values["gazeX"] = np.clip((found.gaze - GAZE_MIDDLE) / GAZE_SHARE, -1, 1)
    values["browInnerUp"] = np.clip((found.brow - BROW_HEIGHT) / BROW, -1, 1)
    return np.stack([values[name] for name in CONTROLS], 1)
