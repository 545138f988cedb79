"""How strongly a face and a body move in a video (FantasyTalking, section 3.4), and what of that counts as
calm and as lively.

The paper takes the variance of landmarks and joints, normalised to 0..1 by ends that it does not give. The
ends here are this pack's. 0.5 % is what the face detector's own tremble makes of stills (0.2 to 0.7 %), so
less cannot be told from nothing. 0.5 is natural speech, of which the films of the built-in engine have 1.9 to
2.6 % (training/fantasytalking/measure_intensity_reference.py). The ends of
the body are chosen likewise, without films of bodies to measure: 5 % of a shoulder's width is natural sway,
half of it is arms that wave. Numbers of different videos can be compared; as a place between other people's
videos they say nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..measures.motion_intensity import LEAST_PIXELS, RIGID, face_intensity
from .people import SEEN

__all__ = ["BODY", "FACE", "RIGID", "Reference", "body_intensity", "face_intensity", "seen_joints"]

SHOULDERS = (2, 5)  # of OpenPose's 18 body joints


@dataclass(frozen=True)
class Reference:
    """Raw intensities (variances) that count as 0 and as 1, such as the 5th and 95th percentile of a set of videos."""

    low: float
    high: float

    def __str__(self) -> str:
        low, middle, high = (100 * raw**0.5 for raw in (self.low, (self.low * self.high) ** 0.5, self.high))
        return f"{low:g} % or less counts as 0, {middle:g} % as 0.5, {high:g} % or more as 1"

    def coefficient(self, raw: float) -> float:
        """0..1 of a raw intensity, on a logarithmic scale."""
        part = (np.log(max(raw, 1e-12)) - np.log(self.low)) / (np.log(self.high) - np.log(self.low))
        return float(np.clip(part, 0, 1))


FACE, BODY = Reference(0.005**2, 0.08**2), Reference(0.005**2, 0.5**2)


def body_intensity(frames: Sequence[np.ndarray | None]) -> float:
    """Joints [18,3] (x, y, confidence) of one person in every frame -> mean over seen joints of their
    variance over time.

    Measured in shoulder widths of the middle frame, without alignment; a joint counts if it is seen in all
    frames. ValueError with fewer than two bodies or no shoulders.
    """
    found = [np.asarray(joints, np.float64) for joints in frames if joints is not None]
    if len(found) < 2:
        raise ValueError(
            f"a body is needed in at least 2 frames; it was found in {len(found)} of {len(frames)} frames."
        )
    seen, middle = seen_joints(frames), found[len(found) // 2]
    if not seen[list(SHOULDERS)].all():
        raise ValueError(
            "both shoulders must be seen in all frames of keypoints, since motion is measured in their distance."
        )
    shoulders = np.linalg.norm(middle[SHOULDERS[0], :2] - middle[SHOULDERS[1], :2])
    if shoulders < LEAST_PIXELS:
        raise ValueError(
            f"the shoulders in keypoints lie {shoulders:.2f} pixels apart, so nothing can be measured by them."
        )
    return float((np.stack(found)[:, seen, :2] / shoulders).var(0).sum(-1).mean())


def seen_joints(frames: Sequence[np.ndarray | None]) -> np.ndarray:
    """[18] whether a joint is seen in all frames that have a body."""
    found = np.stack([joints for joints in frames if joints is not None])
    return np.all(found[..., 2] > SEEN, axis=0)
