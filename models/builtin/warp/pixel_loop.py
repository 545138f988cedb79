"""The warp's loop over pixels, compiled for CPUs: PyTorch's operations pass over each some thirty times, this three."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1)
def pixel_loop() -> Callable[..., None] | None:
    """`lay`, compiled, and kept beside this file or in the user's cache; None without Numba, which librosa brings."""
    try:
        from numba import njit
    except ImportError:
        return None
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"nnan", "ninf", "nsz"}}
    try:
        return njit(cache=True, **options)(lay)
    except RuntimeError:  # no folder takes it
        return njit(**options)(lay)


def lay(
    frames: np.ndarray, person: np.ndarray, plate: np.ndarray, places: np.ndarray,
    top: int, left: int, right: int, scale: np.float32, half: np.float32,
) -> None:  # fmt: skip
    """What `composed` and `put` of sampling.py do, for rows of frames [n,H,W,3] from `top` on and their columns
    left..right: the person [H,W,4], matte last, at places [n,2,rows,W], over the plate [H,W,3]; 0..1 is stored times
    `scale`, plus `half`.

    A loop over each row a step, and unsigned places in flat memory: only these does the compiler take many at once.
    """
    tall, wide = person.shape[:2]
    pixels, size = person.reshape(-1), right - left
    corner, over, down = np.empty(size, np.uintp), np.empty(size, np.float32), np.empty(size, np.float32)
    bent = np.empty(4 * size, np.float32)
    zero, one, middle = np.float32(0), np.float32(1), np.float32(0.5)
    last_x, last_y = np.float32(wide - 1), np.float32(tall - 1)
    half_x, half_y = np.float32(0.5 * wide), np.float32(0.5 * tall)
    beside, below, matte = np.uintp(4), np.uintp(4 * wide), np.uintp(3)
    for frame in range(len(frames)):
        for row in range(places.shape[2]):
            line, still = frames[frame, top + row].reshape(-1), plate[top + row].reshape(-1)
            xs, ys = places[frame, 0, row], places[frame, 1, row]
            for i in range(size):
                x = min(max((xs[left + i] + one) * half_x - middle, zero), last_x)
                y = min(max((ys[left + i] + one) * half_y - middle, zero), last_y)
                column, above = min(np.int32(x), np.int32(wide - 2)), min(np.int32(y), np.int32(tall - 2))
                over[i], down[i] = x - np.float32(column), y - np.float32(above)
                corner[i] = 4 * (above * wide + column)
            for i in range(size):
                both = over[i] * down[i]
                right_above, left_below = over[i] - both, down[i] - both
                left_above = one - over[i] - left_below
                for channel in range(4):
                    a = corner[i] + np.uintp(channel)
                    b = a + below
                    bent[4 * i + channel] = (
                        left_above * pixels[a] + right_above * pixels[a + beside]
                        + left_below * pixels[b] + both * pixels[b + beside]
                    )  # fmt: skip
            for i in range(size):
                a, b = np.uintp(4 * i), np.uintp(3 * (left + i))
                seen = one - bent[a + matte]
                for channel in range(3):
                    k = np.uintp(channel)
                    line[b + k] = min(max(bent[a + k] + seen * still[b + k], zero), one) * scale + half
