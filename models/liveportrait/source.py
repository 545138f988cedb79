"""A picture's own motion, as M sees it, in the pack's terms."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..face_motion import FaceFrame, expression_to_controls
from .crop import SOURCE_CROP, crop_matrix, crop_picture, face_box, network_input
from .motion_extractor import KeypointMotion

# MediaPipe's points for the openings that LivePortrait measures on its 203: upper, lower, corner, corner
EYES_478 = ((159, 145, 33, 133), (386, 374, 362, 263))  # left and right in the picture
LIPS_478 = (13, 14, 61, 291)


LIVEPORTRAIT = {"producer": "LivePortrait", "licence": "MIT"}


def made_by(extractor: object) -> dict[str, str]:
    """Who read a motion: LivePortrait's network, unless an extractor says otherwise in `source`."""
    return dict(getattr(extractor, "source", LIVEPORTRAIT))


def face_frame(motion: KeypointMotion, index: int = 0) -> FaceFrame:
    """One picture of a batch as a FaceFrame."""
    expression = motion.expression[index].float().cpu()
    pose = torch.stack([angle[index, 0].float().cpu() for angle in (motion.pitch, motion.yaw, motion.roll)])
    return FaceFrame(
        expression, pose, motion.translation[index].float().cpu(), float(motion.scale[index, 0]),
        expression_to_controls(expression[None])[0],
    )  # fmt: skip


def picture_tensor(crop: Tensor) -> Tensor:
    """[256,256,3] bytes -> [1,3,256,256] in 0..1, what F and M take."""
    return crop.permute(2, 0, 1)[None].float() / 255


def own_motion(
    extractor: Callable[[Tensor], KeypointMotion], picture: Tensor, points: np.ndarray, device: torch.device
) -> FaceFrame:
    """What M sees of the face with landmarks [478,2 or 3] in a picture [H,W,3] of bytes, in LivePortrait's crop."""
    matrix = crop_matrix(face_box(points[:, :2], *SOURCE_CROP))
    return face_frame(extractor(picture_tensor(network_input(crop_picture(picture, matrix))).to(device)))


def openings(points: np.ndarray) -> tuple[Tensor, Tensor]:
    """MediaPipe's 478 points [478,2 or 3] -> openings over width: eyes [1,2] (left in the picture first),
    lips [1,1]."""

    def ratio(upper: int, lower: int, left: int, right: int) -> float:
        gap, width = (
            np.linalg.norm(points[a, :2] - points[b, :2]) for a, b in ((upper, lower), (left, right))
        )
        return float(gap / (width + 1e-6))

    return torch.tensor([[ratio(*eye) for eye in EYES_478]]), torch.tensor([[ratio(*LIPS_478)]])
