"""CPBD: how much of a picture's edges look sharp (Narvekar and Karam 2011), with the numbers of cpbd 1.0.7."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve

from .canny import canny

BLOCK, EDGE_SHARE = 64, 0.002  # pixels; share of a block's pixels that makes it a block with edges
CONTRAST, NARROW, WIDE = (
    50,
    3.0,
    5.0,
)  # levels; widths in pixels at which blur is just seen, above and up to it
EXPONENT, SHARP, BINS = 3.6, 63, 100  # a probability of 0.63 is blur that is just seen
FARTHEST = 100  # pixels to each side of an edge
SOBEL = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8


@dataclass(frozen=True)
class EdgeWidths:
    """edges [H,W] bool that are measured, widths [H,W] in pixels (0: none), blocks [H,W] bool of Canny's edges."""

    edges: np.ndarray
    widths: np.ndarray
    blocks: np.ndarray


def cpbd(picture: np.ndarray) -> float:
    """Grey levels [H,W], 0..255 -> 0..1, the share of edges whose blur is not seen; 0 where there are no edges."""
    return sharp_share(picture, edge_widths(picture))


def edge_widths(picture: np.ndarray) -> EdgeWidths:
    """Edges across columns and how wide each is along its row, between the nearest extrema."""
    levels = picture.astype(np.float64)
    edges = column_edges(levels)
    down, right = np.gradient(levels)
    angle = np.degrees(np.where(right != 0, np.arctan2(down, right), 0))
    direction = 45 * np.round(angle / 45)
    widths = np.zeros_like(levels)
    for rising, chosen in ((True, direction == 0), (False, np.abs(direction) == 180)):
        left, after = runs(np.diff(levels, axis=1) > 0 if rising else np.diff(levels, axis=1) < 0)
        wide = np.zeros_like(levels)
        wide[:, 2:] += left[:, :-1]
        wide[:, :-2] += after[:, 1:]
        widths = np.where(chosen, wide + 2, widths)
    inner = np.zeros(edges.shape, bool)
    inner[1:-1, 1:-1] = True
    return EdgeWidths(edges, np.where(edges & inner, widths, 0), canny(levels))


def column_edges(levels: np.ndarray) -> np.ndarray:
    """Where Sobel's derivative along the rows is strong, and stronger than at both neighbours of a row or a column."""
    strength = np.square(convolve(levels, SOBEL))
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    around = np.pad(strength, 1)
    in_row = (strength > around[1:-1, :-2]) & (strength > around[1:-1, 2:])
    in_column = (strength > around[:-2, 1:-1]) & (strength > around[2:, 1:-1])
    return in_row | in_column


def runs(rising: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """bool [H,W] -> how many in a row end at each place, and begin there, at most 100."""

    def ending(values: np.ndarray) -> np.ndarray:
        place = np.arange(values.shape[1])
        return place - np.maximum.accumulate(np.where(values, -1, place), axis=1)

    return np.minimum(ending(rising), FARTHEST), np.minimum(ending(rising[:, ::-1])[:, ::-1], FARTHEST)


def sharp_share(picture: np.ndarray, found: EdgeWidths) -> float:
    """The share of measured edges whose blur is not seen, over whole blocks of 64x64; what is left at the sides
    does not count."""
    sharp = total = 0
    for top in range(0, picture.shape[0] - BLOCK + 1, BLOCK):
        for left in range(0, picture.shape[1] - BLOCK + 1, BLOCK):
            block = (slice(top, top + BLOCK), slice(left, left + BLOCK))
            if np.count_nonzero(found.blocks[block]) <= EDGE_SHARE * BLOCK**2:
                continue
            widths = found.widths[block]
            widths = widths[widths > 0]
            just_seen = WIDE if int(np.ptp(picture[block])) <= CONTRAST else NARROW
            blur = 1 - np.exp(-((widths / just_seen) ** EXPONENT))
            sharp += int((np.rint(BINS * blur) <= SHARP).sum())
            total += len(widths)
    return sharp / total if total else 0.0
