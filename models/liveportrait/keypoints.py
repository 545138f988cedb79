"""Implicit keypoints: 21 points x, y, z (right, down, into the picture) in units where the picture spans -1..1."""

import math

import torch
from scipy.spatial import ConvexHull
from torch import Tensor

BINS = 66


def head_pose_degrees(logits: Tensor) -> Tensor:
    """[B,66] bin logits -> [B] degrees: 3 x the expected bin - 97.5. Anything narrower is degrees already and
    passes."""
    if logits.shape[-1] != BINS:
        return logits
    bins = torch.arange(BINS, device=logits.device, dtype=logits.dtype)
    return 3 * (logits.softmax(-1) * bins).sum(-1) - 97.5


def rotation_from_degrees(pitch: Tensor, yaw: Tensor, roll: Tensor) -> Tensor:
    """[B] or [B,1] angles in degrees -> [B,3,3], R = (Rz(roll) Ry(yaw) Rx(pitch))^T, used as keypoints @ R."""
    x, y, z = (angle.reshape(-1) * (math.pi / 180) for angle in (pitch, yaw, roll))
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    turn_x = torch.stack([one, zero, zero, zero, x.cos(), -x.sin(), zero, x.sin(), x.cos()], -1)
    turn_y = torch.stack([y.cos(), zero, y.sin(), zero, one, zero, -y.sin(), zero, y.cos()], -1)
    turn_z = torch.stack([z.cos(), -z.sin(), zero, z.sin(), z.cos(), zero, zero, zero, one], -1)
    turn_x, turn_y, turn_z = (turn.reshape(-1, 3, 3) for turn in (turn_x, turn_y, turn_z))
    return (turn_z @ turn_y @ turn_x).transpose(1, 2)


def transform_keypoints(
    canonical: Tensor, rotation: Tensor, expression: Tensor, scale: Tensor, translation: Tensor
) -> Tensor:
    """x = scale (kp R + exp) + t without t's z (LivePortrait eq. 2).

    canonical, expression [B,21,3], rotation [B,3,3], scale [B] or [B,1], translation [B,3] -> [B,21,3].
    """
    moved = scale.reshape(-1, 1, 1) * (canonical @ rotation + expression)
    return torch.cat([moved[..., :2] + translation[:, None, :2], moved[..., 2:]], -1)


def hull_multiplier(source: Tensor, driving: Tensor) -> float:
    """Ratio of the square roots of the volumes of two keypoint hulls, [1,21,3] each: LivePortrait's
    "expression-friendly"."""
    volumes = [ConvexHull(points[0].double().cpu().numpy()).volume for points in (source, driving)]
    return math.sqrt(volumes[0]) / math.sqrt(volumes[1])


def _ratio(points: Tensor, opening: tuple[int, int], width: tuple[int, int]) -> Tensor:
    distance = [torch.linalg.vector_norm(points[:, a] - points[:, b], dim=-1) for a, b in (opening, width)]
    return distance[0] / (distance[1] + 1e-6)


def eye_ratios(points: Tensor) -> Tensor:
    """[B,203,2] landmarks -> [B,2] opening over width of the left and the right eye."""
    return torch.stack([_ratio(points, (6, 18), (0, 12)), _ratio(points, (30, 42), (24, 36))], 1)


def lip_ratio(points: Tensor) -> Tensor:
    """[B,203,2] landmarks -> [B,1] opening over width of the lips."""
    return _ratio(points, (90, 102), (48, 66))[:, None]
