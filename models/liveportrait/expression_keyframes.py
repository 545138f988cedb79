"""Expressions at times, as artists write them, and the motion that goes smoothly from one to the next."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ..face_motion.curve import Curve, finite
from .expression_sliders import SLIDERS, TURNS, limits

EXAMPLE = "0: smile=0\n1.5: smile=0.8, yaw=5"
LONGEST = 600.0  # seconds
MOST = 1000  # lines
NAMES = (*SLIDERS, *TURNS)


@dataclass(frozen=True)
class Keyframe:
    """An expression at a time in seconds; sliders that it does not name are 0."""

    seconds: float
    values: Mapping[str, float]


def parse_keyframes(text: str) -> tuple[Keyframe, ...]:
    """Lines `seconds: slider=value, slider=value`, sorted by time; ValueError that starts with "keyframes" else.

    A time alone (`2:`) is the picture's own expression. Empty lines are left out.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST:
        raise ValueError(f"keyframes has {len(lines)} lines; at most {MOST} are taken.")
    found = sorted(map(parse_line, lines), key=lambda keyframe: keyframe.seconds)
    for before, after in zip(found, found[1:], strict=False):
        if before.seconds == after.seconds:
            raise ValueError(f"keyframes has two lines for {after.seconds:g} s; keep one of them.")
    return tuple(found)


def parse_line(line: str) -> Keyframe:
    """One line; ValueError that shows it where it is none."""
    time, colon, rest = line.partition(":")
    if not colon:
        raise ValueError(
            f"keyframes: {shown(line)} has no time; write seconds: slider=value, such as {example()}."
        )
    seconds = number(time, line)
    if not 0 <= seconds <= LONGEST:
        raise ValueError(f"keyframes: {shown(line)} is at {seconds:g} s; 0 to {LONGEST:g} s are possible.")
    values: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in NAMES:
            raise ValueError(
                f"keyframes: {shown(part)} in {shown(line)} is no slider=value; the sliders are {', '.join(NAMES)}."
            )
        if name in values:
            raise ValueError(f"keyframes: {shown(line)} names {name} twice; keep one of them.")
        values[name] = number(value, line)
        low, high = limits(name)
        if not low <= values[name] <= high:
            raise ValueError(
                f"keyframes: {name}={values[name]:g} in {shown(line)} is out of range; {low:g} to {high:g} is possible."
            )
    return Keyframe(seconds, values)


def values_at(keyframes: Sequence[Keyframe], seconds: Tensor) -> dict[str, Tensor]:
    """Tracks [N] of every slider that a keyframe names, at times [N]: eased between keyframes, held outside them."""
    named = dict.fromkeys(name for keyframe in keyframes for name in keyframe.values)
    return {
        name: Curve(tuple((one.seconds, one.values.get(name, 0.0)) for one in keyframes)).at(seconds)
        for name in named or ("smile",)
    }


def frame_times(keyframes: Sequence[Keyframe], fps: Fraction, frames: int | None = None) -> Tensor:
    """Seconds [N] of a motion's frames: `frames` of them, else until the last keyframe, at least one."""
    if frames is None:
        frames = max(1, math.floor(Fraction(keyframes[-1].seconds) * fps + Fraction(1, 2)))
    # a frame shows the middle of its time, as everywhere else in the pack
    return (torch.arange(frames, dtype=torch.float64) + 0.5) / float(fps)


def number(text: str, line: str) -> float:
    """A finite number; ValueError that shows the line otherwise."""
    value = finite(text)
    if value is None:
        raise ValueError(
            f"keyframes: {shown(text)} in {shown(line)} is no number; write it such as {example()}."
        )
    return value


def shown(text: str) -> str:
    """The beginning of a text, quoted."""
    return repr(text.strip()[:60])


def example() -> str:
    """A line that is right."""
    return EXAMPLE.splitlines()[-1]
