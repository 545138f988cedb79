"""Bytes at another size exactly as OpenCV makes them (INTER_LINEAR), whose whole numbers lose a little at every step:
SyncNet's scores feel it."""

import numpy as np

BITS = 11  # of a weight


def resized_as_opencv(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bytes [H,W,C] -> [height,width,C]."""
    if picture.shape[:2] == (height, width):
        return picture
    rows, row_weights = places(picture.shape[0], height, at_ends=True)
    columns, weights = places(picture.shape[1], width)
    levels = picture.astype(np.int32)
    left, right = (levels[:, columns[side]] * weights[side][None, :, None] for side in (0, 1))
    across = (left + right) >> 4
    upper, lower = ((row_weights[side][:, None, None] * across[rows[side]]) >> 16 for side in (0, 1))
    return ((upper + lower + 2) >> 2).clip(0, 255).astype(np.uint8)


def places(size: int, wanted: int, at_ends: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The two pixels [2,wanted] of a side that each new one lies between, and their weights in parts of 2048.

    at_ends: beyond the ends one pixel stands for both, with both weights, which OpenCV does for rows alone.
    """
    at = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    first = np.floor(at).astype(int)
    part = at - first.astype(np.float32)
    if not at_ends:
        part[(first < 0) | (first >= size - 1)] = 0
    weights = np.rint(np.stack([1 - part, part]) * (1 << BITS)).astype(np.int32)
    return np.stack([first, first + 1]).clip(0, size - 1), weights
