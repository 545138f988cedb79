"""JSON whose numbers, depth and size are bounded before they are read."""

import json
import math
from pathlib import Path
from typing import Any

from .causes import Damaged, reading
from .expansion import check_expansion
from .stream import opened

MOST_DIGITS = {"whole": 18, "decimal": 40}


def load_json(path: Path, largest: int) -> Any:
    """What a JSON file of at most `largest` bytes holds; Unreadable if it is larger, damaged or unbounded."""
    with reading(path), opened(path) as stream:
        if stream.left > largest:
            raise Damaged(f"it has {stream.left} bytes; at most {largest} are taken")
        return parse_json(stream.text(stream.left), largest)


def parse_json(text: str, largest: int) -> Any:
    """What a JSON text of at most `largest` characters holds; Damaged as above."""
    if len(text) > largest:
        raise Damaged(f"it has {len(text)} characters; at most {largest} are taken")
    try:
        content = json.loads(text, parse_int=whole, parse_float=decimal, parse_constant=refused)
    except json.JSONDecodeError as error:
        raise Damaged(f"it is no JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise Damaged("its lists are nested too deeply") from None
    check_expansion(content, len(text))
    return content


def whole(text: str) -> int:
    """An integer that fits 64 bits."""
    if len(text) > MOST_DIGITS["whole"]:
        raise Damaged(f"it holds a number of {len(text)} digits")
    return int(text)


def decimal(text: str) -> float:
    """A finite number."""
    if len(text) > MOST_DIGITS["decimal"] or not math.isfinite(value := float(text)):
        raise Damaged(f"it holds the number {text[:20]}, which is no usable number")
    return value


def refused(word: str) -> float:
    """NaN and Infinity are no JSON numbers, though Python would read them."""
    raise Damaged(f"{word} is no number")
