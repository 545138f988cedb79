"""When a sound was spoken, told from when its pieces arrived."""

from collections import deque

REMEMBERED = 5.0  # seconds


class SoundClock:
    """Counts samples of a stream that runs in real time.

    A piece arrives late by chance and never early, so of the last pieces the one that came soonest tells when the
    stream began. A microphone that pauses is followed within REMEMBERED seconds.
    """

    def __init__(self, rate: int):
        self.rate, self.samples = rate, 0
        self.begins: deque[tuple[float, float]] = deque()  # arrival, and what it says of the stream's begin

    def heard(self, samples: int, arrived: float) -> None:
        """So many samples more, the last of which was spoken when they arrived."""
        self.samples += samples
        self.begins.append((arrived, arrived - self.samples / self.rate))
        while arrived - self.begins[0][0] > REMEMBERED:
            self.begins.popleft()

    def spoken(self, second: float) -> float:
        """The time at which that second of the stream was spoken; ValueError before any sound."""
        return min(begin for _, begin in self.begins) + second
