"""How far a batch is, in one line."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

EVERY_SECONDS = 10.0  # where no terminal shows a line in the place of the last


class Progress:
    """Counts rows and tells done, failed and left, clips a minute, and how long the rest may take."""

    def __init__(
        self,
        left: int,
        done: int = 0,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.left, self.done, self.failed, self.through = left, done, 0, 0
        self.stream, self.clock, self.told = stream, clock, -EVERY_SECONDS
        self.first = 0.0  # when the first row was through: until then servers started

    def count(self, failed: bool) -> None:
        """One row more is through."""
        self.left -= 1
        self.through += 1
        if self.through == 1:
            self.first = self.clock()
        self.failed += failed
        self.done += not failed
        self.tell()

    def line(self) -> str:
        """What to show now."""
        text = f"{self.done} done, {self.failed} failed, {self.left} left"
        minutes = (self.clock() - self.first) / 60
        if self.through < 2 or minutes <= 0:
            return text
        rate = (self.through - 1) / minutes
        return f"{text}; {rate:.1f} clips a minute" + (
            f"; about {self.left / rate:.0f} min more" if self.left else ""
        )

    def tell(self) -> None:
        """Show it: in place in a terminal, else now and then and at the end."""
        if self.stream.isatty():
            self.stream.write(f"\r\x1b[K{self.line()}")
        elif self.clock() - self.told >= EVERY_SECONDS or not self.left:
            self.stream.write(self.line() + "\n")
            self.told = self.clock()
        self.stream.flush()

    def say(self, sentence: str) -> None:
        """A line of its own above the progress."""
        self.stream.write(("\r\x1b[K" if self.stream.isatty() else "") + sentence + "\n")
        self.stream.flush()
