"""A value over time, as artists write it: a number, or a list of seconds:value."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

EXAMPLE = "0:0, 1.5:1, 4:0.3"


@dataclass(frozen=True)
class Curve:
    """Points (seconds, value), seconds rising. Between two points the value eases over without overshoot;
    outside it holds."""

    points: tuple[tuple[float, float], ...]

    @classmethod
    def constant(cls, value: float) -> "Curve":
        """One value all the time."""
        return cls(((0.0, float(value)),))

    @classmethod
    def parse(cls, text: str, name: str, high: float = math.inf) -> "Curve":
        """From a number or `seconds:value, seconds:value`; ValueError that starts with `name` if neither, or
        out of 0..high."""
        if ":" not in text:
            points = [(0.0, number(text, name))]
        else:
            points = [timed(part, name) for part in text.replace("\n", ",").split(",") if part.strip()]
        for (before, _), (after, _) in zip(points, points[1:], strict=False):
            if after <= before:
                raise ValueError(
                    f"{name}: {after:g} s comes after {before:g} s; write the times in rising order."
                )
        for seconds, value in points:
            if seconds < 0 or not 0 <= value <= high:
                limits = "0 or above" if math.isinf(high) else f"within 0 and {high:g}"
                raise ValueError(
                    f"{name}: {seconds:g}:{value:g} is out of range; times are 0 or above and values {limits}."
                )
        return cls(tuple(points))

    def at(self, seconds: Tensor) -> Tensor:
        """Values [N] float32 at times [N]."""
        value = torch.full_like(seconds, self.points[0][1])
        for (start, first), (end, last) in zip(self.points, self.points[1:], strict=False):
            part = ((seconds - start) / (end - start)).clamp(0, 1)
            value = torch.where(
                seconds >= start, first + (last - first) * part * part * (3 - 2 * part), value
            )
        return value.float()


def number(text: str, name: str) -> float:
    """A finite number; ValueError that starts with `name` otherwise."""
    value = finite(text)
    if value is None:
        raise ValueError(
            f"{name}: {text.strip()!r} is no number; write a number, or seconds:value such as {EXAMPLE}."
        )
    return value


def finite(text: str) -> float | None:
    """A finite number, None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def timed(text: str, name: str) -> tuple[float, float]:
    """`seconds:value` as two numbers."""
    seconds, colon, value = text.partition(":")
    if not colon:
        raise ValueError(
            f"{name}: {text.strip()!r} has no time; write seconds:value everywhere, such as {EXAMPLE}."
        )
    return number(seconds, name), number(value, name)
