"""What every renderer takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .face_motion import FaceFrame, ResolvedMotion


@dataclass(frozen=True)
class FaceLandmarks478:
    """MediaPipe's 478 points of one face: [478,3] float32; x, y in pixels (the first pixel's centre is 0.5), z in the same
    unit, smaller is nearer."""

    points: np.ndarray


@dataclass(frozen=True)
class Portrait:
    """One face of one picture, ready to be moved by the renderer that prepared it.

    image [H,W,3] float32 in 0..1 on the CPU, the whole picture. motion: the photo's own motion. features: the renderer's.
    policy: how a motion with absolute values meets this portrait, group by group; see `resolve`.
    """

    image: Tensor
    face: FaceLandmarks478
    motion: FaceFrame
    renderer: str
    features: Any
    policy: Mapping[str, str] | None = None


class PortraitRenderer(Protocol):
    """Motion in, pictures out. A motion without any change gives back the photo."""

    id: str

    def prepare(self, image: Tensor, face: FaceLandmarks478, person_mask: Tensor | None = None) -> Portrait:
        """Once per picture: image [H,W,3], optional person mask [H,W] in 0..1."""
        ...

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """Frames that `render` may be given at once without a large memory."""
        ...

    def render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """Frames [n,H,W,3] float32 in 0..1 of all n frames of `motion`."""
        ...
