"""Is it the same person? Cosine of ArcFace's vectors, and the inputs of two published identity scores."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..face.boxes import grown_box, square_box

Box = Sequence[float]  # x0, y0, x1, y1 in pixels
ARCFACE_SIDE, VGGFACE_SIDE = 112, 224
VGGFACE_WIDER = 0.4
VGGFACE_MEAN = (131.0912, 103.8827, 91.4953)  # of 255, red, green and blue


def boxed_face(frame: np.ndarray, box: Box) -> Tensor:
    """RGB bytes [H,W,3] and a face box -> [3,112,112] in -1..1, as ACTalker's ArcFace sees it: its box, not aligned."""
    x0, y0, x1, y1 = map(int, box)
    picture = Image.fromarray(np.ascontiguousarray(frame[y0:y1, x0:x1]))
    small = picture.resize((ARCFACE_SIDE, ARCFACE_SIDE), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 127.5 - 1


def cosines(vectors: Tensor, to: Tensor) -> Tensor:
    """Vectors [n,D] and one [D] -> their cosines [n], -1 to 1; of one person near 1."""
    return F.cosine_similarity(vectors.float(), to.float()[None], dim=-1)


def vggface_box(box_xywh: Box | None, width: int, height: int, official: bool = False) -> tuple[int, ...]:
    """A face box (x, y, width, height), None for the whole picture -> what ACTalker's identity score crops,
    (x0, y0, x1, y1): widened by 1.2, then by 0.4 to each side, and squared. One box is kept for a film.

    `official`: width and height are taken for each other, as its script does, so that films which are not square
    are cut at the wrong side.
    """
    if official:
        width, height = height, width
    if box_xywh is None:
        return 0, 0, width, height
    return square_box(grown_box((*box_xywh,), width, height), VGGFACE_WIDER, height, width)  # type: ignore[arg-type]


def vggface_picture(frame: np.ndarray, box: Sequence[int]) -> Tensor:
    """RGB bytes [H,W,3] and a box -> [3,224,224] as a VGGFace2 network takes it; black outside of the picture."""
    x0, y0, x1, y1 = box
    inside = torch.from_numpy(np.ascontiguousarray(frame[y0:y1, x0:x1])).permute(2, 0, 1).float() / 255
    crop = F.pad(inside, (0, x1 - x0 - inside.shape[2], 0, y1 - y0 - inside.shape[1]))
    small = F.interpolate(crop[None], (VGGFACE_SIDE, VGGFACE_SIDE), mode="bilinear", align_corners=False)[0]
    return small - torch.tensor(VGGFACE_MEAN)[:, None, None] / 255
