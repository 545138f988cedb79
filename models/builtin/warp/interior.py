"""What is seen between the lips: the photo's own teeth where it shows them, else drawn ones; tongue and dark behind.

Teeth are fixed to the skull, so they stay where they are in the mouth's frame while the lips move; the lower
teeth and the tongue go down with the jaw.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...face_motion import CONTROLS
from .curves import look_up, smoothstep
from .mouth import Mouth, MouthShape

OPEN_PHOTO = 0.05  # of the mouth's width: a photo with a larger gap shows its own teeth
TOOTH_EDGES = (0.0, 0.088, 0.158, 0.222, 0.278, 0.322)  # of the mouth's width, from the middle outward
OWN_SHADOW, DRAWN_SHADOW = 0.15, 0.40  # how dark it is right under the upper lip
MARGIN = 0.06  # of the mouth's width, around the opening: wider than any soft edge of what is painted
LUMINANCE = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Interior:
    """Colours of the mouth's inside [3] each, and whether the photo shows its own teeth."""

    cavity: Tensor
    tongue: Tensor
    enamel: Tensor
    own_teeth: bool


def make_interior(mouth: Mouth, image: Tensor) -> Interior:
    """Colours from the photo's lips and skin."""
    u = torch.linspace(-0.25, 0.25, 11)
    upper, lower, outer_upper, outer_lower = look_up(mouth.curves, u)
    lip = pick(mouth, image, u, lower + 0.5 * (outer_lower - lower)).median(0).values
    skin = pick(mouth, image, u, torch.full_like(u, 0.6 * mouth.nose)).median(0).values
    light = float((skin * torch.tensor(LUMINANCE)).sum())
    own = mouth.gap > OPEN_PHOTO
    enamel = torch.tensor([0.93, 0.90, 0.84]) * min(max(0.30 + 0.85 * light, 0.35), 0.98)
    if own:
        enamel = pick(mouth, image, u, upper + 0.45 * (lower - upper)).median(0).values
    return Interior(
        lip * torch.tensor([0.22, 0.11, 0.11]), lip * torch.tensor([0.72, 0.52, 0.52]), enamel, own
    )


def pick(mouth: Mouth, image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """[K,3] colours of the photo at (u, v)."""
    x, y = mouth.frame.to_pixels(u, v)
    return image[y.long().clamp(0, image.shape[0] - 1), x.long().clamp(0, image.shape[1] - 1)]


def tooth_pattern(u: Tensor) -> tuple[Tensor, Tensor]:
    """At u: brightness 0..1 of a row of teeth (dark between them), and how far each tooth's edge is rounded up."""
    distance = u.abs()
    shade, edge = torch.zeros_like(u), torch.zeros_like(u)
    for inner, outer in zip(TOOTH_EDGES[:-1], TOOTH_EDGES[1:], strict=True):
        across = ((distance - inner) / (outer - inner)).clamp(0, 1)
        within = (distance >= inner) & (distance < outer)
        bulge = 4 * across * (1 - across)
        shade = torch.where(within, 0.80 + 0.20 * bulge.clamp(max=0.6) / 0.6, shade)
        edge = torch.where(within, 0.022 * (1 - bulge) ** 2, edge)
    return shade * (1 - smoothstep((distance - 0.12) / 0.24) * 0.65), edge


def paint_interior(
    interior: Interior,
    mouth: Mouth,
    shape: MouthShape,
    picture: Tensor,
    controls: Tensor,
    photo: Tensor,
    origin: tuple[int, int],
) -> Tensor:
    """Put the inside of the mouth into `picture` [n,3,h,w], the warped photo, between the moved lips; in place.

    `photo` [1,3,H,W] and `origin` (x, y) of its first pixel give the photo's own teeth. Only the rectangle
    around what can be seen between the lips is computed.
    """
    window = seen_window(shape)
    if window is not None:
        part = picture[..., window[0], window[1]]
        part.copy_(painted(interior, mouth, shape.part(*window), part, controls, photo, origin))
    return picture


def seen_window(shape: MouthShape) -> tuple[slice, slice] | None:
    """Rows and columns of the smallest rectangle that holds everything between the lips, in any frame."""
    near = (
        (shape.v > shape.upper - MARGIN) & (shape.v < shape.lower + MARGIN) & (shape.u.abs() < 0.5 + MARGIN)
    )
    near = near.any(0)
    rows, columns = (torch.nonzero(near.any(dim)).flatten() for dim in (1, 0))
    if len(rows) == 0:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def painted(
    interior: Interior,
    mouth: Mouth,
    shape: MouthShape,
    picture: Tensor,
    controls: Tensor,
    photo: Tensor,
    origin: tuple[int, int],
) -> Tensor:
    """`picture` with the inside of the mouth over it."""
    jaw, close, pucker, tuck, teeth = (
        controls[:, CONTROLS.index(name)].clamp(0, 1.2).reshape(-1, 1, 1)
        for name in ("jawOpen", "mouthClose", "mouthPucker", "mouthRollLower", "teethShow")
    )
    u, v, gap = shape.u, shape.v, (shape.lower - shape.upper).clamp(min=1e-4)
    pixel = 1.0 / mouth.frame.unit
    depth = ((v - shape.upper) / gap).clamp(0, 1)
    colour = interior.cavity.to(u.device).reshape(3, 1, 1, 1) * (0.55 + 0.75 * depth)
    tongue_top = shape.lower - (0.10 + 0.22 * jaw) * shape.arch
    tongue = (
        smoothstep((v - tongue_top) / 0.10)
        * smoothstep((0.34 - u.abs()) / 0.14)
        * smoothstep(jaw / 0.35)
        * 0.75
    )
    colour = torch.lerp(
        colour, interior.tongue.to(u.device).reshape(3, 1, 1, 1) * (0.6 + 0.4 * depth), tongue
    )
    colour = lower_teeth(interior, shape, colour, jaw)
    upper_row = upper_teeth(interior, mouth, shape, photo, origin, pucker, tuck)
    colour = torch.lerp(colour, upper_row[0], upper_row[1])
    shadow = OWN_SHADOW if interior.own_teeth else DRAWN_SHADOW
    colour = colour * (1 - shadow * (1 - smoothstep((v - shape.upper) / 0.07)))
    soft = 1.3 * pixel
    inside = smoothstep((v - shape.upper) / soft + 0.5) * smoothstep((shape.lower - v) / soft + 0.5)
    inside = (
        inside * smoothstep((gap / pixel - 0.6) / 1.6) * smoothstep((0.5 - u.abs()) / 0.04) * shape.activity
    )
    picture = torch.lerp(picture, colour.transpose(0, 1), inside[:, None])
    return lip_line(picture, shape, pixel, close, mouth)


def lower_teeth(interior: Interior, shape: MouthShape, colour: Tensor, jaw: Tensor) -> Tensor:
    """A row of small teeth just above the lower lip, seen when the jaw is well open."""
    shade, edge = tooth_pattern(shape.u * 1.35)
    top = shape.lower - (0.055 + 0.02 * jaw) * shape.arch
    row = smoothstep((shape.v - top - edge) / 0.04) * smoothstep((jaw - 0.35) / 0.4) * 0.5
    return torch.lerp(
        colour, interior.enamel.to(colour.device).reshape(3, 1, 1, 1) * shade * 0.72, row * (shade > 0)
    )


def upper_teeth(
    interior: Interior,
    mouth: Mouth,
    shape: MouthShape,
    photo: Tensor,
    origin: tuple[int, int],
    pucker: Tensor,
    tuck: Tensor,
) -> tuple[Tensor, Tensor]:
    """Colour [3,n,h,w] and coverage [n,h,w] of the upper row."""
    if interior.own_teeth:
        height = (shape.photo_lower - shape.photo_upper).clamp(min=1e-3)
        place = torch.maximum(shape.v, shape.photo_upper + 0.12 * height)
        place = torch.minimum(place, shape.photo_lower - 0.10 * height)
        x, y = mouth.frame.to_pixels(shape.u, place)
        size = photo.shape[-2:]
        grid = torch.stack([2 * (x - origin[0]) / size[1] - 1, 2 * (y - origin[1]) / size[0] - 1], -1)
        colour = F.grid_sample(
            photo.expand(len(x), *photo.shape[1:]), grid, padding_mode="border", align_corners=False
        )
        end = shape.photo_lower - 0.06 * height - 0.05 * pucker
        return colour.transpose(0, 1), smoothstep((end - shape.v) / 0.03 + 0.5) * (height > 0.012)
    shade, edge = tooth_pattern(shape.u)
    line = shape.photo_upper + 0.4 * (shape.photo_lower - shape.photo_upper)
    end = line + (0.085 - 0.06 * pucker + 0.02 * tuck) * (0.4 + 0.6 * shape.arch) - edge
    gloss = 0.90 + 0.10 * smoothstep((end - shape.v) / 0.06)
    colour = interior.enamel.to(shade.device).reshape(3, 1, 1, 1) * (shade * gloss)
    return colour, smoothstep((end - shape.v) / 0.018 + 0.5) * (shade > 0)


def lip_line(picture: Tensor, shape: MouthShape, pixel: float, close: Tensor, mouth: Mouth) -> Tensor:
    """The dark line where closed lips meet, for photos whose open mouth has none."""
    if mouth.gap < 0.02:
        return picture
    gap = shape.lower - shape.upper
    meet = smoothstep(1 - gap / 0.05) * smoothstep((0.49 - shape.u.abs()) / 0.05) * smoothstep(close / 0.5)
    distance = (shape.v - (shape.upper + shape.lower) / 2) / max(0.011, 0.8 * pixel)
    return picture * (1 - 0.42 * meet * torch.exp(-distance * distance))[:, None]
