"""The built-in renderer: one photo, bent anew for every frame, put back into the whole picture without a seam."""

import numpy as np
import torch
from torch import Tensor

from ...face_motion import FaceFrame, ResolvedMotion
from ...media.pixels import Box, laid_on, rounded_bytes
from ...portrait import FaceLandmarks478, Portrait
from ...threads import one_thread
from ..styles import PICTURE_STYLES
from .bands import each
from .drawing import Drawing, WarpFeatures
from .eyes import EYES, make_eye
from .head import face_size, grid_places, head_displacement, make_head, turns_in_words
from .interior import make_interior
from .layers import split
from .mouth import make_mouth
from .mouth_field import make_lattice
from .sampling import composed, spread, stretched
from .strips import most_in_cells
from .style import is_drawn

LEAST_FACE = 24  # pixels: a smaller face has no mouth to speak of
BATCH_PIXELS = (
    4_200_000  # of head rectangle at once: a mask, or an accelerator, needs about 150 bytes for each
)
LARGEST_BATCH = {"cpu": 8}
LARGEST_BATCH_ELSEWHERE = 16
DRAWN_NOTE = "taken for a drawing (style in Load Portrait Renderer)"
# a warp starts from the photo's lips, whose own position it does not know
FROM_THE_PHOTO = {"lips": "relative"}


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
        sheets = split(part.permute(2, 0, 1)[None], head.layers)
        features = WarpFeatures(
            head,
            mouth,
            tuple(eye for eye in eyes if eye.box[0] < eye.box[2] and eye.box[1] < eye.box[3]),
            make_interior(mouth, image, points, drawn),
            sheets,
            most_in_cells(sheets[0][:, -1:]),
            make_lattice(mouth, head.box),
            rounded_bytes(part),
        )
        notes = (turns_in_words(head), *([DRAWN_NOTE] if drawn else []))
        return Portrait(image, face, FaceFrame(), self.id, features, FROM_THE_PHOTO, notes)

    def frames_per_batch(self, portrait: Portrait, device: torch.device) -> int:
        """See PortraitRenderer."""
        x0, y0, x1, y1 = portrait.features.head.box
        most = LARGEST_BATCH.get(device.type, LARGEST_BATCH_ELSEWHERE)
        return int(max(1, min(most, BATCH_PIXELS // ((x1 - x0) * (y1 - y0)))))

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
            moved = composed(*split(given, head.layers), places)
            still = (stretched(displacement, size, whole) == 0).all(1, keepdim=True)
            return torch.where(still, given, moved)[:, 0].clamp_(0, 1)
