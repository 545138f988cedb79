"""Two rows of teeth as small pictures: the photo's own where it shows them, continued by drawn ones.

Made once per portrait. A row spans u in -HALF..HALF and v in `span` of the mouth's frame: red, green, blue and cover.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .colours import LUMINANCE, colours_between
from .curves import look_up, smoothstep
from .mouth import Mouth

HALF = 0.55
SIZE = (112, 384)  # rows and columns
# outer edges in mouth widths along the arch from the middle (Wheeler's tooth widths, of a mouth of 52 mm)
UPPER_EDGES = (0.0, 0.165, 0.292, 0.438, 0.574, 0.708)
LOWER_EDGES = (0.0, 0.101, 0.208, 0.342, 0.476, 0.61)
ARCH = 0.46  # radius of the dental arch
HANG = 0.075  # how far the upper teeth's edge lies under the line where the lips meet
RISE = 0.035  # how much higher it lies at the sides
GAP = 0.008  # width of the dark between two teeth
LEAST_GAP, LEAST_PIXELS = 0.05, 6  # mouth widths and pixels: a smaller opening shows no teeth of its own
TAKEN = (0.36, 0.14)  # of the photo's opening: how far from either lip own teeth are looked for


@dataclass(frozen=True)
class Row:
    """picture [1,4,*SIZE] of one row of teeth, red, green, blue and cover, over v in span."""

    picture: Tensor
    span: tuple[float, float]


@dataclass(frozen=True)
class OwnTeeth:
    """What the photo's opening shows: upper teeth down to `upper`, lower ones from `lower` on, shares of its height."""

    upper: float = 0.0
    lower: float = 1.0


def grid(span: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """u and v [*SIZE] of the pixels of a row."""
    v, u = torch.meshgrid(torch.linspace(*span, SIZE[0]), torch.linspace(-HALF, HALF, SIZE[1]), indexing="ij")
    return u, v


def arch(mouth: Mouth, u: Tensor) -> tuple[Tensor, Tensor]:
    """Distance along the dental arch from its middle at u, and the cosine of the turn away there."""
    side = torch.where(u > mouth.middle, 0.5 - mouth.middle, 0.5 + mouth.middle).clamp(min=0.12)
    across = ((u - mouth.middle).abs() * 0.5 / side / ARCH).clamp(max=0.999)
    return ARCH * torch.asin(across), (1 - across * across).sqrt()


def tooth_at(distance: Tensor, edges: tuple[float, ...], pixel: float) -> tuple[Tensor, Tensor]:
    """Place across its tooth, -1..1, and light left by the gaps between teeth, at distances along the arch."""
    bounds = torch.tensor(edges)
    index = torch.bucketize(distance.contiguous(), bounds, right=True).clamp(1, len(edges) - 1)
    low, high = bounds[index - 1], bounds[index]
    across = (2 * (distance - low) / (high - low) - 1).clamp(-1, 1)
    nearest = torch.minimum((distance - low).abs(), (high - distance).abs())
    width = max(GAP, 0.7 * pixel)
    return across, 1 - 0.20 * GAP / width * torch.exp(-((nearest / width) ** 2))


def drawn_upper(mouth: Mouth, enamel: Tensor, flat: bool = False) -> Row:
    """The upper row: incisors that hang a little under the lips' line, rounded at their corners, dim at the sides.

    flat: one pale band, as drawings have it.
    """
    span = (float(mouth.curves[0].min()) - 0.22, float(mouth.curves[1].max()) + 0.2)
    u, v = grid(span)
    distance, facing = arch(mouth, u)
    across, light = tooth_at(distance, UPPER_EDGES, 1 / mouth.frame.unit)
    edge = lip_line(mouth, u) + HANG - RISE * (1 - facing) * 2 - 0.020 * across.abs() ** 3
    if flat:
        smooth = lip_line(mouth, u) + HANG - RISE * (1 - facing) * 2
        return Row(
            assembled(enamel, torch.ones_like(u), smoothstep((smooth - v) / softness(mouth) + 0.5), facing),
            span,
        )
    above = ((edge - v) / 0.2).clamp(0, 1)
    shade = (0.66 + 0.34 * facing**0.8) * (1 - 0.08 * across**4) * (0.95 + 0.05 * smoothstep(above / 0.15))
    gaps = torch.lerp(torch.ones_like(light), light, 0.5 + 0.5 * smoothstep(1 - above / 0.7))
    return Row(assembled(enamel, shade * gaps, smoothstep((edge - v) / softness(mouth) + 0.5), facing), span)


def drawn_lower(mouth: Mouth, enamel: Tensor) -> Row:
    """The lower row at a shut jaw: its edge just above the lips' line, behind the upper teeth."""
    span = (float(mouth.curves[0].min()) - 0.12, float(mouth.curves[1].max()) + 0.3)
    u, v = grid(span)
    distance, facing = arch(mouth, u)
    across, light = tooth_at(distance, LOWER_EDGES, 1 / mouth.frame.unit)
    edge = lip_line(mouth, u) + 0.012 + 0.05 * (1 - facing) + 0.012 * across.abs() ** 3
    shade = (0.55 + 0.40 * facing) * (1 - 0.08 * across**4) * light
    return Row(assembled(enamel, shade, smoothstep((v - edge) / softness(mouth) + 0.5), facing), span)


def softness(mouth: Mouth) -> float:
    """Mouth widths over which a row's edge fades: a pixel and a half at least."""
    return max(0.012, 1.5 / mouth.frame.unit)


def lip_line(mouth: Mouth, u: Tensor) -> Tensor:
    """v where the lips meet, or would, smooth along u."""
    upper, lower = look_up(mouth.curves[:2], u)
    return upper + mouth.meet * (lower - upper)


def assembled(enamel: Tensor, shade: Tensor, cover: Tensor, facing: Tensor) -> Tensor:
    """[1,4,*SIZE] of enamel [3] under shade; rows end where the arch turns away."""
    colour = enamel.reshape(3, 1, 1) * shade
    return torch.cat([colour, (cover * smoothstep((facing - 0.30) / 0.3))[None]])[None]


def own_teeth(mouth: Mouth, image: Tensor, lip: Tensor, skin: Tensor) -> OwnTeeth:
    """Where the photo's opening shows teeth: bright, pale rows under the upper lip, and again over the lower.

    lip, skin [3]: colours of the face. A sliver of a few pixels holds no teeth that could be shown larger.
    """
    if mouth.gap < LEAST_GAP or mouth.gap * mouth.frame.unit < LEAST_PIXELS:
        return OwnTeeth()
    u = mouth.middle + torch.linspace(-0.16, 0.16, 13)
    share = torch.linspace(0.12, 1 - TAKEN[1], 23)
    upper, lower = look_up(mouth.curves[:2], u)
    colours = colours_between(
        mouth.frame, image, u.expand(len(share), -1), upper + share[:, None] * (lower - upper)
    )
    rows = colours.median(2).values
    bright = LUMINANCE @ rows > torch.maximum(0.50 * LUMINANCE @ skin, 0.85 * LUMINANCE @ lip)
    bright &= saturation(rows) < torch.maximum(0.8 * saturation(lip), torch.tensor(0.12))
    if not bright[:8].any():
        return OwnTeeth()
    first = int(bright.nonzero()[0])
    dark = (~bright[first:]).nonzero().flatten()
    end = len(share) if not len(dark) else first + int(dark[0])
    rest = bright[end:].nonzero().flatten()
    lower_row = float(share[end + int(rest[0])]) if len(rest) > 2 and mouth.gap > 0.12 else 1.0
    return OwnTeeth(float(share[end - 1]), lower_row)


def saturation(colours: Tensor) -> Tensor:
    """Saturation (of HSV) of colours [3,...]."""
    return 1 - colours.amin(0) / colours.amax(0).clamp(min=0.02)


def with_own(row: Row, mouth: Mouth, image: Tensor, own: OwnTeeth) -> Row:
    """The upper row with the photo's own teeth in it; where its lower lip cut them, they go on in their own colours."""
    u, v = grid(row.span)
    upper, lower = look_up(mouth.curves[:2], u)
    height = (lower - upper).clamp(min=1e-3)
    share = (v - upper) / height
    last = min(own.upper, 1 - TAKEN[1])
    place = upper + share.clamp(min(TAKEN[0], 0.6 * last), max(last, 0.02)) * height
    colour = colours_between(mouth.frame, image, u, place)
    whole = own.upper < 1 - TAKEN[1] - 0.03 or mouth.gap > 0.2  # their edge is seen: they end there
    end = upper + own.upper * height
    cover = smoothstep((end - v) / 0.03 + 0.5)
    if not whole:
        fade = 1 - 0.12 * smoothstep((v - end) / 0.06)
        colour, cover = colour * fade, torch.maximum(cover * (height > 0.012), row.picture[0, 3])
    reaches = smoothstep((height - 0.006) / 0.012)
    drawn = row.picture[0, :3]
    mixed = torch.lerp(drawn, colour, reaches)
    return Row(torch.cat([mixed, torch.lerp(row.picture[0, 3], cover, reaches)[None]])[None], row.span)


def with_own_lower(row: Row, mouth: Mouth, image: Tensor, own: OwnTeeth) -> Row:
    """The lower row with the photo's own teeth in it."""
    u, v = grid(row.span)
    upper, lower = look_up(mouth.curves[:2], u)
    height = (lower - upper).clamp(min=1e-3)
    share = ((v - upper) / height).clamp(own.lower, max(own.lower, 1 - 0.5 * TAKEN[1]))
    start = upper + own.lower * height
    cover = smoothstep((v - start) / 0.03 + 0.5) * smoothstep((height - 0.03) / 0.03)
    return Row(
        torch.cat([colours_between(mouth.frame, image, u, upper + share * height), cover[None]])[None],
        row.span,
    )


def seen(row: Row, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [n,3,h,w] and cover [n,1,h,w] of a row at (u, v) [n,h,w] of its own place."""
    low, high = row.span
    places = torch.stack([u / HALF, 2 * (v - low) / (high - low) - 1], -1)
    picture = row.picture.to(u.device)
    found = F.grid_sample(
        picture.expand(len(u), *picture.shape[1:]), places, padding_mode="border", align_corners=True
    )
    return found[:, :3], found[:, 3:]
