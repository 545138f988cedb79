"""One face of one picture, as the nodes pass it on and renderers draw it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from .face_motion import FaceFrame


@dataclass(frozen=True)
class FaceLandmarks478:
    """MediaPipe's 478 points of one face: [478,3] float32; x, y in pixels (the first pixel's centre is 0.5),
    z in the same unit, smaller is nearer."""

    points: np.ndarray


@dataclass(frozen=True)
class Portrait:
    """One face of one picture, ready to be moved by the renderer that prepared it.

    image [H,W,3] float32 in 0..1 on the CPU, the whole picture. motion: the photo's own motion. features: the
    renderer's.
    policy: how a motion with absolute values meets this portrait, group by group; see `resolve`.
    notes: what an artist should know of it, each half a sentence.
    """

    image: Tensor
    face: FaceLandmarks478
    motion: FaceFrame
    renderer: str
    features: Any
    policy: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, given: Any, image: Tensor, face: FaceLandmarks478, renderer: str) -> "Portrait":
        """What a renderer's `prepare` gave for a picture and a face, as a portrait; ValueError in words if it is none.

        A mapping may have features, motion (as FaceFrame.of takes it, a neutral face if it is missing),
        policy, and another image to draw on.
        """
        if isinstance(given, cls):
            return given
        known = ("features", "motion", "policy", "image")
        if not isinstance(given, Mapping) or (unknown := [str(name) for name in given if name not in known]):
            wrong = (
                ", ".join(unknown)
                if isinstance(given, Mapping)
                else f"no mapping but a {type(given).__name__}"
            )
            raise ValueError(f"{renderer} prepared {wrong}; a portrait is made of {', '.join(known)}.")
        motion = given.get("motion", FaceFrame())
        own = motion if isinstance(motion, FaceFrame) else FaceFrame.of(motion)
        return cls(given.get("image", image), face, own, renderer, given.get("features"), given.get("policy"))
