"""A binary file, read in pieces; each is compared with the rest of the file before room is made for it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path

from .causes import Damaged

LONGEST_LINE = 256


class Stream:
    """`size` bytes of an open file, from where it stands."""

    def __init__(self, file: BufferedIOBase, size: int):
        self.file, self.left = file, size

    def take(self, count: int) -> bytes:
        """The next `count` bytes; Damaged if there are fewer."""
        self.left -= count
        if self.left < 0:
            raise Damaged("it ends too early")
        data = self.file.read(count)
        if len(data) != count:
            raise Damaged("it ends too early")
        return data

    def number(self, size: int, signed: bool = False) -> int:
        """An integer of `size` bytes, the lowest first."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def text(self, size: int) -> str:
        """UTF-8 of `size` bytes."""
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged("a text in it is no UTF-8") from None

    def line(self) -> str:
        """ASCII up to the next line feed."""
        data = self.file.readline(LONGEST_LINE)
        self.left -= len(data)
        if self.left < 0 or not data.endswith(b"\n") or not data.isascii():
            raise Damaged("a name in it is damaged")
        return data[:-1].decode("ascii")

    def fill(self, room: memoryview) -> None:
        """The next bytes, as many as `room` has."""
        self.left -= len(room)
        while room and self.left >= 0:
            count = self.file.readinto(room)
            if not count:
                break
            room = room[count:]
        if room:
            raise Damaged("it ends too early")


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """All of a file; OSError if it cannot be opened, Damaged if it is no file or empty."""
    with open(path, "rb", opener=opened_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Damaged("it is no file")
        if status.st_size == 0:
            raise Damaged("it is empty; the download went wrong")
        yield Stream(file, status.st_size)


def opened_without_waiting(path: str, flags: int) -> int:
    """Open a pipe, too, without waiting for somebody who writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
