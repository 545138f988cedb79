"""Square crops that follow a face through a film, for models that draw faces, and the way back into the film."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ..media.pixels import resize_antialiased
from .regions import FACE_OVAL, MOUTH_AREA, draw_region, fill_missing, hull

REGIONS = {"mouth": MOUTH_AREA, "face": FACE_OVAL}


@dataclass(frozen=True)
class FaceCrops:
    """Where N crops lie in a film. squares [N,3]: left, top and side in whole pixels, perhaps beyond the film's edge.
    size: pixels of a crop's side. frame: height and width of the film. masks [N,size,size]: what is to be pasted."""

    squares: np.ndarray
    size: int
    frame: tuple[int, int]
    masks: Tensor

    def __len__(self) -> int:
        return len(self.squares)


def face_squares(tracked: Sequence[np.ndarray | None], scale: float, smoothing: float) -> np.ndarray:
    """[N,3] squares around one face's points [478,2] by frame, None where it is missing; `scale` face heights large,
    smoothed over a standard deviation of `smoothing` frames."""
    points = np.stack(fill_missing(tracked, "interpolate"))
    low, high = points.min(1), points.max(1)
    sides = scale * (high - low).max(1)
    track = np.concatenate([(low + high) / 2, sides[:, None]], 1)
    if smoothing > 0:
        track = gaussian_filter1d(track, smoothing, axis=0, mode="nearest")
    side = np.maximum(np.rint(track[:, 2]), 8)
    corner = np.rint(track[:, :2] - side[:, None] / 2)
    return np.concatenate([corner, side[:, None]], 1).astype(int)


def crop_faces(
    images: Tensor, tracked: Sequence[np.ndarray | None], squares: np.ndarray, size: int, region: str,
    grow: float, feather: float,
) -> tuple[Tensor, FaceCrops]:  # fmt: skip
    """Crops [N,size,size,3] of frames [N,H,W,3], and where they lie; region: of REGIONS, drawn in the crops as
    `draw_region` does with `feather` and `grow` in their pixels."""
    frame = (images.shape[1], images.shape[2])
    points = fill_missing(tracked, "interpolate")
    crops, masks = torch.empty(len(images), size, size, 3), torch.zeros(len(images), size, size)
    for number, square in enumerate(squares):
        crops[number] = resize_antialiased(cut_out(images[number, ..., :3].float(), square), size, size)
        left, top, side = square
        own = (points[number][list(REGIONS[region]), :2] - [left, top]) * (size / side)
        draw_region(masks[number], hull(own) if region == "mouth" else own, feather, grow)
    return crops, FaceCrops(squares, size, frame, masks)


def cut_out(image: Tensor, square: np.ndarray) -> Tensor:
    """[side,side,3] a square of a picture [H,W,3]; beyond its edge the border goes on."""
    left, top, side = (int(value) for value in square)
    rows = torch.arange(top, top + side).clamp(0, image.shape[0] - 1)
    columns = torch.arange(left, left + side).clamp(0, image.shape[1] - 1)
    return image[rows][:, columns]


def paste_face(frame: Tensor, crop: Tensor, mask: Tensor, square: np.ndarray) -> Tensor:
    """A frame [H,W,3] with a crop [h,w,3] back in its square where a mask [h,w] is white; elsewhere it is as it was."""
    left, top, side = (int(value) for value in square)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + side, frame.shape[1]), min(top + side, frame.shape[0])
    if x1 <= x0 or y1 <= y0:
        return frame
    inside = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    picture = resize_antialiased(crop, side, side)[inside]
    cover = F.interpolate(mask[None, None], (side, side), mode="bilinear", antialias=True)[0, 0][inside]
    part = frame[y0:y1, x0:x1]
    mixed = torch.lerp(part, picture.to(part), cover[..., None].clamp(0, 1).to(part))
    result = frame.clone()
    result[y0:y1, x0:x1] = torch.where((cover > 0)[..., None], mixed, part)
    return result
