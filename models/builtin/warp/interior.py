"""What is seen between the lips: two rows of teeth, the tongue and the dark behind, in the picture's own light.

Teeth are fixed to the skull, so the upper ones stay where they are in the mouth's frame while the lips move; the lower
ones and the tongue go down with the jaw.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...face_motion import CONTROLS
from .colours import LUMINANCE, colours_at, face_part
from .curves import look_up, slope, smoothstep
from .mouth import Mouth, MouthShape
from .style import ink_of
from .teeth import (
    OwnTeeth,
    Row,
    drawn_lower,
    drawn_upper,
    own_teeth,
    seen,
    with_own,
    with_own_lower,
)

MARGIN = 0.06  # of the mouth's width, around the opening: wider than any soft edge of what is painted
LIGHT_COLOUR = 0.25  # how much of the skin's hue enamel takes on
WHITE = torch.tensor([1.0, 0.965, 0.90])  # enamel in white light
PAPER = torch.tensor([0.90, 0.88, 0.84])  # drawn teeth are no darker
LINE = 0.035  # width in mouth widths of a drawn mouth's lines
FULL_COLOUR = 0.08  # mean chroma of a picture above which its mouth has all its colour
EYE_OPENINGS = ([33, 160, 158, 133, 153, 144], [362, 385, 387, 263, 373, 380])


@dataclass(frozen=True)
class Interior:
    """Colours of the mouth's inside [3] each, and its rows of teeth; own: what of them is the photo's."""

    cavity: Tensor
    tongue: Tensor
    upper: Row
    lower: Row
    own: OwnTeeth
    ink: Tensor | None = None  # [3] colour of the lines around a drawn mouth, whose inside is flat


def make_interior(mouth: Mouth, image: Tensor, points: np.ndarray, drawn: bool = False) -> Interior:
    """Colours from the photo's lips, skin and eyes, in a picture [H,W,3] with landmarks [478,3]."""
    u = torch.linspace(-0.25, 0.25, 11)
    _, lower, _, outer_lower = look_up(mouth.curves, u)
    lip = colours_at(mouth.frame, image, u, lower + 0.5 * (outer_lower - lower)).median(0).values
    skin = colours_at(mouth.frame, image, u, torch.full_like(u, 0.6 * mouth.nose)).median(0).values
    colour = colourfulness(image, points)
    own = own_teeth(mouth, image, lip, skin)
    enamel = graded(enamel_colour(skin, image, points), colour)
    if drawn:
        return flat_interior(mouth, lip, torch.maximum(enamel, PAPER), ink_of(image, points), colour)
    upper, lower_row = drawn_upper(mouth, enamel), drawn_lower(mouth, 0.86 * enamel)
    if own.upper > 0:
        upper = with_own(upper, mouth, image, own)
    if own.lower < 1:
        lower_row = with_own_lower(lower_row, mouth, image, own)
    return Interior(
        graded(lip * torch.tensor([0.20, 0.10, 0.10]), colour),
        graded(lip * torch.tensor([0.80, 0.58, 0.58]), colour),
        upper, lower_row, own,
    )  # fmt: skip


def flat_interior(mouth: Mouth, lip: Tensor, enamel: Tensor, ink: Tensor, amount: float) -> Interior:
    """A drawn mouth: a dark fill of the lips' hue, one pale band for the teeth, lines in the drawing's ink; with an
    `amount` 0..1 of colour."""
    hue = lip / lip.max().clamp(min=0.05)
    cavity, tongue = 0.42 * hue * torch.tensor([1.0, 0.5, 0.5]), 0.8 * hue * torch.tensor([1.0, 0.62, 0.62])
    upper = drawn_upper(mouth, graded(enamel, amount), flat=True)
    nothing = Row(torch.cat([upper.picture[:, :3], torch.zeros_like(upper.picture[:, 3:])], 1), upper.span)
    return Interior(graded(cavity, amount), graded(tongue, amount), upper, nothing, OwnTeeth(), ink)


def colourfulness(image: Tensor, points: np.ndarray) -> float:
    """0 for a grey face to 1 for one in full colour."""
    face = face_part(image, points)
    if not face.numel():
        return 1.0
    return min(1.0, float((face.amax(-1) - face.amin(-1)).mean()) / FULL_COLOUR)


def graded(colour: Tensor, amount: float) -> Tensor:
    """A colour [3] with a share of its chroma."""
    grey = (colour * LUMINANCE).sum()
    return grey + (colour - grey) * amount


def enamel_colour(skin: Tensor, image: Tensor, points: np.ndarray) -> Tensor:
    """[3] enamel in the light of this face: as light as the white of the eyes, between bounds that skin gives."""
    skin_light = float(skin @ LUMINANCE)
    white = torch.lerp(WHITE, skin / max(skin_light, 0.02), LIGHT_COLOUR)
    low, high = 1.0 * skin_light + 0.12, 1.2 * skin_light + 0.26
    light = min(max(0.95 * eye_white(image, points), low), high, 0.94)
    return (white * light / float(white @ LUMINANCE)).clamp(0, 1)


def eye_white(image: Tensor, points: np.ndarray) -> float:
    """Luminance of the lightest part of both eyes' openings."""
    found = []
    for outline in EYE_OPENINGS:
        middle = points[outline, :2].mean(0)
        for share in (0.3, 0.55, 0.8):
            places = middle + share * (points[outline, :2] - middle)
            rows = places[:, 1].astype(int).clip(0, image.shape[0] - 1)
            found.append(image[rows, places[:, 0].astype(int).clip(0, image.shape[1] - 1)] @ LUMINANCE)
    return float(torch.cat(found).quantile(0.85))


def paint_interior(
    interior: Interior, mouth: Mouth, shape: MouthShape, picture: Tensor, controls: Tensor
) -> Tensor:
    """Put the inside of the mouth into `picture` [n,3,h,w], the warped photo, between the moved lips; in place.

    On a CPU only the rectangle around what can be seen between the lips is computed.
    """
    everything = (slice(None), slice(None))
    # an accelerator would have to wait until the host knows the window
    window = seen_window(shape) if picture.device.type == "cpu" else everything
    if window is not None:
        part = picture[..., window[0], window[1]]
        part.copy_(painted(interior, mouth, shape.part(*window), part, controls))
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


def painted(interior: Interior, mouth: Mouth, shape: MouthShape, picture: Tensor, controls: Tensor) -> Tensor:
    """`picture` with the inside of the mouth over it."""
    jaw, close, pucker, tuck = (
        controls[:, CONTROLS.index(name)].clamp(0, 1.2).reshape(-1, 1, 1)
        for name in ("jawOpen", "mouthClose", "mouthPucker", "mouthRollLower")
    )
    gap = (shape.lower - shape.upper).clamp(min=1e-4)
    pixel = 1.0 / mouth.frame.unit
    colour = cavity(interior, shape, gap, jaw)
    # the jaw of a photo that shows lower teeth is down already, and rises with the lip
    down = shape.lower - shape.photo_lower if interior.own.lower < 1 else shape.drop
    row, cover = seen(interior.lower, shape.u, shape.v - down)
    colour = torch.lerp(colour, row * under(shape, 0.05), cover * lower_share(interior, jaw)[:, None])
    row, cover = seen(interior.upper, shape.u, shape.v + 0.045 * pucker - 0.015 * tuck)
    colour = torch.lerp(colour, row, cover)
    shadow = 0.0 if interior.ink is not None else 0.10 if interior.own.upper > 0 else 0.18
    colour = colour * (1 - shadow * (1 - smoothstep((shape.v - shape.upper) / 0.05)))[:, None]
    inside = edge(shape.v - shape.upper) * edge(shape.lower - shape.v)
    inside = inside * smoothstep((gap / pixel - 0.8) / 2.0) * between_corners(mouth, shape.u) * shape.activity
    picture = torch.lerp(picture, colour, inside[:, None])
    if interior.ink is not None:
        line = inked(shape, pixel) * shape.activity * smoothstep(gap / (0.5 * LINE))
        picture = torch.lerp(picture, interior.ink.to(picture.device).reshape(3, 1, 1), line[:, None])
    return lip_line(picture, shape, pixel, close, mouth)


def between_corners(mouth: Mouth, u: Tensor) -> Tensor:
    """1 between the corners of the mouth, 0 at them and at the end of what opens on a side that is turned away."""
    side, reach = mouth.far
    return smoothstep((torch.minimum(0.49 - u.abs(), reach - 0.01 - side * u)) / 0.06)


def inked(shape: MouthShape, pixel: float) -> Tensor:
    """Cover [n,h,w] of a line along both lips' inner edges."""
    width = max(LINE / 2, 0.7 * pixel)
    nearest = torch.minimum((shape.v - shape.upper).abs(), (shape.lower - shape.v).abs())
    return smoothstep((width - nearest) / (0.8 * pixel) + 0.5) * smoothstep((0.5 - shape.u.abs()) / 0.02)


def edge(distance: Tensor) -> Tensor:
    """Cover 0..1 of pixels [n,h,w] whose signed distance to an edge is given in any unit, soft over 1.5 pixels."""
    if min(distance.shape[-2:]) < 2:
        return (distance > 0).to(distance)
    return smoothstep(distance / (1.5 * slope(distance).clamp(min=1e-4)) + 0.5)


def cavity(interior: Interior, shape: MouthShape, gap: Tensor, jaw: Tensor) -> Tensor:
    """[n,3,h,w] the dark of the mouth and the tongue, which is lit in front and has a furrow in its middle."""
    if interior.ink is not None:
        return flat_cavity(interior, shape, jaw)
    depth = ((shape.v - shape.upper) / gap).clamp(0, 1)
    cheek = smoothstep((shape.u.abs() - 0.2) / 0.28)
    dark = interior.cavity.to(gap.device).reshape(3, 1, 1) * (0.5 + 0.8 * depth + 0.5 * cheek)[:, None]
    width = 0.38 - 0.04 * jaw
    top = shape.lower - (0.10 + 0.27 * jaw) * (1 - (shape.u / width).square()).clamp(min=0).sqrt()
    body = smoothstep((shape.v - top) / 0.12) * smoothstep((width - shape.u.abs()) / 0.12)
    furrow = 1 - 0.14 * torch.exp(-((shape.u / 0.035) ** 2)) * smoothstep((shape.v - top) / 0.1)
    light = (0.32 + 0.50 * smoothstep((depth - 0.30) / 0.65)) * furrow
    tongue = interior.tongue.to(gap.device).reshape(3, 1, 1) * light[:, None]
    return torch.lerp(dark, tongue, (body * smoothstep(jaw / 0.35) * 0.92)[:, None])


def flat_cavity(interior: Interior, shape: MouthShape, jaw: Tensor) -> Tensor:
    """[n,3,h,w] a drawn mouth's two fills: the dark, and a tongue with a rounded top."""
    top = shape.lower - (0.04 + 0.24 * jaw) * (1 - (shape.u / 0.3).square()).clamp(min=0).sqrt()
    tongue = edge(shape.v - top) * smoothstep(jaw / 0.3)
    dark, fill = (colour.to(top.device).reshape(3, 1, 1) for colour in (interior.cavity, interior.tongue))
    return torch.lerp(dark.expand(len(top), 3, *top.shape[1:]), fill, tongue[:, None])


def under(shape: MouthShape, reach: float) -> Tensor:
    """[n,1,h,w] light close to the lower lip: less where the lip's edge shades what is behind it."""
    return (0.78 + 0.22 * smoothstep((shape.lower - shape.v) / reach))[:, None]


def lower_share(interior: Interior, jaw: Tensor) -> Tensor:
    """How much of the lower row is shown: all of the photo's own, drawn ones when the jaw is well open."""
    return torch.ones_like(jaw) if interior.own.lower < 1 else 0.75 * smoothstep((jaw - 0.3) / 0.4)


def lip_line(picture: Tensor, shape: MouthShape, pixel: float, close: Tensor, mouth: Mouth) -> Tensor:
    """The dark line where closed lips meet, for photos whose open mouth has none."""
    if mouth.gap < 0.02:
        return picture
    gap = shape.lower - shape.upper
    meet = smoothstep(1 - gap / 0.05) * smoothstep((0.49 - shape.u.abs()) / 0.05) * smoothstep(close / 0.5)
    distance = (shape.v - (shape.upper + shape.lower) / 2) / max(0.012, 1.0 * pixel)
    return picture * (1 - 0.30 * meet * torch.exp(-distance * distance))[:, None]
