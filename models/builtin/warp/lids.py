"""Eyelids that are painted: skin grown over the eye from above and below it, and the photo's own lashes on its edge.

Nothing above the eye is stretched, so brows, glasses and hair over the forehead stay as they are.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch import Tensor

from .colours import LUMINANCE, colours_at, colours_between
from .curves import REACH, TABLE, Frame, greater, look_up, smoothstep

if TYPE_CHECKING:
    from .eyes import Eye

BAND = 0.13  # height in eye widths of the lashes and the fold above the lid's edge
UNDER = 0.10  # below the lower lid, in eye widths, skin begins
OVERLAP = 0.03  # how far a shut lid lies over the lower one
INK = (48, 256)  # rows and columns of the lashes' texture
INK_BELOW = 0.35  # bands of it below the lid's edge
DARKEST = 0.74  # of the luminance of the skin under the eye: no lid is darker
TONES = (0.76, 1.02)  # of the cheek's light, between which a lid is left as it is
FACTORS = (0.85, 1.3)  # least and most by which it is made lighter
ASIDE = (20.0, 45.0)  # degrees of yaw over which it ceases to be
GRAIN = 0.035  # most of the skin's grain, of full scale


@dataclass(frozen=True)
class Lid:
    """skin [1,3,h,w] over the eye's box, as if no eye were there; ink [1,3,*INK]: what lashes leave of its light."""

    skin: Tensor
    ink: Tensor


def make_lid(
    frame: Frame, curves: Tensor, image: Tensor, box: tuple[int, int, int, int],
    cheek: Tensor, yaw: float, flat: bool = False,
) -> Lid:  # fmt: skip
    """Tables for curves [3,TABLE] of upper lid, lower lid and the brow's lower edge in a picture [H,W,3] with a cheek
    of colour [3] under the eye of a face turned by `yaw` degrees; a flat lid has the cheek's colour."""
    band = band_height(curves)
    above, below = skin_above(frame, curves, image, band), skin_below(frame, curves, image)
    above = above * (DARKEST * light(below) / light(above)).clamp(min=1)
    if flat:
        above = below = cheek[:, None].expand(3, TABLE)
    x, y = torch.meshgrid(
        torch.arange(box[0], box[2]) + 0.5, torch.arange(box[1], box[3]) + 0.5, indexing="xy"
    )
    u, v = frame.to_local(x, y)
    skin = skin_at(u, v, curves, above, below, band)
    if not flat:
        skin = toned(skin, (u.abs() < 0.42) & between_lids(u, v, curves), cheek, yaw)
        skin = skin + grain(frame, curves, image, u, v)
    return Lid(skin.clamp(0, 1)[None], lashes(frame, curves, image, above, below, band)[None])


def toned(skin: Tensor, inside: Tensor, cheek: Tensor, yaw: float) -> Tensor:
    """Skin [3,h,w] made as light inside [h,w] as lids are against a cheek of colour [3]: around an eye lie shadow,
    make-up and hair. Less so in a face turned by `yaw` degrees, whose cheeks are in another light than its eyes."""
    if not inside.any():
        return skin
    share = float(light(skin[:, inside].mean(1, keepdim=True)) / light(cheek[:, None]))
    factor = min(max(share, TONES[0]), TONES[1]) / max(share, 0.01)
    faces = float(1 - smoothstep(torch.tensor((abs(yaw) - ASIDE[0]) / (ASIDE[1] - ASIDE[0]))))
    return skin * (1 + faces * (min(max(factor, FACTORS[0]), FACTORS[1]) - 1))


def between_lids(u: Tensor, v: Tensor, curves: Tensor) -> Tensor:
    """Where (u, v) [h,w] lies in the open eye."""
    upper, lower = look_up(curves[:2], u)
    return (v > upper) & (v < lower)


def band_height(curves: Tensor) -> Tensor:
    """[TABLE] height of the lashes' band: less where the brow is near."""
    return torch.minimum(torch.full((TABLE,), BAND), 0.5 * (curves[0] - curves[2])).clamp(min=0.04)


def light(colours: Tensor) -> Tensor:
    """[1,K] luminance of colours [3,K]."""
    return (colours * LUMINANCE[:, None]).sum(0, keepdim=True).clamp(min=0.01)


def skin_above(frame: Frame, curves: Tensor, image: Tensor, band: Tensor) -> Tensor:
    """[3,TABLE] colour of the skin between lashes and brow: the lighter of what lies there, as hair is darker."""
    u = torch.linspace(-REACH, REACH, TABLE)
    room = (curves[0] - 1.3 * band - curves[2]).clamp(min=0.02)
    found = [
        colours_at(frame, image, u, curves[0] - 1.3 * band - share * room) for share in (0.05, 0.2, 0.35)
    ]
    strip = torch.stack(found)
    lightest = (strip @ LUMINANCE).argmax(0)
    return along(strip[lightest, torch.arange(TABLE)].T, u)


def skin_below(frame: Frame, curves: Tensor, image: Tensor) -> Tensor:
    """[3,TABLE] colour of the skin under the eye."""
    u = torch.linspace(-REACH, REACH, TABLE)
    found = [colours_at(frame, image, u, curves[1] + UNDER + more) for more in (0.0, 0.05, 0.1, 0.15)]
    return along(torch.stack(found).median(0).values.T, u)


def along(colours: Tensor, u: Tensor) -> Tensor:
    """Colours [3,K] at u within the eye made smooth, and kept at its corners' beyond."""
    inside = (u.abs() < 0.5).nonzero().flatten()
    kept = colours[:, u.abs().clamp(max=0.5).eq(u.abs())]
    smooth = torch.from_numpy(gaussian_filter1d(kept.numpy(), len(inside) / 8, axis=1, mode="nearest"))
    place = torch.arange(len(u)).clamp(int(inside[0]), int(inside[-1])) - int(inside[0])
    return smooth[:, place]


def skin_at(u: Tensor, v: Tensor, curves: Tensor, above: Tensor, below: Tensor, band: Tensor) -> Tensor:
    """[3,...] skin at (u, v), from `above` the eye to `below` it, a little lighter where the lid bulges."""
    upper, lower, height = look_up(torch.stack([curves[0], curves[1], band]), u)
    down = smoothstep((v - upper + height) / (lower + UNDER - upper + height))
    bulge = 0.05 * (1 - (2 * u) ** 2).clamp(min=0) * (4 * down * (1 - down)) - 0.02
    return torch.lerp(look_up(above, u), look_up(below, u), down) * (1 + bulge)


def grain(frame: Frame, curves: Tensor, image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """[3,...] the fine grain of the skin under the eye, mirrored upwards."""
    lower = look_up(curves[1:2], u)[0] + UNDER
    x, y = frame.to_pixels(u, torch.where(v < lower, 2 * lower - v, v))
    rows = y.long().clamp(0, image.shape[0] - 1)
    columns = x.long().clamp(0, image.shape[1] - 1)
    texture = image[rows, columns].mean(-1).numpy()
    fine = texture - gaussian_filter(texture, max(0.04 * frame.unit, 1.0))
    return torch.from_numpy(fine).clamp(-GRAIN, GRAIN)[None]


def lashes(frame: Frame, curves: Tensor, image: Tensor, above: Tensor, below: Tensor, band: Tensor) -> Tensor:
    """[3,*INK] share of the skin's light that lashes leave, over u in -REACH..REACH and height over the edge."""
    u = torch.linspace(-REACH, REACH, INK[1]).expand(INK)
    height = torch.linspace(-1, 1, INK[0])[:, None].expand(INK)
    upper, tall = look_up(torch.stack([curves[0], band]), u)
    v = upper + tall * torch.where(height < 0, height, height * INK_BELOW)
    photo = colours_between(frame, image, u, v)
    skin = skin_at(u, v, curves, above, below, band)
    fade = smoothstep((1 + height) / 0.5)
    return 1 + ((photo / skin.clamp(min=0.02)).clamp(0, 1) - 1) * fade


def paint_lid(eye: "Eye", picture: Tensor, x: Tensor, y: Tensor, blink: Tensor) -> None:
    """Close an eye in `picture` [n,3,h,w], whose photo pixels are (x, y) [n,h,w]; `blink` [n,1,1] in 0..1; in place."""
    u, v = eye.frame.to_local(x, y)
    upper, lower, band = look_up(eye.curves.to(u.device), u)
    lid = upper + blink * (lower + OVERLAP - upper)
    pixel = 1 / eye.frame.unit
    soft = max(0.02, 1.5 * pixel)
    cover = smoothstep((lid - v) / soft + 0.5) * smoothstep((v - upper + 1.6 * band) / (0.6 * band))
    cover = cover * smoothstep((0.62 - u.abs()) / 0.1) * smoothstep(blink / 0.12)
    skin = on_box(eye.lid.skin.to(x.device), x, y, eye.box)
    ink = on_edge(eye.lid.ink.to(x.device), u, (v - lid) / band, blink)
    picture.copy_(torch.lerp(picture, skin * ink, cover[:, None]))


def on_box(texture: Tensor, x: Tensor, y: Tensor, box: tuple[int, int, int, int]) -> Tensor:
    """[n,3,h,w] of a texture [1,3,H,W] that spans a box of pixels, at pixels (x, y) [n,h,w]."""
    grid = torch.stack(
        [2 * (x - box[0]) / (box[2] - box[0]) - 1, 2 * (y - box[1]) / (box[3] - box[1]) - 1], -1
    )
    expanded = texture.expand(len(x), *texture.shape[1:])
    return F.grid_sample(expanded, grid, padding_mode="border", align_corners=False)


def on_edge(ink: Tensor, u: Tensor, height: Tensor, blink: Tensor) -> Tensor:
    """[n,3,h,w] of the lashes' texture [1,3,*INK] at u, bands below the lid's edge; flatter on a shut lid."""
    rows = height.clamp(min=0) / INK_BELOW + height.clamp(max=0) / (1 - 0.45 * blink)
    grid = torch.stack([u / REACH, rows], -1)
    expanded = ink.expand(len(u), *ink.shape[1:])
    found = F.grid_sample(expanded, grid, padding_mode="border", align_corners=True)
    return 1 + (found - 1) * greater(rows, -1)[:, None]
