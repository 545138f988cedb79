"""The mouth's inside in a dubbed film: its colours, and the upper teeth, are those that the film itself shows."""

from dataclasses import replace

import torch
from torch import Tensor

from ...face.head_pose import RIGID
from ...footage.source import Inside, Source
from ..warp.colours import colours_between
from ..warp.curves import look_up, smoothstep
from ..warp.interior import Interior, make_interior
from ..warp.mouth import Mouth, MouthShape, make_mouth
from ..warp.teeth import OwnTeeth, Row, drawn_lower, drawn_upper, grid
from .fields import affine

UNDER_LIP, OVER_LIP = 0.14, 0.10  # of the opening: what lies closer to the lips is their shade
END = 0.06  # of the opening above the lower lip, where the row ends
LEAST_GAP = 0.02  # mouth widths


def inside_of_mouth(mouth: Mouth, reference: Source, inside: Inside, teeth: Source | None) -> Interior:
    """Interior for a mouth with a texture; the film's own upper row where `teeth` shows one, else a drawn one."""
    own = make_interior(mouth, reference.picture, reference.points)
    if inside.enamel is None or inside.cavity is None:
        return own
    enamel = torch.from_numpy(inside.enamel).float()
    upper = drawn_upper(mouth, enamel)
    return replace(
        own,
        cavity=torch.from_numpy(inside.cavity).float(),
        upper=upper if teeth is None else filmed_row(mouth, reference, teeth, upper.span),
        lower=drawn_lower(mouth, 0.86 * enamel),
        own=OwnTeeth() if teeth is None else OwnTeeth(upper=1.0),
    )


def filmed_row(mouth: Mouth, reference: Source, teeth: Source, span: tuple[float, float]) -> Row:
    """What the frame `teeth` shows between its lips, fixed to the skull of the mouth's own picture."""
    u, v = grid(span)
    x, y = mouth.frame.to_pixels(u, v)
    skull = torch.from_numpy(affine(reference.points[list(RIGID), :2], teeth.points[list(RIGID), :2])).float()
    x, y = (x * skull[0, axis] + y * skull[1, axis] + skull[2, axis] for axis in (0, 1))
    other = make_mouth(teeth.points, (teeth.picture.shape[0], teeth.picture.shape[1]))
    across, down = other.frame.to_local(x, y)
    upper, lower = look_up(other.curves[:2], across)
    height = (lower - upper).clamp(min=1e-3)
    place = torch.minimum(torch.maximum(down, upper + UNDER_LIP * height), lower - OVER_LIP * height)
    colours = colours_between(other.frame, teeth.picture, across, place)
    shade = 0.8 + 0.2 * smoothstep((down - upper) / 0.07)
    cover = smoothstep((lower - END * height - down) / 0.04 + 0.5) * (height > LEAST_GAP)
    cover = cover * smoothstep((0.5 - across.abs()) / 0.04)
    return Row(torch.cat([colours * shade, cover[None]])[None], span)


def lips_cover(mouth: Mouth, u: Tensor, v: Tensor, shape: MouthShape | None = None) -> Tensor:
    """[n,1,h,w] 1 on the lips and what is between them, at (u, v) [n,h,w]: of the picture, or of a moved shape."""
    upper, lower, outer_upper, outer_lower = look_up(mouth.curves, u)
    if shape is None:
        top, bottom, side = outer_upper - 0.14, outer_lower + 0.14, 0.66
    else:
        top = shape.upper - (upper - outer_upper) - 0.08
        bottom = shape.lower + (outer_lower - lower) + 0.08
        side = 0.62
    cover = (
        smoothstep((v - top) / 0.08) * smoothstep((bottom - v) / 0.08) * smoothstep((side - u.abs()) / 0.1)
    )
    return cover[:, None]
