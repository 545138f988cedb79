"""The motion-intensity network (FantasyTalking, section 3.4), and how strongly a face and a body move in a video.

The paper says MLP layers, one residual layer, average pooling, added with the time steps; sizes and constants are this pack's own,
and no weights were published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from torch import Tensor, nn

NEUTRAL = 0.5
SINUSOIDS, SCALE = 256, 1000.0  # coefficients of 0..1 are embedded as time steps of 0..1000 are
PREFIX = "motion_intensity."
# MediaPipe's points that expression does not move: corners of the eyes, bridge of the nose.
RIGID = (33, 133, 362, 263, 168, 6)
EYES = ((33, 133), (362, 263))
SHOULDERS = (2, 5)  # of OpenPose's 18 body joints
SEEN = 0.3  # least confidence of a joint


class MotionIntensity(nn.Module):
    """Coefficients [B,2] of face and body, 0..1 -> what is added to Wan's time embedding [B,C]; exactly 0 at 0.5 and 0.5."""

    def __init__(self, outputs: int, width: int = 512, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.mlp_in = operations.Linear(SINUSOIDS, width, **built)
        self.mlp_out = operations.Linear(width, width, **built)
        self.conv1, self.conv2 = (operations.Conv1d(width, width, 3, padding=1, **built) for _ in range(2))
        self.project = operations.Linear(width, outputs, **built)

    def forward(self, coefficients: Tensor) -> Tensor:
        return self._raw(coefficients) - self._raw(torch.full_like(coefficients, NEUTRAL))

    def _raw(self, coefficients: Tensor) -> Tensor:
        waves = timestep_embedding(SCALE * coefficients.flatten(), SINUSOIDS).to(coefficients)
        tokens = self.mlp_out(F.silu(self.mlp_in(waves))).unflatten(0, coefficients.shape).transpose(1, 2)
        tokens = tokens + self.conv2(F.silu(self.conv1(F.silu(tokens))))
        return self.project(tokens.mean(-1))


def intensity_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """A file's motion-intensity tensors. ValueError if there are none."""
    state = {key.removeprefix(PREFIX): value for key, value in content.items() if key.startswith(PREFIX)}
    if not {"mlp_in.weight", "project.weight"} <= state.keys():
        raise ValueError("it holds no motion_intensity..., so it has no motion-intensity network")
    return state


def build_intensity(state: Mapping[str, Tensor], metadata, device=None, dtype=None, operations=nn) -> MotionIntensity:
    """For the loader: sizes from the weights."""
    outputs, width = state["project.weight"].shape
    return MotionIntensity(outputs, width, device, dtype, operations)


@dataclass(frozen=True)
class Reference:
    """The 5th and 95th percentile of raw intensities in a set of videos: what counts as 0 and as 1."""

    low: float
    high: float

    def coefficient(self, raw: float) -> float:
        """0..1 of a raw intensity, on a logarithmic scale."""
        part = (np.log(max(raw, 1e-12)) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        return float(np.clip(part, 0, 1))


def face_intensity(frames: Sequence[np.ndarray | None]) -> float:
    """Landmarks [478,2] of every frame, None without a face -> mean over points of their variance over time.

    Frames are aligned by the points that expression does not move, and measured in distances between the eyes, so neither
    head motion nor the face's size counts. ValueError with fewer than two faces.
    """
    found = [np.asarray(points[:, :2], np.float64) for points in frames if points is not None]
    if len(found) < 2:
        raise ValueError(f"a face is needed in at least 2 frames; it was found in {len(found)} of {len(frames)} frames")
    target = found[len(found) // 2]
    aligned = np.stack([similarity(points, target) for points in found])
    left, right = (target[list(pair)].mean(0) for pair in EYES)
    return float((aligned / np.linalg.norm(left - right)).var(0).sum(-1).mean())


def similarity(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Points turned, sized and moved so that the rigid ones fit the target's best (Umeyama 1991)."""
    source, wanted = points[list(RIGID)], target[list(RIGID)]
    a, b = (source - source.mean(0)) @ [1, 1j], (wanted - wanted.mean(0)) @ [1, 1j]
    turn = np.vdot(a, b) / np.vdot(a, a)
    moved = ((points - source.mean(0)) @ [1, 1j]) * turn
    return np.stack([moved.real, moved.imag], -1) + wanted.mean(0)


def body_intensity(frames: Sequence[np.ndarray | None]) -> float:
    """Joints [18,3] (x, y, confidence) of one person in every frame -> mean over seen joints of their variance over time.

    Measured in shoulder widths of the middle frame, without alignment. ValueError with fewer than two people or no shoulders.
    """
    found = [np.asarray(joints, np.float64) for joints in frames if joints is not None]
    if len(found) < 2:
        raise ValueError(f"a body is needed in at least 2 frames; it was found in {len(found)} of {len(frames)} frames")
    joints = np.stack(found)
    seen = (joints[..., 2] > SEEN).all(0)
    middle = joints[len(joints) // 2]
    if not seen[list(SHOULDERS)].all():
        raise ValueError("both shoulders must be seen in all frames, since motion is measured in their distance")
    shoulders = np.linalg.norm(middle[SHOULDERS[0], :2] - middle[SHOULDERS[1], :2])
    return float((joints[:, seen, :2] / shoulders).var(0).sum(-1).mean())
