"""A driving video's face as FACE_MOTION (LivePortrait, section 3.4): crop every frame, read its motion, smooth it."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor, nn

from ..face_motion import GROUPS, FaceMotion, pose_degrees, rotation_matrix
from ..face_motion.kalman import smooth
from ..media.pixels import resize, to_bytes
from .crop import INPUT, SIZE, crop_picture, driving_box
from .source import face_frame, made_by, picture_tensor

# LivePortrait's smoothing; a larger observation variance smooths more
PROCESS_VARIANCE, OBSERVATION_VARIANCE = 1e-5, 3e-7
BATCH = 8


def crop_to_box(frame: Tensor, box: np.ndarray | None) -> Tensor:
    """Frame [H,W,3] in 0..1 -> network input [3,256,256]: the upright box [4,2], or without one the whole
    frame squeezed."""
    picture = to_bytes(frame)
    if box is not None:
        side = float(box[1, 0] - box[0, 0])
        matrix = np.array(
            [
                [SIZE / side, 0, -box[0, 0] * SIZE / side],
                [0, SIZE / side, -box[0, 1] * SIZE / side],
                [0, 0, 1],
            ]
        )
        picture = crop_picture(picture, matrix)
    return picture_tensor(resize(picture, INPUT, INPUT))[0]


def video_motion(
    extractor: nn.Module, frames: Tensor, landmarks: list[np.ndarray | None], fps: Fraction,
    progress: Callable[[int, int], None] = lambda done, total: None, device: torch.device | None = None,
) -> FaceMotion:  # fmt: skip
    """Absolute motion of frames [N,H,W,3]; one box for all of them, around the landmarks [P,2] of those where
    a face was found.

    Frames without a face (None) are marked not valid and hold the motion between their neighbours. The
    reference is the first frame with a face. ValueError if there is none.
    """
    valid = torch.tensor([points is not None for points in landmarks])
    if not valid.any():
        raise ValueError("no frame of images has a face. Choose another video, or set a box around it.")
    box = driving_box([points[:, :2] for points in landmarks if points is not None])
    found = []
    for start in range(0, len(frames), BATCH):
        batch = torch.stack([crop_to_box(frame, box) for frame in frames[start : start + BATCH]])
        motion = extractor(batch if device is None else batch.to(device))
        found += [face_frame(motion, index) for index in range(len(batch))]
        progress(min(start + BATCH, len(frames)), len(frames))
    motion = FaceMotion.from_expression(
        torch.stack([frame.expression for frame in found]), torch.stack([frame.pose for frame in found]),
        torch.stack([frame.translation for frame in found]), torch.tensor([frame.scale for frame in found]),
        fps,
        source=made_by(extractor), valid=valid, absolute=frozenset(GROUPS),
    )  # fmt: skip
    motion = bridged(motion)
    return replace(motion, reference=motion.frame(int(valid.int().argmax())))


def bridged(motion: FaceMotion) -> FaceMotion:
    """Frames that are not valid get the motion between the valid ones beside them."""
    if motion.valid.all():
        return motion
    times, known = np.arange(len(motion)), np.flatnonzero(motion.valid.numpy())

    def fill(track: Tensor) -> Tensor:
        flat = track.flatten(1) if track.ndim > 1 else track[:, None]
        columns = [np.interp(times, known, column[known]) for column in flat.double().numpy().T]
        return torch.from_numpy(np.stack(columns, 1)).float().reshape(track.shape)

    # close rotations: the mean matrix, brought back to a rotation
    turned = fill(rotation_matrix(motion.pose))
    u, _, v = torch.linalg.svd(turned)
    tracks = {
        name: fill(getattr(motion, name)) for name in ("expression", "translation", "scale", "controls")
    }
    return replace(motion, pose=pose_degrees(u @ v), **tracks)


def smoothed(motion: FaceMotion, observation: float = OBSERVATION_VARIANCE) -> FaceMotion:
    """Kalman smoothing of rotation and expression; 0 leaves the motion as it is."""
    if observation == 0 or len(motion) == 0:
        return motion
    expression = smooth(motion.expression.double().numpy(), PROCESS_VARIANCE, observation)
    rotation = torch.from_numpy(
        smooth(rotation_matrix(motion.pose).double().numpy(), PROCESS_VARIANCE, observation)
    )
    u, _, v = torch.linalg.svd(rotation)
    changed = FaceMotion.from_expression(
        torch.from_numpy(expression).float(), pose_degrees((u @ v).float()), motion.translation, motion.scale,
        motion.fps,
        source=motion.source, valid=motion.valid, absolute=motion.absolute,
    )  # fmt: skip
    first = int(motion.valid.int().argmax())
    return replace(changed, reference=changed.frame(first))
