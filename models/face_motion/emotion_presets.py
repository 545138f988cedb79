"""Emotions as JSON files: one file per emotion, of plain numbers, checked in full before any is used.

A file holds format, version, name (the file's own), licence, about, controls (parts of the rig at intensity
1, see ROWS) and pose_degrees (pitch, yaw, roll). Optional: keypoints, a list of [keypoint 0..20, axis "x",
"y" or "z", offset in keypoint units] for what the rig cannot say.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..weights.safe_files import Unreadable, load_json, shown
from .emotion import NEUTRAL, ROWS, Emotion

FOLDER = Path(__file__).resolve().parent / "emotions"
FORMAT, VERSION = "talking-portrait emotion", 1
LARGEST_FILE = 100_000  # bytes
LIMITS = {"controls": 2.0, "pose_degrees": 30.0, "keypoints": 0.1}  # beyond these a face tears
KNOWN = {"format", "version", "name", "licence", "about", "controls", "pose_degrees", "keypoints"}


def preset_names(folder: Path = FOLDER) -> list[str]:
    """Names of all emotions, neutral first, whether or not their files can be read."""
    return sorted((path.stem for path in folder.glob("*.json")), key=lambda name: (name != NEUTRAL, name))


def load_presets(folder: Path = FOLDER) -> dict[str, Emotion]:
    """Every emotion of a folder by name, neutral first; ValueError that names the file that is wrong."""
    return {name: load_preset(folder / f"{name}.json") for name in preset_names(folder)}


def load_preset(path: Path) -> Emotion:
    """One emotion; ValueError that names the file and the value that is wrong."""
    try:
        return read_preset(load_json(path, LARGEST_FILE), path.stem)
    except ValueError as error:
        reason = error.reason if isinstance(error, Unreadable) else error
        raise ValueError(
            f"the preset {path.name} cannot be used: {reason}. Correct the file, or take it away."
        ) from None


def read_preset(data: Any, name: str) -> Emotion:
    """An emotion from what the file holds; ValueError that names the entry."""
    if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("version") != VERSION:
        raise ValueError(f"format and version must be {FORMAT!r} and {VERSION}")
    if unknown := sorted(set(data) - KNOWN):
        raise ValueError(
            f"there is no entry called {shown(', '.join(unknown))}; there are {', '.join(sorted(KNOWN))}"
        )
    if data.get("name") != name or not name.isidentifier():
        raise ValueError(
            f"name is {shown(data.get('name'))}; it must be the file's: letters, digits and _, a letter first"
        )
    licence = data.get("licence")
    if not isinstance(licence, str) or not licence:
        raise ValueError("licence is missing; say under which licence the numbers may be used")
    controls, pose = data.get("controls", {}), data.get("pose_degrees", [0, 0, 0])
    if not isinstance(controls, Mapping) or set(controls) - set(ROWS):
        raise ValueError(f"controls must be numbers by name, of {', '.join(ROWS)}")
    if not isinstance(pose, list) or len(pose) != 3:
        raise ValueError("pose_degrees must be three numbers: pitch, yaw, roll")
    numbers = {key: checked(value, "controls", key) for key, value in controls.items()}
    turn = tuple(
        checked(value, "pose_degrees", axis)
        for value, axis in zip(pose, ("pitch", "yaw", "roll"), strict=True)
    )
    emotion = Emotion.from_controls(name, numbers, turn, licence)
    return replace(emotion, extra=with_keypoints(emotion.extra, data.get("keypoints", [])))


def with_keypoints(extra: Any, entries: Any) -> Any:
    """Offsets [21,3] with the file's own entries; ValueError that says what an entry must be."""
    extra = extra.clone()
    if not isinstance(entries, list):
        raise ValueError("keypoints must be a list of [keypoint, axis, offset]")
    for entry in entries:
        right = (
            isinstance(entry, list)
            and len(entry) == 3
            and type(entry[0]) is int
            and entry[1] in ("x", "y", "z")
        )
        if not right or not 0 <= entry[0] < len(extra):
            raise ValueError(
                f"keypoints holds {shown(entry)}; [keypoint 0..{len(extra) - 1}, 'x', 'y' or 'z', offset] is needed"
            )
        extra[entry[0], "xyz".index(entry[1])] = checked(entry[2], "keypoints", f"{entry[0]}{entry[1]}")
    return extra


def checked(value: Any, group: str, key: str) -> float:
    """A finite number within the group's limit."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or abs(value) > LIMITS[group]
    ):
        raise ValueError(
            f"{group} {key} is {shown(value)}; a number within -{LIMITS[group]:g} and {LIMITS[group]:g} is needed"
        )
    return float(value)
