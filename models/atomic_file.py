"""Write a file whole or not at all."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A hidden path beside `path`, with its ending, to write to.

    It takes the place of `path` when the block ends well; after an error or a cancel it is removed, and an
    older `path` stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{uuid.uuid4().hex}.part{path.suffix}")
    try:
        yield hidden
        flush_to_disk(hidden)
        os.replace(hidden, path)
    finally:
        with suppress(OSError):  # the error of the block says more
            hidden.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Have the disk take all of it: some file systems tell only then that they are full."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
