"""The built-in parts' styles by name: how much the head moves, and how a picture is drawn."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadStyle:
    """Degrees of pitch, yaw and roll: deviation of postures and of drift, and turn at a stress of 1."""

    posture: tuple[float, float, float]
    drift: tuple[float, float, float]
    stress: tuple[float, float, float]


HEAD_STYLES = {
    "natural": HeadStyle((1.3, 2.6, 1.6), (0.7, 1.2, 0.7), (8.0, 5.0, 4.0)),
    "calm": HeadStyle((0.6, 1.2, 0.5), (0.5, 1.0, 0.4), (4.0, 1.0, 0.8)),
    "lively": HeadStyle((2.0, 4.0, 2.6), (1.0, 1.8, 1.0), (13.0, 9.0, 7.0)),
}
PICTURE_STYLES = ("auto", "photo", "drawn")
