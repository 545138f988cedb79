"""Gates for what an artist types or chooses: numbers, switches, texts and menus. Each gives the value or
raises ValueError."""

import math
import numbers
from typing import Any

import numpy as np
from comfy_api.latest import io

LONGEST_TEXT = 100_000  # characters
LISTED = 12  # choices that a message names


def gate_float(entry: io.Float.Input, value: Any) -> float:
    """A finite number within the slider's ends."""
    return float(within_range(entry, real_number(entry, value)))


def gate_int(entry: io.Int.Input, value: Any) -> int:
    """A whole number within the slider's ends; 3.0 counts as one."""
    number = real_number(entry, value)
    if number != int(number):
        raise ValueError(f"{entry.id} is {number:g}; a whole number {span(entry)} is needed.")
    return within_range(entry, int(number))


def real_number(entry: Any, value: Any) -> Any:
    """A finite number; ValueError that says what was there instead."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise ValueError(f"{entry.id} is {shown(value)}; a number {span(entry)} is needed.")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an int that no float holds is finite
        finite = True
    if not finite:
        raise ValueError(f"{entry.id} is {value} (no number); set it to a number {span(entry)}.")
    return value


def within_range(entry: Any, number: Any) -> Any:
    """The number, if it lies within the input's range."""
    low, high = entry.min, entry.max
    if (low is not None and number < low) or (high is not None and number > high):
        # of longer ints there is no float
        text = f"{float(number):g}" if abs(number) < 1e300 else "far out of range"
        raise ValueError(f"{entry.id} is {text}; it must be {span(entry)}.")
    return number


def span(entry: Any) -> str:
    """The range of an input in words."""
    if entry.min is None or entry.max is None:
        return (
            "of any size"
            if entry.min is entry.max
            else f"from {entry.min}"
            if entry.max is None
            else f"up to {entry.max}"
        )
    return f"from {entry.min:g} to {entry.max:g}"


def gate_boolean(entry: io.Boolean.Input, value: Any) -> bool:
    """On or off."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{entry.id} is {shown(value)}; true or false is needed.")
    return bool(value)


def gate_string(entry: io.String.Input | io.Combo.Input, value: Any) -> str:
    """A text of bounded length without zero bytes."""
    if not isinstance(value, str):
        raise ValueError(f"{entry.id} is {shown(value)}; a text is needed.")
    if "\0" in value:
        raise ValueError(f"{entry.id} holds a zero byte, which no text has; write it again.")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{entry.id} has {len(value)} characters; at most {LONGEST_TEXT} are taken.")
    return value


def gate_combo(entry: io.Combo.Input, value: Any) -> Any:
    """One of the menu's choices, or another name that the menu knows for one; any text, if the menu takes texts."""
    if getattr(entry, "takes_text", False):
        return gate_string(entry, value)
    if isinstance(value, str):
        value = getattr(entry, "aliases", {}).get(value, value)
    if isinstance(value, (str, int)) and value in (*entry.options, *getattr(entry, "unlisted", ())):
        return value
    choices = ", ".join(map(str, entry.options[:LISTED])) + (", ..." if len(entry.options) > LISTED else "")
    own = getattr(
        entry, "unlisted", ()
    )  # of a menu of one weight's files, whose tooltip says what belongs there
    empty = "its menu is empty; put the file into its folder and press R in the page"
    if own:
        empty = f"its menu is empty. {entry.tooltip} Put it there under this name and press R in the page"
    hint = f"choose one of: {choices}" if entry.options else empty
    raise ValueError(f"{entry.id} is {shown(value)}, which is not in its menu; {hint}.")


def shown(value: Any) -> str:
    """A wrong value in a few words."""
    if value is None:
        return "empty"
    if isinstance(value, (str, bytes)):
        text = repr(value[:60])
        return text if len(value) <= 60 else f"{text[:-1]}...{text[-1]}"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    return f"a {type(value).__name__}"


VALUE_GATES = {
    "FLOAT": gate_float,
    "INT": gate_int,
    "BOOLEAN": gate_boolean,
    "STRING": gate_string,
    "COMBO": gate_combo,
}
