"""LivePortrait's published expression sliders as one frame of face motion (its `gradio_pipeline.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from ..face_motion import CONTROLS, FaceMotion

LEAST_RATE = Fraction(25)


@dataclass(frozen=True)
class Slider:
    """A published slider: its range, and the control that it moves by 1 for every `unit`."""

    low: float
    high: float
    control: str
    unit: float
    meaning: str


SLIDERS: dict[str, Slider] = {
    "smile": Slider(-0.3, 1.3, "mouthSmile", 1.0, "corners of the mouth up, or down below 0"),
    "aaa": Slider(-30.0, 120.0, "jawOpen", 45.0, "mouth open as in 'ah'"),
    "eee": Slider(-20.0, 15.0, "mouthStretch", 8.0, "mouth wide as in 'ee'"),
    "woo": Slider(-20.0, 15.0, "mouthPucker", 10.0, "mouth round as in 'oo'"),
    "wink_left": Slider(0.0, 25.0, "eyeBlinkLeft", 18.0, "the subject's left eye closes"),
    "wink_right": Slider(0.0, 25.0, "eyeBlinkRight", 18.0, "the subject's right eye closes"),
    "eyebrow": Slider(-10.0, 15.0, "browInnerUp", 12.0, "brows up, or together below 0"),
    "pupil_x": Slider(-15.0, 15.0, "gazeX", 15.0, "looks to the picture's right"),
    "pupil_y": Slider(-15.0, 15.0, "gazeY", 15.0, "looks up"),
}
FURROW_UNIT = 8.0  # of the brow slider below zero
TURNS: dict[str, str] = {
    "pitch": "looks down above 0",
    "yaw": "turns to the picture's left above 0",
    "roll": "tilts clockwise above 0",
}
LARGEST_TURN = 20.0  # degrees


def limits(name: str) -> tuple[float, float]:
    """The lowest and the highest value of a slider or a turn."""
    return (-LARGEST_TURN, LARGEST_TURN) if name in TURNS else (SLIDERS[name].low, SLIDERS[name].high)


def slider_motion(
    values: Mapping[str, float], pose: tuple[float, float, float], shift: tuple[float, float, float]
) -> FaceMotion:
    """One frame of changes: slider values in their published units, pitch, yaw and roll in degrees, shift x,
    y and zoom."""
    tracks = {name: torch.tensor([value], dtype=torch.float32) for name, value in values.items()}
    x, y, zoom = shift
    return FaceMotion.from_controls(
        slider_controls(tracks, 1), torch.tensor([pose], dtype=torch.float32), torch.tensor([[x, y, 0.0]]),
        torch.tensor([1.0 + zoom]), LEAST_RATE,
        source={"producer": "expression editor"},
    )  # fmt: skip


def expression_motion(values: Mapping[str, Tensor], fps: Fraction) -> FaceMotion:
    """Changes of N frames: tracks [N] of sliders and turns by name; those that are not named stay 0."""
    frames = len(next(iter(values.values())))
    still = torch.zeros(frames)
    pose = torch.stack([values.get(name, still) for name in TURNS], 1)
    sliders = {name: track for name, track in values.items() if name in SLIDERS}
    return FaceMotion.from_controls(
        slider_controls(sliders, frames), pose, torch.zeros(frames, 3), torch.ones(frames), fps,
        source={"producer": "expression editor"},
    )  # fmt: skip


def slider_controls(values: Mapping[str, Tensor], frames: int) -> Tensor:
    """Tracks [N] of slider values in their published units -> controls [N,12]."""
    controls = torch.zeros(frames, len(CONTROLS))
    for name, track in values.items():
        slider = SLIDERS[name]
        unit = torch.full_like(track, slider.unit)
        if name == "eyebrow":
            unit = torch.where(track < 0, FURROW_UNIT, unit)
        controls[:, CONTROLS.index(slider.control)] += track / unit
    return controls


def repeated(motion: FaceMotion, frames: int, fps: Fraction) -> FaceMotion:
    """One frame, held."""
    tracks = ("expression", "pose", "translation", "scale", "controls", "valid")
    return replace(
        motion, fps=fps, **{name: getattr(motion, name)[:1].repeat_interleave(frames, 0) for name in tracks}
    )
