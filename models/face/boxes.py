"""Boxes around a face, with the rounding of ACTalker's code."""

from math import floor

BOX_AREA = 1.2

Box = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


def square_box(box: Box, ratio: float, height: int, width: int) -> tuple[int, int, int, int]:
    """A face box grown by `ratio` of its size to each side, cut at the picture, and made square.

    The square has the shorter side of the cut box; along the longer one it lies as near the face's centre as it fits.
    """
    x1, y1, x2, y2 = box
    grow_x, grow_y = ratio * (x2 - x1), ratio * (y2 - y1)
    left, right = max(x1 - grow_x, 0), min(x2 + grow_x, width)
    top, bottom = max(y1 - grow_y, 0), min(y2 + grow_y, height)
    half = min(right - left, bottom - top) / 2
    x = min(max((x1 + x2) / 2, left + half), right - half)
    y = min(max((y1 + y2) / 2, top + half), bottom - half)
    return round(x - half), round(y - half), round(x + half), round(y + half)


def grown_box(box_xywh: Box, width: int, height: int, area: float = BOX_AREA) -> tuple[int, int, int, int]:
    """A detector's box (x, y, width, height) with both sides times `area` about its centre, cut at the picture."""
    x, y, wide, high = box_xywh
    centre_x, centre_y = floor((x + x + wide) / 2), floor((y + y + high) / 2)
    half_x, half_y = wide * area // 2, high * area // 2
    return (
        int(max(centre_x - half_x, 0)), int(max(centre_y - half_y, 0)),
        int(min(centre_x + half_x, width)), int(min(centre_y + half_y, height)),
    )  # fmt: skip
