"""Head rotations in LivePortrait's convention: R = (Rz(roll) Ry(yaw) Rx(pitch))^T, applied as keypoints @ R."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor


def rotation_matrix(pose: Tensor) -> Tensor:
    """[...,3] pitch, yaw, roll in degrees -> [...,3,3] (LivePortrait, `get_rotation_matrix`)."""
    flat = pose.reshape(-1, 3).double().numpy()
    # scipy's extrinsic xyz is Rz @ Ry @ Rx, the convention's matrix before its transposition.
    matrix = Rotation.from_euler("xyz", flat, degrees=True).as_matrix().transpose(0, 2, 1)
    return torch.from_numpy(np.ascontiguousarray(matrix)).float().reshape(*pose.shape[:-1], 3, 3)


def pose_degrees(rotation: Tensor) -> Tensor:
    """[...,3,3] -> [...,3] pitch, yaw, roll in degrees; the inverse of `rotation_matrix` for |yaw| < 90."""
    flat = rotation.reshape(-1, 3, 3).double().numpy().transpose(0, 2, 1)
    degrees = Rotation.from_matrix(flat).as_euler("xyz", degrees=True)
    return torch.from_numpy(np.ascontiguousarray(degrees)).float().reshape(*rotation.shape[:-2], 3)


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Poses between two [N,3] degree poses along the shortest turn; weight [N], 0 gives start, 1 gives end."""
    first = Rotation.from_euler("xyz", start.double().numpy(), degrees=True)
    last = Rotation.from_euler("xyz", end.double().numpy(), degrees=True)
    turn = (last * first.inv()).as_rotvec() * weight.double().numpy()[:, None]
    found = torch.from_numpy((Rotation.from_rotvec(turn) * first).as_euler("xyz", degrees=True)).float()
    at_end = (weight == 1)[:, None]
    return torch.where(at_end, end, torch.where((weight == 0)[:, None], start, found))
