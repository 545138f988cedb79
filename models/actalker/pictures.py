"""What ACTalker sees of pictures: the portrait, its face box and identity, the driving face and head."""

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..face.boxes import Box, grown_box, square_box
from ..media.frame_times import even_positions
from .geometry import box_picture, resized_mask, square_crop, working_size

FPS = Fraction(25, 2)
IDENTITY_SIZE, DRIVING_SIZE, HEAD_SIZE = 112, 256, 576
# MediaPipe's points from the brows to the lips: the box around them is what the expression network was
# trained on.
BROWS_TO_LIPS = (
    46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 276, 283, 282, 295, 285, 300, 293, 334, 296, 336, 33, 133, 159,
    145, 263, 362, 386,
    374, 1, 2, 98, 327, 168, 61, 291, 0, 17, 37, 267, 84, 314, 40, 270, 91, 321, 39, 269, 181, 405, 185, 409,
    146, 375,
)  # fmt: skip


def face_box(points: np.ndarray) -> Box:
    """Tight box (x1, y1, x2, y2) around face points [P,2].

    It stands in for the box of the authors' own detector, whose file is not ours to use: theirs may be
    somewhat larger or smaller, so identity, face box and head differ from the published script's, by how much
    is not known.
    """
    (x1, y1), (x2, y2) = points.min(0), points.max(0)
    return float(x1), float(y1), float(x2), float(y2)


def resized(picture: np.ndarray, width: int, height: int, how: Image.Resampling) -> Tensor:
    """[H,W,3] bytes -> [1,3,height,width], 0..1."""
    small = np.array(Image.fromarray(picture).resize((width, height), how), dtype=np.float32)
    return torch.from_numpy(small / 255).permute(2, 0, 1)[None]


def portrait_picture(picture: np.ndarray, short_side: int) -> Tensor:
    """[H,W,3] bytes -> [1,3,h,w] 0..1 in multiples of 64, the shorter side near `short_side`."""
    return resized(
        picture, *working_size(picture.shape[1], picture.shape[0], short_side), Image.Resampling.LANCZOS
    )


def identity_picture(picture: np.ndarray, box: Box) -> Tensor:
    """[H,W,3] bytes -> the face [1,3,112,112], -1..1; the box's aspect is not kept."""
    left, top, right, bottom = (round(value) for value in box)
    crop = Image.fromarray(picture).crop((left, top, right, bottom))
    return 2 * resized(np.asarray(crop), IDENTITY_SIZE, IDENTITY_SIZE, Image.Resampling.BILINEAR) - 1


def face_box_picture(picture: np.ndarray, box: Box, short_side: int) -> Tensor:
    """The face box grown by 1.2, white on black [1,3,h,w], 0..1, of the portrait's working size."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = box
    grown = grown_box((x1, y1, x2 - x1, y2 - y1), width, height)
    return resized_mask(box_picture(grown, width, height), *working_size(width, height, short_side))


def region_mask(mask: Tensor, width: int, height: int) -> Tensor:
    """A MASK [H,W] of the portrait -> [1,1,height,width] of its working size, 0..1."""
    picture = (
        mask.clamp(0, 1)
        .mul(255)
        .round()
        .to(torch.uint8)[..., None]
        .expand(-1, -1, 3)
        .contiguous()
        .cpu()
        .numpy()
    )
    return resized_mask(picture, width, height)[:, :1]


def frames_at(count: int, fps: Fraction) -> list[int]:
    """Which of `count` driving frames at `fps` a film of 12.5 frames per second takes; at 25 fps every second one."""
    indices = []
    while (index := round(len(indices) * fps / FPS)) < count:
        indices.append(index)
    return indices


def frames_shown(times: np.ndarray) -> list[int]:
    """The same for frames that are shown at these seconds [N], as a phone's film has them."""
    return np.ceil(even_positions(times, FPS).numpy() - 0.5).astype(int).tolist()


def expression_picture(picture: np.ndarray, points: np.ndarray) -> Tensor:
    """Driving frame [H,W,3] bytes and its 478 points -> the face from brows to lips [1,3,256,256], 0..1.

    ValueError if the points span less than two pixels.
    """
    crop = square_crop(picture, face_box(points[list(BROWS_TO_LIPS)]))
    if crop.shape[0] < 2:
        raise ValueError("the face is smaller than two pixels")
    return resized(crop, DRIVING_SIZE, DRIVING_SIZE, Image.Resampling.BILINEAR)


def head_box(points: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The square around the head of the first driving frame; it holds for the whole video."""
    return square_box(face_box(points), 1.0, height, width)


def head_picture(picture: np.ndarray, box: tuple[int, int, int, int]) -> Tensor:
    """Driving frame [H,W,3] bytes -> the head [1,3,256,256], -1..1."""
    crop = np.asarray(Image.fromarray(picture).crop(box))
    large = resized(crop, HEAD_SIZE, HEAD_SIZE, Image.Resampling.BICUBIC)
    return 2 * F.interpolate(large, size=(DRIVING_SIZE, DRIVING_SIZE), mode="bilinear", antialias=True) - 1
