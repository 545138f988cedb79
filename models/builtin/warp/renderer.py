"""The built-in renderer: one photo, bent anew for every frame, put back into the whole picture without a seam."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...face_motion import CONTROLS, FaceFrame, ResolvedMotion
from ...media.pixels import Box, laid_on
from ...portrait import FaceLandmarks478, Portrait
from ..styles import PICTURE_STYLES
from .eyes import EYES, Eye, gaze_map, make_eye
from .head import Head, face_size, head_displacement, make_head, stretched, turns_in_words
from .interior import Interior, make_interior, paint_interior
from .lids import paint_lid
from .mouth import Mouth, active_part, make_mouth, mouth_map
from .style import is_drawn

LEAST_FACE = 24  # pixels: a smaller face has no mouth to speak of
BATCH_PIXELS = 4_000_000  # of head rectangle at once; a frame needs about 150 bytes per pixel
BAND_PIXELS = 200_000  # at once on a CPU
LARGEST_BATCH = {"cpu": 2}  # larger ones leave a CPU's cache and are slower
LARGEST_BATCH_ELSEWHERE = 16
DRAWN_NOTE = "taken for a drawing (style in Load Portrait Renderer)"
# a warp starts from the photo's lips, whose own position it does not know
FROM_THE_PHOTO = {"lips": "relative"}


@dataclass(frozen=True)
class WarpFeatures:
    """All tables of one portrait."""

    head: Head
    mouth: Mouth
    eyes: tuple[Eye, ...]
    interior: Interior
    sheets: tuple[Tensor, Tensor] | None  # see Layers.split


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
        features = WarpFeatures(
            head,
            mouth,
            tuple(make_eye(name, points, image, drawn) for name in EYES),
            make_interior(mouth, image, points, drawn),
            None if head.layers is None else head.layers.split(cut(image, head.box)),
        )
        notes = (turns_in_words(head), *([DRAWN_NOTE] if drawn else []))
        return Portrait(image, face, FaceFrame(), self.id, features, FROM_THE_PHOTO, notes)

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """See PortraitRenderer."""
        x0, y0, x1, y1 = portrait.features.head.box
        largest = LARGEST_BATCH.get(device.type, LARGEST_BATCH_ELSEWHERE)
        return int(max(1, min(largest, BATCH_PIXELS // ((x1 - x0) * (y1 - y0)))))

    def part(self, portrait: Portrait) -> Box:
        """See PartRenderer."""
        return portrait.features.head.box

    def render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PortraitRenderer."""
        return laid_on(portrait.image, self.part(portrait), self.render_part(portrait, motion, device))

    def render_part(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """See PartRenderer."""
        with one_thread(device):
            return self._render(portrait, motion, device)

    def _render(self, portrait: Portrait, motion: ResolvedMotion, device: torch.device) -> Tensor:
        """In bands of rows: what is at work stays in the cache, and large buffers are not made anew for each frame."""
        features: WarpFeatures = portrait.features
        x0, y0, x1, y1 = features.head.box
        photo = cut(portrait.image[y0:y1, x0:x1].to(device), (0, 0, x1 - x0, y1 - y0))
        controls = motion.controls.to(device)
        coarse = head_displacement(features.head, motion, device)
        sheets = features.sheets and (features.sheets[0].to(device), features.sheets[1].to(device))
        frames = torch.empty((len(motion), y1 - y0, x1 - x0, 3), device=device)
        for rows in bands(y1 - y0, x1 - x0, device):
            band = (x0, y0 + rows.start, x1, y0 + rows.stop)
            displacement = stretched(coarse, features.head.box, rows)
            part = self._render_band(features, band, displacement, controls, photo, sheets)
            frames[:, rows] = torch.where(part.still, photo[..., rows, :], part.picture).permute(0, 2, 3, 1)
        return frames.clamp_(0, 1)

    def _render_band(
        self,
        features: WarpFeatures,
        band: Box,
        displacement: Tensor,
        controls: Tensor,
        photo: Tensor,
        sheets: tuple[Tensor, Tensor] | None,
    ) -> "Band":
        origin = features.head.box[:2]
        source = base_grid(band, photo.device) + displacement
        lids = [self._move_eye(eye, band, source, controls) for eye in features.eyes]
        mouth_window, shape = self._move_mouth(features, band, source, controls)
        rows = slice(band[1] - origin[1], band[3] - origin[1])
        if sheets is None:
            picture = sample(photo, source, origin)
        else:
            picture = composed(sheets[0], sheets[1], rows, source, origin)
        same = source == base_grid(band, photo.device)
        still = (same[:, 0] & same[:, 1])[:, None]
        for eye, lid in zip(features.eyes, lids, strict=True):
            if lid is not None:
                rows, columns = lid.window
                paint_lid(eye, picture[..., rows, columns], lid.x, lid.y, lid.blink)
                still[..., rows, columns] &= (lid.blink == 0)[:, None]
        if shape is not None:
            part = picture[..., mouth_window[0], mouth_window[1]]
            paint_interior(features.interior, features.mouth, shape, part, controls)
            still[..., mouth_window[0], mouth_window[1]] &= (shape.activity == 0)[:, None]
        return Band(picture, still)

    def move_mask(
        self, portrait: Portrait, mask: Tensor, motion: ResolvedMotion, device: torch.device
    ) -> Tensor:
        """See MaskMover. Exactly the mask where the head does not move."""
        head = portrait.features.head
        x0, y0, x1, y1 = head.box
        with one_thread(device):
            displacement = stretched(head_displacement(head, motion, device), head.box, slice(0, y1 - y0))
            given = mask[y0:y1, x0:x1].to(device)[None, None].contiguous()
            source = base_grid(head.box, device) + displacement
            if head.layers is None:
                moved = sample(given, source, (x0, y0))
            else:
                person, plate = head.layers.split(given)
                moved = composed(person, plate, slice(0, y1 - y0), source, (x0, y0))
            return torch.where((displacement == 0).all(1, keepdim=True), given, moved)[:, 0].clamp_(0, 1)

    def _move_eye(self, eye: Eye, band: Box, source: Tensor, controls: Tensor) -> "Closing | None":
        """Turn the iris in `source`, in place; where and how far the lid is to be painted, if it closes."""
        blink = eye.weight * controls[:, CONTROLS.index(eye.name)].clamp(0, 1).reshape(-1, 1, 1)
        gaze = torch.stack([controls[:, CONTROLS.index(name)].clamp(-1, 1) for name in ("gazeX", "gazeY")], 1)
        window = window_of(eye.box, band)
        part = source[:, :, window[0], window[1]]
        if not part.numel():
            return None
        lid = None
        if blink.any():
            x, y = part.clone().unbind(1)
            lid = Closing(window, x, y, blink)
        if gaze.any():
            part.copy_(torch.stack(gaze_map(eye, part[:, 0], part[:, 1], gaze[..., None, None]), 1))
        return lid

    def _move_mouth(self, features: WarpFeatures, band: Box, source: Tensor, controls: Tensor):
        window = window_of(features.mouth.box, band)
        mouth = [CONTROLS.index(name) for name in CONTROLS if name.startswith(("jaw", "mouth", "teeth"))]
        part = source[:, :, window[0], window[1]]
        if not part.numel() or not controls[:, mouth].any():
            return window, None
        window = within(window, active_part(features.mouth, part))
        part = source[:, :, window[0], window[1]]
        if not part.numel():
            return window, None
        x, y, shape = mouth_map(features.mouth, part[:, 0], part[:, 1], controls)
        part.copy_(torch.stack([x, y], 1))
        return window, shape


@dataclass(frozen=True)
class Closing:
    """A lid to be painted: rows and columns of the band, photo pixels x, y [n,h,w] there, and how far, [n,1,1]."""

    window: tuple[slice, slice]
    x: Tensor
    y: Tensor
    blink: Tensor


@dataclass(frozen=True)
class Band:
    """Some rows of the frames: picture [n,3,rows,w], and where nothing moved, [n,1,rows,w]."""

    picture: Tensor
    still: Tensor


def bands(height: int, width: int, device: torch.device) -> Iterator[slice]:
    """Rows of a picture in turn, all at once where that does no harm."""
    most = max(16, BAND_PIXELS // width) if device.type == "cpu" else height
    for start in range(0, height, most):
        yield slice(start, min(start + most, height))


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Hundreds of small operations per frame: on a CPU, threads that wait for each other cost far more than
    they bring."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cut(image: Tensor, box: Box) -> Tensor:
    """[1,3,h,w] a rectangle of a picture [H,W,3]."""
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1].permute(2, 0, 1)[None].contiguous()


def base_grid(box: Box, device: torch.device) -> Tensor:
    """[1,2,h,w] pixel centres of a rectangle."""
    x = torch.arange(box[0], box[2], device=device, dtype=torch.float32) + 0.5
    y = torch.arange(box[1], box[3], device=device, dtype=torch.float32) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def window_of(inner: Box, outer: Box) -> tuple[slice, slice]:
    """Rows and columns of rectangle `inner` within rectangle `outer`."""
    rows = slice(max(inner[1], outer[1]) - outer[1], max(min(inner[3], outer[3]) - outer[1], 0))
    return rows, slice(max(inner[0], outer[0]) - outer[0], max(min(inner[2], outer[2]) - outer[0], 0))


def composed(person: Tensor, plate: Tensor, rows: slice, source: Tensor, origin: tuple[int, int]) -> Tensor:
    """[n,C,h,w] the person's layer [1,C+1,H,W] bent to places `source` [n,2,h,w], over some rows of the plate."""
    bent = sample(person, source, origin)
    return bent[:, :-1].addcmul_(1 - bent[:, -1:], plate[..., rows, :])


def within(outer: tuple[slice, slice], inner: tuple[slice, slice]) -> tuple[slice, slice]:
    """Rows and columns `inner` of the part `outer` of a picture, in the picture."""
    rows, columns = (
        slice(whole.start + part.start, min(whole.start + part.stop, whole.stop))
        for whole, part in zip(outer, inner, strict=True)
    )
    return rows, columns


def sample(photo: Tensor, source: Tensor, origin: tuple[int, int]) -> Tensor:
    """[n,C,h,w] colours of `photo` [1,C,h,w], whose first pixel is at `origin`, at places `source` [n,2,h,w]."""
    height, width = photo.shape[-2:]
    scale = torch.tensor([2 / width, 2 / height], device=photo.device)
    start = torch.tensor([-2 * origin[0] / width - 1, -2 * origin[1] / height - 1], device=photo.device)
    grid = torch.addcmul(start, source.movedim(1, -1), scale)
    return F.grid_sample(
        photo.expand(len(source), *photo.shape[1:]), grid, padding_mode="border", align_corners=False
    )
