"""Editing what eyes and lips do: named controls, blinks, gaze, silence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from .container import FaceMotion
from .intensity import rest_frame
from .operations import blend, pinned
from .rig import CONTROLS, controls_to_expression

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


def set_controls(motion: FaceMotion, changes: Mapping[str, Tensor]) -> FaceMotion:
    """Replace named controls by tracks [N]; the expression changes by what the rig gives for the difference."""
    controls = motion.controls.clone()
    for name, track in changes.items():
        if name not in CONTROLS:
            raise ValueError(f"face motion: there is no control {name!r}; there are {', '.join(CONTROLS)}.")
        controls[:, CONTROLS.index(name)] = track
    difference = controls_to_expression(controls) - controls_to_expression(motion.controls)
    return replace(pinned(motion), controls=controls, expression=motion.expression + difference)


def control(motion: FaceMotion, name: str) -> Tensor:
    """One control [N] as a change from the motion's rest."""
    return motion.controls[:, CONTROLS.index(name)] - rest_frame(motion).controls[CONTROLS.index(name)]


def set_about_rest(motion: FaceMotion, changes: Mapping[str, Tensor]) -> FaceMotion:
    """Replace named controls by tracks [N] that are changes from the motion's rest."""
    rest = rest_frame(motion).controls
    return set_controls(motion, {name: rest[CONTROLS.index(name)] + track for name, track in changes.items()})


def scale_blinks(motion: FaceMotion, factor: float) -> FaceMotion:
    """Blinks made deeper or shallower, never further than shut; 0 keeps the eyes as they are at rest, 1 changes nothing."""
    if factor == 1.0:
        return motion
    tracks = {name: control(motion, name) for name in BLINKS}
    return set_about_rest(motion, {name: torch.minimum(factor * t, t.clamp(min=1.0)) for name, t in tracks.items()})


def insert_blinks(motion: FaceMotion, times: Sequence[float], seconds: float = 0.3, amount: float = 1.0) -> FaceMotion:
    """Blinks that are shut at `times` (seconds) and last `seconds` from open to open; lids close twice as fast as they open."""
    now = (torch.arange(len(motion), dtype=torch.float64) + 0.5) / float(motion.fps)
    shut = torch.zeros(len(motion))
    for time in times:
        # The frame nearest to the time is the shut one, or a blink between two frames would never close.
        away = now - now[(now - time).abs().argmin()] if len(motion) else now
        part = torch.where(away < 0, -3 * away, 1.5 * away) / seconds
        inside = -seconds <= time <= motion.seconds + seconds
        shut = torch.maximum(shut, amount * inside * (0.5 + 0.5 * torch.cos(torch.pi * part.clamp(max=1))).float())
    return set_about_rest(motion, {name: torch.maximum(control(motion, name), shut) for name in BLINKS})


def set_gaze(motion: FaceMotion, x: Tensor | float, y: Tensor | float, replace_own: bool = True) -> FaceMotion:
    """Look along x, y (-1..1, picture's right and up; one number or a track [N]), instead of or on top of the own gaze."""
    tracks = {"gazeX": x, "gazeY": y}
    wanted = {name: torch.as_tensor(t, dtype=torch.float32).expand(len(motion)) for name, t in tracks.items()}
    if not replace_own:
        wanted = {name: (control(motion, name) + track).clamp(-1, 1) for name, track in wanted.items()}
    return set_about_rest(motion, wanted)


def gate_silence(motion: FaceMotion, speech: Tensor) -> FaceMotion:
    """Lips at rest where `speech` [N] (0..1) is 0, as they are where it is 1; ValueError if lengths differ."""
    if tuple(speech.shape) != (len(motion),):
        raise ValueError(f"face motion: speech has shape {tuple(speech.shape)}, but there are {len(motion)} frames.")
    motion, rest = pinned(motion), rest_frame(motion)
    still = replace(
        motion,
        expression=rest.expression.expand_as(motion.expression),
        controls=rest.controls.expand_as(motion.controls),
    )
    return blend(motion, still, 1 - speech.float().clamp(0, 1), ("lips",))
