"""What a bad file may cause while it is read, and the sentence that comes of it."""

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

BAD_CONTENT = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, RuntimeError,
    TypeError, ValueError, SafetensorError, struct.error, zipfile.BadZipFile, zipfile.LargeZipFile,
    zlib.error,
)  # fmt: skip
OF_THE_CONTENT = {
    errno.EINVAL,
    errno.ERANGE,
    errno.EOVERFLOW,
    None,
}  # a wrong place to read from was computed from the file
DAMAGED = "it is damaged, or was cut short"
NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "not enough memory")
SHOWN_LENGTH = 60


class Damaged(ValueError):
    """Why a file cannot be read, in words that follow "it cannot be read, because"."""


class Unreadable(ValueError):
    """A sentence that names a file and says why it cannot be read; `reason` is the second half."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path.name} cannot be read ({reason}).")
        self.reason = reason


class TooLittleMemory(ValueError):
    """The file may be right, but the computer's memory is full."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What a bad file can cause leaves as Unreadable, an allocation that fails as TooLittleMemory."""
    with enough_memory(path):
        try:
            yield
        except (Unreadable, TooLittleMemory):
            raise
        except Damaged as error:
            raise Unreadable(path, str(error)) from None
        except (OSError, *BAD_CONTENT) as error:
            if is_out_of_memory(error):
                raise
            reason = about_disk(path, error) if isinstance(error, OSError) else DAMAGED
            raise Unreadable(path, reason) from error


@contextmanager
def enough_memory(path: Path) -> Iterator[None]:
    """An allocation that fails leaves as a sentence that does not blame the file."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError, SafetensorError) as error:
        if not is_out_of_memory(error):
            raise
        size = path.stat().st_size / 1e6
        raise TooLittleMemory(
            f"there is not enough memory to load {path.name} ({size:.0f} MB); close other programs, or free "
            "models that ComfyUI still holds, and run again."
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the CPU's memory is full, which torch tells in words only. A GPU's is ComfyUI's to handle."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY)


def about_disk(path: Path, error: OSError) -> str:
    """Why a path cannot be opened or read."""
    if path.is_dir():
        return "it is a folder, not a file"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "this user may not read it"
    return DAMAGED if error.errno in OF_THE_CONTENT else f"the disk says: {error.strerror}"


def shown(value: Any) -> str:
    """A value from a file, short enough for a sentence."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits, very deep lists
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."
