"""Pictures sampled at the places where a bent one comes from.

Places are [n,2,h,w]: x and y in -1..1 from edge to edge of the rectangle that is bent, as grid_sample counts them.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...media.pixels import Box
from .pixel_loop import pixel_loop


def base_grid(box: Box, device: torch.device) -> Tensor:
    """[1,2,h,w] pixel centres of a rectangle."""
    x = torch.arange(box[0], box[2], device=device, dtype=torch.float32) + 0.5
    y = torch.arange(box[1], box[3], device=device, dtype=torch.float32) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def spread(pixels: Tensor, box: Box) -> Tensor:
    """Places of pixels [n,2,h,w] of the picture over a box of it."""
    x0, y0, x1, y1 = box
    x, y = pixels[:, 0], pixels[:, 1]
    return torch.stack([(x - x0) * (2 / (x1 - x0)) - 1, (y - y0) * (2 / (y1 - y0)) - 1], 1)


def to_pixels(places: Tensor, box: Box) -> Tensor:
    """Pixels of the picture at places over a box of it."""
    x0, y0, x1, y1 = box
    x, y = places[:, 0], places[:, 1]
    return torch.stack([(x + 1) * (0.5 * (x1 - x0)) + x0, (y + 1) * (0.5 * (y1 - y0)) + y0], 1)


def stretched(coarse: Tensor, size: tuple[int, int], rows: slice) -> Tensor:
    """Some rows [n,2,rows,w] of a field [n,2,G,K] whose first and last entries lie on the first and last pixels of
    `size` (height, width)."""
    count, _, tall, wide = coarse.shape
    step = (tall - 1) / max(size[0] - 1, 1)
    first, last = (min(int(row * step), tall - 2) for row in (rows.start, rows.stop - 1))
    few = coarse[:, :, first : last + 2].reshape(count, -1, wide)  # across first: these rows are the fewer
    lines = F.interpolate(few, size[1], mode="linear", align_corners=True).view(count, 2, -1, size[1])
    place = torch.arange(rows.start, rows.stop, device=coarse.device) * step
    over = place.long().clamp(max=last)
    upper, lower = (lines.index_select(2, over - first + more) for more in (0, 1))
    return torch.lerp(upper, lower, (place - over)[:, None])


def sample(sheet: Tensor, places: Tensor) -> Tensor:
    """[n,C,h,w] colours of a sheet [1,C,H,W] at places over it; its border goes on beyond."""
    expanded = sheet.expand(len(places), *sheet.shape[1:])
    return F.grid_sample(expanded, places.movedim(1, -1), padding_mode="border", align_corners=False)


def sample_pixels(sheet: Tensor, pixels: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """The same at pixels [n,2,h,w] of a picture in which the sheet's first pixel is at `origin`."""
    (x, y), (height, width) = origin, sheet.shape[-2:]
    return sample(sheet, spread(pixels, (x, y, x + width, y + height)))


def composed(person: Tensor, plate: Tensor, places: Tensor) -> Tensor:
    """[n,C,h,w] the person's layer [1,C+1,H,W], its matte last, at places, over a plate [1,C,h,w]."""
    bent = sample(person, places)
    return bent[:, :-1].addcmul_(1 - bent[:, -1:], plate)


def draw(frames: Tensor, person: Tensor, plate: Tensor, places: Tensor, rows: slice, columns: slice) -> None:
    """Into rows and columns of whole frames [n,H,W,3] what `composed` gives there for places [n,2,rows,W] of those
    rows and a plate [1,3,H,W]; person and plate in channels_last."""
    loop = pixel_loop() if frames.device.type == "cpu" else None
    if loop is None:
        put(
            frames[:, rows, columns],
            composed(person, plate[..., rows, columns], places[..., columns]),
        )
        return
    sheets = (sheet[0].permute(1, 2, 0).numpy() for sheet in (person, plate))
    scale, half = (255, 0.5) if frames.dtype == torch.uint8 else (1, 0)
    loop(
        frames.numpy(), *sheets, places.numpy(), rows.start, columns.start, columns.stop,
        np.float32(scale), np.float32(half),
    )  # fmt: skip


def put(frames: Tensor, picture: Tensor) -> None:
    """A picture [n,3,h,w] in 0..1 or a little beyond into frames [n,h,w,3], as floats or as bytes rounded to the
    nearest."""
    picture = picture.clamp_(0, 1)
    if frames.dtype == torch.uint8:
        picture = picture.mul_(255).add_(0.5).to(torch.uint8)
    for channel in range(3):  # three times as fast as one copy of permuted bytes
        frames[..., channel] = picture[:, channel]
