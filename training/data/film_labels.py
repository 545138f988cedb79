"""Who speaks in a film and in which mood, told by the folders that it lies in.

All of these are read: person/film, emotion/film, person/emotion/film, emotion/person/film,
person/emotion/level_2/film, and MEAD's M003/video/front/fear/level_3/001.mp4. An emotion has any of its names (fear,
fearful), a level is 1 to 3.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...models.face_motion.emotion_names import EMOTIONS, emotion_name

LEVELS = 3  # as MEAD has them; the highest is full intensity
LEVEL = re.compile(r"level[ _-]?(\d+)", re.IGNORECASE)
NOBODY = {
    "video",
    "videos",
    "audio",
    "front",
    "down",
    "top",
    "left_30",
    "left_60",
    "right_30",
    "right_60",
}  # MEAD's views


@dataclass(frozen=True)
class FilmLabel:
    """A film's person, emotion ("" if none is known) and its intensity 0..1; doubt: what its folders say wrongly."""

    person: str
    emotion: str = ""
    intensity: float = 1.0
    doubt: str = ""


def told_by_folders(film: Path, folder: Path) -> FilmLabel:
    """By the folders between `folder` and the film; one that names nobody is of a person of its own."""
    parts = [part for part in film.relative_to(folder).parts[:-1] if part.lower() not in NOBODY]
    levels = [int(found.group(1)) for part in parts if (found := LEVEL.fullmatch(part))]
    moods = [part for part in parts if emotion_name(part)]
    people = [part for part in parts if part not in moods and not LEVEL.fullmatch(part)]
    if not people and len(moods) > 1:  # a person called Joy
        people, moods = moods[:1], moods[1:]
    person = people[0] if people else film.stem
    emotions = sorted({name for mood in moods if (name := emotion_name(mood))})
    if doubt := doubted(people, emotions, levels):
        return FilmLabel(person, doubt=doubt)
    intensity = levels[0] / LEVELS if levels and emotions != ["neutral"] else 1.0  # calm has no degrees
    return FilmLabel(person, emotions[0] if emotions else "", intensity)


def doubted(people: list[str], emotions: list[str], levels: list[int]) -> str:
    """What is wrong with a film's folders in a few words, or nothing."""
    if len(emotions) > 1:
        return f"both {' and '.join(emotions)}"
    if len(levels) > 1 or any(not 1 <= level <= LEVELS for level in levels):
        return f"level {' and '.join(map(str, levels))}, of levels 1 to {LEVELS}"
    if levels and not emotions:
        return "a level without an emotion"
    return f"{' and '.join(people)}, none of which is an emotion" if len(people) > 1 and not emotions else ""


def summary(labels: Mapping[str, FilmLabel]) -> str:
    """What the folders of films (by name) say of emotions, in sentences; "" if all have one."""
    without = [name for name, label in labels.items() if not label.emotion]
    if not without:
        return ""
    lines = [
        f"{len(without)} of {len(labels)} films have no emotion, so they teach speech and no mood: "
        f"{some(without)}. Films lie in folders of their emotion: {', '.join(EMOTIONS)}."
    ]
    for doubt in sorted({labels[name].doubt for name in without} - {""}):
        doubtful = [name for name in without if labels[name].doubt == doubt]
        lines.append(f"Their folders say {doubt}: {some(doubtful)}.")
    return "\n".join(lines)


def some(names: list[str], most: int = 5) -> str:
    """The first of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
