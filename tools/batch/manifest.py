"""What a batch is to make: rows of a JSONL or CSV file, each with an id, files for loaders, and overrides."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = {
    "image": "LoadImage",
    "audio": "LoadAudio",
    "video": "LoadVideo",
}  # column -> the loader that gets it
KNOWN = ("id", *FILES, "workflow")
LONGEST_ID = 120
FORBIDDEN = set('/\\:*?"<>|')


class ManifestError(ValueError):
    """A manifest that cannot be worked on; the message has one line per fault."""


@dataclass(frozen=True)
class Row:
    """One clip. files: column of FILES -> path. overrides: "node title or id.input" -> value. line: in the manifest.

    folder: from which paths in overrides are taken.
    """

    id: str
    workflow: Path
    folder: Path
    files: Mapping[str, Path]
    overrides: Mapping[str, Any]
    line: int

    @property
    def place(self) -> str:
        """How messages name it."""
        return f"line {self.line} ({self.id})"

    def fingerprint(self, workflow_hash: str) -> str:
        """Changes with what the row asks for; not with the contents of its files of sound and pictures."""
        asked = [workflow_hash, {key: str(path) for key, path in self.files.items()}, dict(self.overrides)]
        return short_hash(json.dumps(asked, sort_keys=True, ensure_ascii=False).encode())


def short_hash(data: bytes) -> str:
    """Sixteen hexadecimal digits that stand for these bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def read_manifest(path: Path, workflow: Path) -> list[Row]:
    """The rows of a .jsonl or .csv; `workflow` is that of rows without one. Paths are taken from the manifest's folder.

    ManifestError with every fault of the manifest itself. Whether a row's files are there is not looked at.
    """
    reader = {".jsonl": json_lines, ".csv": csv_lines}.get(path.suffix.lower())
    if reader is None:
        raise ManifestError(f"{path}: a manifest ends in .jsonl or .csv.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read: {error}") from None
    rows, faults = [], []
    lines: dict[str, int] = {}
    for line, given in reader(text):
        try:
            row = row_of(given, line, path.parent, workflow)
            if row.id.casefold() in lines:
                raise ValueError(
                    f"id {row.id!r} is that of line {lines[row.id.casefold()]} too; ids are unique."
                )
        except ValueError as error:
            faults.append(f"line {line}: {error}")
            continue
        lines[row.id.casefold()] = line
        rows.append(row)
    if faults:
        raise ManifestError("\n".join(faults))
    if not rows:
        raise ManifestError(f"{path} has no rows.")
    return rows


def json_lines(text: str) -> Iterator[tuple[int, Any]]:
    """Number and value of each line that is not empty; a fault is given as a ValueError in the value's place."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, ValueError(f"no JSON object: {error}.")


def csv_lines(text: str) -> Iterator[tuple[int, Any]]:
    """The same of a table with a line of column names; empty cells are left out."""
    reader = csv.DictReader(text.splitlines(keepends=True), restkey="")
    for cells in reader:
        if "" in cells:
            yield reader.line_num, ValueError("more cells than the first line has names.")
        else:
            yield reader.line_num, {name: cell for name, cell in cells.items() if cell not in ("", None)}


def row_of(given: Any, line: int, folder: Path, workflow: Path) -> Row:
    """One row from what its line says; ValueError in words."""
    if isinstance(given, ValueError):
        raise given
    if not isinstance(given, dict):
        raise ValueError("no JSON object of names and values.")
    unknown = [name for name in given if name not in KNOWN and "." not in name]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} is no column. There are {', '.join(KNOWN)}, and overrides, which are called "
            '"node title.input".'
        )
    for name in KNOWN:
        if name in given and not (isinstance(given[name], str) and given[name].strip()):
            raise ValueError(f"{name} is {given[name]!r}; it must be text.")
    return Row(
        id=checked_id(given.get("id")),
        workflow=folder / given["workflow"] if "workflow" in given else workflow,
        folder=folder,
        files={name: folder / given[name] for name in FILES if name in given},
        overrides={name: value for name, value in given.items() if name not in KNOWN},
        line=line,
    )


def checked_id(given: Any) -> str:
    """An id that a file can be called by on every system; ValueError otherwise."""
    if given is None:
        raise ValueError("it has no id.")
    bad = FORBIDDEN & set(given) or not given.isprintable() or given != given.strip() or given[0] == "."
    if bad or given.endswith(".") or len(given) > LONGEST_ID:
        raise ValueError(
            f"id {given[:LONGEST_ID]!r} cannot be a file's name: at most {LONGEST_ID} letters, no "
            f"{' '.join(sorted(FORBIDDEN))}, no dot at either end."
        )
    return given
