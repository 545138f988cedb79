"""One batch of frames of the built-in warp.

The smooth part of the bending, head, cheeks and jaw, is made on coarse grids and stretched to pixels in strips; eyes
and lips, which have sharp edges, are drawn over it pixel by pixel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, floor

import torch
from torch import Tensor

from ...face_motion import CONTROLS, ResolvedMotion
from ...media.pixels import Box
from .bands import around, on_device, overlap, spans, together
from .eyes import Eye, gaze_map
from .head import GRID, Head, grid_places, head_displacement
from .interior import Interior, paint_interior
from .lids import paint_lid
from .mouth import Mouth, mouth_map
from .mouth_field import Lattice, MouthField, mouth_field
from .sampling import composed, draw, put, spread, stretched, to_pixels
from .strips import Strip, moving_cells, strips

CARRIED = 0.2  # eye widths that the head may carry an eye while frames are drawn together
# at once on a CPU: fewer pixels cost more by the starting of operations than their cache saves
BAND_PIXELS, LEAST_ROWS = 100_000, 8
Window = tuple[slice, slice]  # rows and columns of the head's rectangle
CPU = torch.device("cpu")


@dataclass(frozen=True)
class WarpFeatures:
    """All tables of one portrait."""

    head: Head
    mouth: Mouth
    eyes: tuple[Eye, ...]  # those that are in the picture
    interior: Interior
    sheets: tuple[Tensor, Tensor]  # the person's layer and the plate, see split
    matte: Tensor  # see most_in_cells
    lattice: Lattice | None
    photo: Tensor  # [h,w,3] bytes of the head's rectangle
    elsewhere: dict = field(default_factory=dict, compare=False, repr=False)

    def on(self, device: torch.device) -> "WarpFeatures":
        """The same on a device, where it is kept."""
        if device.type == "cpu":
            return self
        if device not in self.elsewhere:
            self.elsewhere[device] = on_device(self, device)
        return self.elsewhere[device]


@dataclass(frozen=True)
class Bending:
    """A batch of frames on its device: places [n,2,GRID,GRID] that the head's rectangle is taken from, in -1..1 over
    it, the mouth's part of that, and controls [n,K]."""

    box: Box
    places: Tensor
    mouth: MouthField | None
    controls: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.box[3] - self.box[1], self.box[2] - self.box[0]

    def rows(self, rows: slice) -> Tensor:
        """Places [n,2,rows,w] for some rows of the rectangle, with the smooth part of the mouth's."""
        places = stretched(self.places, self.size, rows)
        if self.mouth is None:
            return places
        left, top, right, bottom = self.mouth.lattice.box
        first, last = max(rows.start, top - self.box[1]), min(rows.stop, bottom - self.box[1])
        if first < last:
            part = self.mouth.rows(slice(first - top + self.box[1], last - top + self.box[1]))
            inner = places[
                ..., first - rows.start : last - rows.start, left - self.box[0] : right - self.box[0]
            ]
            for axis, side in ((0, self.size[1]), (1, self.size[0])):
                inner[:, axis].add_(part[:, axis], alpha=2 / side)
        return places

    def pixels(self, window: Window, frames: slice, mouth: bool) -> Tensor:
        """Pixels of the photo [n,2,h,w] that a window of the rectangle is taken from, with the smooth part of the
        mouth's or without."""
        rows, columns = window
        places = self.rows(rows)[frames] if mouth else stretched(self.places[frames], self.size, rows)
        return to_pixels(places[..., columns], self.box)


class Drawing:
    """What is to be drawn into frames [n,h,w,3] of one batch, which hold the photo at rest."""

    def __init__(self, features: WarpFeatures, motion: ResolvedMotion, frames: Tensor):
        self.frames, self.device = frames, frames.device
        self.known, self.tables = features, features.on(frames.device)
        self.box, self.controls = features.head.box, motion.controls.to(CPU)
        self.displacement = head_displacement(features.head, motion, CPU)
        self.moved = mouth_field(features.mouth, features.lattice, self.displacement, self.controls)
        places = spread(self.displacement + grid_places(self.box, CPU), self.box)
        mouth = self.moved if self.moved is None else on_device(self.moved, self.device)
        self.bending = Bending(self.box, places.to(self.device), mouth, self.controls.to(self.device))

    def window(self, box: Box) -> Window:
        """Rows and columns of the head's rectangle that a box of the picture has in it."""
        x0, y0, x1, y1 = self.box
        rows = slice(max(box[1], y0) - y0, max(min(box[3], y1) - y0, 0))
        return rows, slice(max(box[0], x0) - x0, max(min(box[2], x1) - x0, 0))

    def strips(self) -> list[Callable[[], None]]:
        """The smooth part of everything that moves."""
        size = self.bending.size
        if self.device.type != "cpu":
            whole = Strip(slice(0, size[0]), (slice(0, size[1]),))
            return [lambda: self._strip(whole)]
        besides = None if self.moved is None else self.window(self.moved.lattice.box)
        cells = moving_cells(self.displacement, size, self.known.matte, besides)
        tall = max(LEAST_ROWS, BAND_PIXELS // (size[1] * len(self.frames)))
        return [lambda strip=strip: self._strip(strip) for strip in strips(cells, size, tall)]

    def _strip(self, strip: Strip) -> None:
        places = self.bending.rows(strip.rows)
        for columns in strip.columns:
            draw(self.frames, *self.tables.sheets, places, strip.rows, columns)

    def lips(self) -> list[Callable[[], None]]:
        """The lips and what is between them."""
        if self.moved is None:
            return []
        rows, columns = self.window(self.moved.lattice.box)
        inner, across = self.moved.lips
        window = (
            slice(rows.start + inner.start, rows.start + inner.stop),
            slice(columns.start + across.start, columns.start + across.stop),
        )
        return [partial(self._lips, part) for part in self._parts(window, len(self.frames))]

    def eyes(self) -> list[Callable[[], None]]:
        """Eyes that look aside or shut."""
        gaze = self.controls[:, [CONTROLS.index("gazeX"), CONTROLS.index("gazeY")]].clamp(-1, 1)
        eyes = self.known.eyes
        if not eyes:
            return []
        blinks = torch.stack(
            [eye.weight * self.controls[:, CONTROLS.index(eye.name)].clamp(0, 1) for eye in eyes], 1
        )
        shuts = blinks.any(1)
        gaze_there, blinks_there = gaze.to(self.device), blinks.to(self.device)
        tasks = []
        for shut, moved in ((False, ~shuts & gaze.any(1)), (True, shuts)):
            for frames in together(torch.nonzero(moved).flatten().tolist(), self._carry(eyes)):
                lids = blinks_there[frames] if shut else None
                boxes = {
                    (number,): self._carried(eye.box if shut else eye.opening, frames)
                    for number, eye in enumerate(eyes)
                    if blinks[frames, number].any() or gaze[frames].any()
                }
                if len(boxes) == 2 and overlap(*boxes.values()):
                    boxes = {(0, 1): around(*boxes.values())}
                for which, box in boxes.items():
                    parts = self._parts(self.window(box), frames.stop - frames.start)
                    tasks += [
                        partial(self._eyes, which, one, frames, gaze_there[frames], lids) for one in parts
                    ]
        return tasks

    def _carry(self, eyes: Sequence[Eye]) -> list[list[int]]:
        """For each frame where the head takes both eyes, in units of a small part of an eye."""
        part = CARRIED * min(eye.frame.unit for eye in eyes)
        places = [self._node(eye.box) for eye in eyes]
        moved = torch.stack([self.displacement[:, :, row, column] for row, column in places], 1)
        return (moved / part).round().long().flatten(1).tolist()

    def _node(self, box: Box) -> tuple[int, int]:
        """Row and column of the coarse field nearest to the middle of a box of the picture."""
        height, width = self.bending.size
        across = ((box[0] + box[2]) / 2 - self.box[0]) / width
        down = ((box[1] + box[3]) / 2 - self.box[1]) / height
        row, column = (min(max(round(share * (GRID - 1)), 0), GRID - 1) for share in (down, across))
        return row, column

    def _carried(self, box: Box, frames: slice) -> Box:
        """Where the head takes a small box of the photo in some frames, in whole pixels."""
        row, column = self._node(box)
        near = self.displacement[frames, :, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        low, high = near.amin((0, 2, 3)).tolist(), near.amax((0, 2, 3)).tolist()
        return (floor(box[0] - high[0]) - 1, floor(box[1] - high[1]) - 1,
                ceil(box[2] - low[0]) + 1, ceil(box[3] - low[1]) + 1)  # fmt: skip

    def _parts(self, window: Window, frames: int) -> list[Window]:
        """A window in parts of a few rows on a CPU; none if nothing is in it."""
        rows, columns = window
        wide = (columns.stop - columns.start) * frames
        if rows.start >= rows.stop or wide <= 0:
            return []
        tall = max(LEAST_ROWS, BAND_PIXELS // wide) if self.device.type == "cpu" else rows.stop - rows.start
        return [(part, columns) for part in spans(rows, tall)]

    def _eyes(
        self, which: tuple[int, ...], window: Window, frames: slice, gaze: Tensor, blinks: Tensor | None
    ) -> None:
        x, y = self.bending.pixels(window, frames, mouth=True).unbind(1)
        source_x, source_y = x, y
        for number in which:
            eye = self.tables.eyes[number]
            source_x, source_y = gaze_map(eye, source_x, source_y, gaze[..., None, None])
        picture = self._sampled(torch.stack([source_x, source_y], 1), window)
        if blinks is not None:
            for number in which:
                paint_lid(self.tables.eyes[number], picture, x, y, blinks[:, number].reshape(-1, 1, 1))
        put(self.frames[frames, window[0], window[1]], picture)

    def _lips(self, window: Window) -> None:
        x, y = self.bending.pixels(window, slice(0, len(self.frames)), mouth=False).unbind(1)
        x, y, shape = mouth_map(self.tables.mouth, x, y, self.bending.controls)
        picture = self._sampled(torch.stack([x, y], 1), window)
        paint_interior(self.tables.interior, self.tables.mouth, shape, picture, self.bending.controls)
        put(self.frames[:, window[0], window[1]], picture)

    def _sampled(self, source: Tensor, window: Window) -> Tensor:
        person, plate = self.tables.sheets
        return composed(person, plate[..., window[0], window[1]], spread(source, self.box))
