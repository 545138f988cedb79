"""The built-in renderer: one photo, bent anew for every frame, put back into the whole picture without a seam.

The smooth part of the bending, head, cheeks and jaw, is made on coarse grids and stretched to pixels in strips; eyes
and lips, which have sharp edges, are drawn over it pixel by pixel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, floor

import numpy as np
import torch
from torch import Tensor

from ...face_motion import CONTROLS, FaceFrame, ResolvedMotion
from ...media.pixels import Box, laid_on, rounded_bytes
from ...portrait import FaceLandmarks478, Portrait
from ..styles import PICTURE_STYLES
from .bands import around, each, on_device, one_thread, overlap, spans, together
from .eyes import EYES, Eye, gaze_map, make_eye
from .head import GRID, Head, face_size, grid_places, head_displacement, make_head, turns_in_words
from .interior import Interior, make_interior, paint_interior
from .lids import paint_lid
from .mouth import Mouth, make_mouth, mouth_map
from .mouth_field import Lattice, MouthField, make_lattice, mouth_field
from .sampling import composed, put, sample, spread, stretched, to_pixels
from .strips import Strip, cell_range, cells_shown, strips
from .style import is_drawn

CARRIED = 0.2  # eye widths that the head may carry an eye while frames are drawn together
LEAST_FACE = 24  # pixels: a smaller face has no mouth to speak of
BATCH_PIXELS = {"cpu": 2_000_000}  # of head rectangle at once
BATCH_PIXELS_ELSEWHERE = 4_000_000  # a frame needs about 150 bytes per pixel
LARGEST_BATCH = {"cpu": 8}
LARGEST_BATCH_ELSEWHERE = 16
# at once on a CPU, so that what is at work stays in its cache: of strips, of lips and eyes
BAND_PIXELS, DETAIL_PIXELS, LEAST_ROWS = 100_000, 40_000, 8
DRAWN_NOTE = "taken for a drawing (style in Load Portrait Renderer)"
# a warp starts from the photo's lips, whose own position it does not know
FROM_THE_PHOTO = {"lips": "relative"}
Window = tuple[slice, slice]  # rows and columns of the head's rectangle
CPU = torch.device("cpu")


@dataclass(frozen=True)
class WarpFeatures:
    """All tables of one portrait."""

    head: Head
    mouth: Mouth
    eyes: tuple[Eye, ...]  # those that are in the picture
    interior: Interior
    sheets: tuple[
        Tensor, Tensor | None
    ]  # see Layers.split; one layer [1,3,h,w] and None if they are not told apart
    mattes: Tensor | None  # see cell_range
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


class WarpRenderer:
    """Renders by closed-form warps. Works on any picture size; everything outside the head's rectangle stays
    as it is."""

    id = "built-in warp"
    draws_at_once = True  # by no network: an editor may ask for a frame while a prompt runs

    def __init__(self, style: str = PICTURE_STYLES[0]):
        """style: how lids and the mouth's inside are drawn, one of PICTURE_STYLES; auto looks at the picture."""
        if style not in PICTURE_STYLES:
            raise ValueError(f"style is {style!r}; it is one of {', '.join(PICTURE_STYLES)}.")
        self.style = style

    def prepare(self, image: Tensor, face: FaceLandmarks478, person_mask: Tensor | None = None) -> Portrait:
        """Tables of a picture [H,W,3]; ValueError if the face is too small to be moved."""
        points = face.points.astype(np.float64)
        width, height = face_size(points)
        if min(width, height) < LEAST_FACE:
            raise ValueError(
                f"the face in image is {width:.0f}x{height:.0f} pixels; at least {LEAST_FACE} are needed. "
                "Crop the picture around the face, or enlarge it."
            )
        size = (image.shape[0], image.shape[1])
        mouth = make_mouth(points, size)
        drawn = is_drawn(image, points) if self.style == "auto" else self.style == "drawn"
        head = make_head(points, size, None if person_mask is None else person_mask.numpy())
        eyes = (make_eye(name, points, image, drawn) for name in EYES)
        x0, y0, x1, y1 = head.box
        part = image[y0:y1, x0:x1]
        planes = part.permute(2, 0, 1)[None].contiguous()
        features = WarpFeatures(
            head,
            mouth,
            tuple(eye for eye in eyes if eye.box[0] < eye.box[2] and eye.box[1] < eye.box[3]),
            make_interior(mouth, image, points, drawn),
            (planes, None) if head.layers is None else head.layers.split(planes),
            None if head.layers is None else cell_range(head.layers.matte),
            make_lattice(mouth, head.box),
            rounded_bytes(part),
        )
        notes = (turns_in_words(head), *([DRAWN_NOTE] if drawn else []))
        return Portrait(image, face, FaceFrame(), self.id, features, FROM_THE_PHOTO, notes)

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """See PortraitRenderer."""
        x0, y0, x1, y1 = portrait.features.head.box
        most = LARGEST_BATCH.get(device.type, LARGEST_BATCH_ELSEWHERE)
        pixels = BATCH_PIXELS.get(device.type, BATCH_PIXELS_ELSEWHERE)
        return int(max(1, min(most, pixels // ((x1 - x0) * (y1 - y0)))))

    def part(self, portrait: Portrait) -> Box:
        """See PartRenderer."""
        return portrait.features.head.box

    def render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PortraitRenderer."""
        return laid_on(portrait.image, self.part(portrait), self.render_part(portrait, motion, device))

    def render_part(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PartRenderer."""
        x0, y0, x1, y1 = self.part(portrait)
        return self._drawn(portrait, motion, portrait.image[y0:y1, x0:x1].to(device))

    def render_bytes(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See ByteRenderer."""
        return self._drawn(portrait, motion, portrait.features.on(device).photo)

    def _drawn(self, portrait: Portrait, motion: ResolvedMotion, photo: Tensor) -> Tensor:
        """Frames [n,h,w,3] like `photo` [h,w,3], the head's rectangle at rest, in its device and kind of number."""
        frames = photo.expand(len(motion), *photo.shape).clone()
        with one_thread(photo.device) as threads:
            drawing = Drawing(portrait.features, motion, frames)
            # eyes after lips, for the rectangle of a tilted face's lips can reach over an eye
            for tasks in (drawing.strips(), drawing.lips(), drawing.eyes()):
                each(tasks, threads)
        return frames

    def move_mask(
        self, portrait: Portrait, mask: Tensor, motion: ResolvedMotion, device: torch.device
    ) -> Tensor:
        """See MaskMover. Exactly the mask where the head does not move."""
        head = portrait.features.head
        x0, y0, x1, y1 = head.box
        size = (y1 - y0, x1 - x0)
        with one_thread(device):
            displacement = head_displacement(head, motion, device)
            given = mask[y0:y1, x0:x1].to(device)[None, None].contiguous()
            whole = slice(0, size[0])
            places = stretched(spread(displacement + grid_places(head.box, device), head.box), size, whole)
            person, plate = (given, None) if head.layers is None else head.layers.split(given)
            moved = sample(person, places) if plate is None else composed(person, plate, places)
            still = (stretched(displacement, size, whole) == 0).all(1, keepdim=True)
            return torch.where(still, given, moved)[:, 0].clamp_(0, 1)


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
            whole = Strip(slice(0, size[0]), (slice(0, size[1]),), (self.tables.sheets[1] is None,))
            return [lambda: self._strip(whole)]
        besides = None if self.moved is None else self.window(self.moved.lattice.box)
        further = 0.0 if self.moved is None else float(self.moved.displacement.abs().max())
        cells = cells_shown(self.displacement, size, self.known.mattes, besides, further)
        tall = max(LEAST_ROWS, BAND_PIXELS // (size[1] * len(self.frames)))
        return [lambda strip=strip: self._strip(strip) for strip in strips(cells, size, tall)]

    def _strip(self, strip: Strip) -> None:
        places = self.bending.rows(strip.rows)
        person, plate = self.tables.sheets
        for columns, whole in zip(strip.columns, strip.whole, strict=True):
            here = places[..., columns]
            if whole or plate is None:
                picture = sample(person[:, :3], here)
            else:
                picture = composed(person, plate[..., strip.rows, columns], here)
            put(self.frames[:, strip.rows, columns], picture)

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
                boxes = [
                    self._carried(eye.box if shut else eye.opening, frames)
                    for eye, blink in zip(eyes, blinks[frames].unbind(1), strict=True)
                    if blink.any() or gaze[frames].any()
                ]
                if len(boxes) == 2 and overlap(*boxes):
                    boxes = [around(*boxes)]
                for box in boxes:
                    parts = self._parts(self.window(box), frames.stop - frames.start)
                    tasks += [partial(self._eyes, part, frames, gaze_there[frames], lids) for part in parts]
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
        tall = max(LEAST_ROWS, DETAIL_PIXELS // wide) if self.device.type == "cpu" else rows.stop - rows.start
        return [(part, columns) for part in spans(rows, tall)]

    def _eyes(self, window: Window, frames: slice, gaze: Tensor, blinks: Tensor | None) -> None:
        x, y = self.bending.pixels(window, frames, mouth=True).unbind(1)
        source_x, source_y = x, y
        for eye in self.tables.eyes:
            source_x, source_y = gaze_map(eye, source_x, source_y, gaze[..., None, None])
        picture = self._sampled(torch.stack([source_x, source_y], 1), window)
        if blinks is not None:
            for eye, blink in zip(self.tables.eyes, blinks.unbind(1), strict=True):
                paint_lid(eye, picture, x, y, blink.reshape(-1, 1, 1))
        put(self.frames[frames, window[0], window[1]], picture)

    def _lips(self, window: Window) -> None:
        x, y = self.bending.pixels(window, slice(0, len(self.frames)), mouth=False).unbind(1)
        x, y, shape = mouth_map(self.tables.mouth, x, y, self.bending.controls)
        picture = self._sampled(torch.stack([x, y], 1), window)
        paint_interior(self.tables.interior, self.tables.mouth, shape, picture, self.bending.controls)
        put(self.frames[:, window[0], window[1]], picture)

    def _sampled(self, source: Tensor, window: Window) -> Tensor:
        person, plate = self.tables.sheets
        places = spread(source, self.box)
        return (
            sample(person, places)
            if plate is None
            else composed(person, plate[..., window[0], window[1]], places)
        )
