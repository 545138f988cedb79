"""Frames per second in a file: bounded before they are computed with."""

import numbers
import re
from fractions import Fraction
from typing import Any

import numpy as np

from ..weights.safe_files import shown

LEAST, MOST, MOST_PARTS = Fraction(1, 1000), 1000, 10**15
PATTERN = re.compile(r"[0-9]{1,60}(/[0-9]{1,60})?|[0-9]{1,4}\.[0-9]{1,15}")


def parse_rate(text: Any) -> Fraction:
    """A rate written as "a/b" or as a decimal; ValueError if it is neither, or out of range."""
    if not isinstance(text, str) or not PATTERN.fullmatch(text) or re.search("/0+$", text):
        raise wrong_rate(shown(text))
    return checked_rate(Fraction(text))


def written_rate(rate: Fraction) -> str:
    """A rate as parse_rate takes it, exact up to fractions of 15 digits; ValueError if it is out of range."""
    return str(checked_rate(rate).limit_denominator(MOST_PARTS))


def rate_of(value: Any) -> Fraction:
    """A rate given as a number, also as an array of one; ValueError as above."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise wrong_rate("no number")
    if value <= 0 or not value <= MOST:  # NaN is neither
        raise wrong_rate(shown(value.item() if isinstance(value, np.generic) else value))
    return checked_rate(Fraction(float(value)).limit_denominator(1000))


def checked_rate(rate: Fraction) -> Fraction:
    """The rate itself if it is in range."""
    if not LEAST <= rate <= MOST:
        raise wrong_rate(f"{float(rate):g}")
    return rate


def wrong_rate(found: str) -> ValueError:
    """What to say of a rate."""
    return ValueError(f"its frames per second are {found}; {float(LEAST):g} to {MOST} are possible.")
