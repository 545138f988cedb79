"""Pickles of numpy arrays and plain containers, as motion templates are."""

from pathlib import Path
from typing import Any

import numpy as np

from .causes import Damaged, reading
from .expansion import check_expansion
from .numpy_parts import NumpyParts
from .pickle_machine import PickleMachine
from .stream import opened

MOST_STEPS = 20_000_000  # about 35 hours of a template at 25 frames per second would need more


def load_arrays(path: Path) -> Any:
    """Arrays, numbers, texts, lists, tuples and dicts; Unreadable if it is damaged or asks for more."""
    with reading(path), opened(path) as stream:
        size = stream.left
        content = PickleMachine(stream, NumpyParts(), MOST_STEPS).run()
        check_expansion(content, size, described_bytes)
        return content


def described_bytes(value: Any) -> int:
    """Bytes that a value stands for; Damaged if it is nothing that an array pickle holds in the end."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.nbytes
    if isinstance(value, (str, bytes)):
        return len(value)
    if value is None or isinstance(value, (bool, int, float)):
        return 1
    raise Damaged("an array in it was never filled")


def numbers(value: Any) -> np.ndarray:
    """Arrays or lists of numbers as one float32 array; Damaged if it is neither, or not finite."""
    try:
        with np.errstate(over="ignore"):
            array = np.array(value, np.float32)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise Damaged("no array of numbers") from None
    if not np.isfinite(array).all():
        raise Damaged("not finite")
    return array
