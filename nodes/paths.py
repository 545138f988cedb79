"""Files that an artist names by a text: read from ComfyUI's folders alone, written into its output folder alone."""

import os
import unicodedata
from pathlib import Path

import folder_paths

from .gates.values import shown

AROUND = " \t\r\n\"'“”‘’\u200e\u200f\u202a\u202c\ufeff"  # what is copied along with a path
LONGEST_NAME = 200  # bytes of one part of a path; file systems take 255, and a number and an ending are added
NOT_ON_WINDOWS = '<>:"|?*'
DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
}


def readable_file(text: str, name: str = "file") -> Path:
    """A file in ComfyUI's output, input or temp folder, by its name there or its path; else ValueError in words.

    Where a path or a link leads out of these folders, nothing is said of what is there.
    """
    written = unquoted(text, name)
    named = places(written)
    inside = [place for place in named if lies_in(place, folders())]
    found = next((place for place in inside if is_file(place)), None)
    if found is not None:
        return found
    if len(inside) < len(named):
        raise ValueError(
            f"{name} is {shown(written)}, which is outside ComfyUI's output, input and temp folders. Put the "
            "file into the input folder and write its name there."
        )
    raise ValueError(
        f"{name} is {shown(written)}, but there is no such file in ComfyUI's output, input and temp folders. "
        "Look at its spelling and ending, such as motion/face_motion_00001_.safetensors."
    )


def file_fingerprint(text: object) -> list:
    """What changes when the file that `readable_file` gives changes; empty if there is none. It never raises."""
    try:
        path = readable_file(text) if isinstance(text, str) else None
        status = path.stat() if path else None
    except (ValueError, OSError):
        return []
    return [str(path), status.st_mtime_ns, status.st_size] if status else []


def new_file(prefix: str, ending: str, name: str = "filename_prefix") -> Path:
    """The next free numbered file of a prefix in ComfyUI's output folder, which is made; else ValueError in words."""
    written = unquoted(prefix, name).replace("\\", "/")
    output = folder_paths.get_output_directory()
    if not lies_in(Path(output, written), [Path(output)]):
        raise ValueError(
            f"{name} is {shown(written)}, which is outside ComfyUI's output folder. Write a name in it, such "
            "as motion/mine."
        )
    check_names(written, name)
    folder, file, counter, _, _ = folder_paths.get_save_image_path(written, output)
    return Path(folder) / f"{file}_{counter:05}_{ending}"


def unquoted(text: str, name: str) -> str:
    """A path without the blanks, quotation and invisible marks that copying adds; ValueError if it is none."""
    written = text.strip(AROUND)
    if not written:
        raise ValueError(f"{name} is empty; write the name of a file.")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in written):
        raise ValueError(
            f"{name} is {shown(written)}; one of its characters is in no file's name. Write it again."
        )
    return written


def places(written: str) -> list[Path]:
    """Where a file may lie, its path taken as it is written and with the strokes of Windows turned."""
    name, inside = annotated(written)
    ways = dict.fromkeys((name, name.replace("\\", "/")))
    return [folder / way for way in ways for folder in inside]  # an absolute way stays as it is


def annotated(written: str) -> tuple[str, list[Path]]:
    """A name, and the folders to look for it: one, if it is marked as in ComfyUI's menus, such as `a.pkl [output]`."""
    marks = {
        f"[{folder}]": place for folder, place in zip(("output", "input", "temp"), folders(), strict=True)
    }
    name, _, mark = written.rpartition(" ")
    return (name.rstrip(AROUND), [marks[mark]]) if name and mark in marks else (written, folders())


def folders() -> list[Path]:
    """ComfyUI's folders for an artist's files."""
    made = (
        folder_paths.get_output_directory,
        folder_paths.get_input_directory,
        folder_paths.get_temp_directory,
    )
    return [Path(folder()) for folder in made]


def lies_in(place: Path, allowed: list[Path]) -> bool:
    """Whether a path, after all links, lies in one of these folders; another machine or drive is not even asked."""
    if place.drive.lower() not in {folder.drive.lower() for folder in allowed}:
        return False
    try:
        real = place.resolve()
    except (OSError, RuntimeError):  # a ring of links
        return False
    return any(real.is_relative_to(folder.resolve()) for folder in allowed)


def is_file(place: Path) -> bool:
    """Whether there is such a file; a name that no file system takes is none."""
    try:
        return place.is_file()
    except OSError:
        return False


def check_names(written: str, name: str, windows: bool = os.name == "nt") -> None:
    """ValueError in words if a part of a path is no name that the file system takes."""
    parts = [part for part in written.split("/") if part]
    if not parts or not parts[-1].strip("."):
        raise ValueError(
            f"{name} is {shown(written)}, which names no file; write a name such as motion/mine."
        )
    for part in parts:
        if len(part.encode()) > LONGEST_NAME:
            raise ValueError(
                f"{name} has a name of {len(part)} letters ({part[:20]}...); file systems take {LONGEST_NAME}."
            )
        device = part.split(".")[0].strip().lower() in DEVICES
        if windows and (device or set(part) & set(NOT_ON_WINDOWS) or part[-1] in " ."):
            raise ValueError(
                f"{name} holds {part}, which Windows does not take as a name: none has {NOT_ON_WINDOWS}, is "
                "called as a device, or ends with a dot."
            )
