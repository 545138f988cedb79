"""A film's frames at one steady rate, as scores that count frames need them."""

from collections.abc import Iterator
from fractions import Fraction

from torch import Tensor

from ..media.film_reader import Film


def even_frames(film: Film, fps: Fraction) -> Iterator[Tensor]:
    """Pixels [H,W,3] in 0..1 that are shown in the middle of each frame's time, from the start of the film's clock on.

    A film of that very rate gives each of its frames once. ValueError where there are none.
    """
    clock, given, held = film.clock, 0, None
    for frame in film.frames():
        start = frame.stamp * clock
        while held is not None and (given + Fraction(1, 2)) / fps < start:
            yield held
            given += 1
        if held is None:  # what the film shows first stands for what is before it
            while (given + 1) / fps <= start:
                yield frame.pixels
                given += 1
        held = frame.pixels
    if held is None:
        raise ValueError("video has 0 frames, so there is nothing to measure. Choose another file.")
    yield held
