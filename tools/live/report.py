"""What became of a live voice's frames: shown, dropped, and how long after their sound."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BIN = 0.02  # seconds


@dataclass
class Report:
    """Counts. delays: shown frames by bins of BIN seconds between sound and frame. skipped_seconds: of sound that could
    not be heard in time."""

    shown: int = 0
    dropped: int = 0
    skipped_seconds: float = 0.0
    delays: Counter[int] = field(default_factory=Counter)

    def show(self, delay: float) -> None:
        """One frame more was shown, so many seconds after its sound."""
        self.shown += 1
        self.delays[math.floor(delay / BIN)] += 1

    def delay(self, share: float) -> float | None:
        """Seconds that this share of the frames stays below, None before any frame."""
        wanted, count = share * self.shown, 0
        for place in sorted(self.delays):
            count += self.delays[place]
            if count >= wanted:
                return round((place + 1) * BIN, 3)
        return None

    def told(self) -> dict[str, Any]:
        """As a page and a file of results take it."""
        return {
            "shown": self.shown, "dropped": self.dropped, "skipped_seconds": round(self.skipped_seconds, 2),
            "delay_median": self.delay(0.5), "delay_95": self.delay(0.95), "delay_worst": self.delay(1.0),
            "histogram": {f"{place * BIN:.2f}": count for place, count in sorted(self.delays.items())},
        }  # fmt: skip

    def line(self) -> str:
        """In one line."""
        dropped = f"{self.shown} frames shown, {self.dropped} dropped"
        if not self.shown:
            return dropped
        return f"{dropped}; {self.delay(0.5):.2f} s behind the sound, at worst {self.delay(1.0):.2f} s"
