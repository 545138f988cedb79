"""The motion-intensity network (FantasyTalking, section 3.4).

The paper says MLP layers, one residual layer, average pooling, added with the time steps; sizes and constants
are this pack's own, and no weights were published.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from torch import Tensor, nn

NEUTRAL = 0.5
SINUSOIDS, SCALE = 256, 1000.0  # coefficients of 0..1 are embedded as time steps of 0..1000 are
PREFIX = "motion_intensity."


class MotionIntensity(nn.Module):
    """Coefficients [B,2] of face and body, 0..1 -> what is added to Wan's time embedding [B,C]; exactly 0 at
    0.5 and 0.5."""

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


def build_intensity(
    state: Mapping[str, Tensor], metadata, device=None, dtype=None, operations=nn
) -> MotionIntensity:
    """For the loader: sizes from the weights."""
    outputs, width = state["project.weight"].shape
    return MotionIntensity(outputs, width, device, dtype, operations)
