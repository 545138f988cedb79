"""The mouth as an inverse map: lips, jaw and chin as curves over u, moved up and down, and a width that changes.

Frame: origin between the mouth corners (landmarks 61, 291), unit = mouth width, v down. Every curve is a
table over u in the photo; a control moves the curves, and the map between moved and photo curves is piecewise
smooth in v. Upper and lower
lip are separate branches: the cut between them is the lip line, where a mouth really is discontinuous.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...face_motion import CONTROLS
from .curves import Frame, greater, look_up, smoothstep, table_of
from .head import face_size, photo_yaw

UPPER_INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER_INNER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
UPPER_OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291]
LOWER_OUTER = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291]
MOUTH = ("jawOpen", "mouthClose", "mouthPucker", "mouthStretch", "mouthRollLower", "teethShow", "mouthSmile")
# lips can be drawn down, broad and narrow too
LEAST = {"mouthSmile": -1.2, "mouthPucker": -0.6, "mouthStretch": -1.0}
CHEEK = 0.3  # beyond `reach`, in mouth widths, cheeks still rise and fall with the corners
DROP = 0.17  # of the face's height: how far the jaw takes the lower lip down at 1
FAR_YAW = (30.0, 55.0)  # degrees of the photo's yaw over which the far end of the mouth ceases to open
# how far an upper lip comes down to meet the lower one: of the opening, and in mouth widths at most
MEET = (0.4, 0.085)
# share by which lips that would just meet narrow what the jaw opens, where the photo's lips are shut; those that are
# so far apart (in mouth widths) have their own opening to give up
NARROWING, APART = 0.5, 0.12
RIM = 0.035  # mouth widths of an open lip's dark rim that are left out when it closes
CHIN_REACH = 0.75  # below the chin, in mouth widths, the motion has faded out


@dataclass(frozen=True)
class Mouth:
    """Tables of the mouth; curves [4,TABLE]: inner upper, inner lower, outer upper, outer lower lip, v over u."""

    frame: Frame
    curves: Tensor
    nose: float  # v of the nose's base, above which nothing moves
    chin: float
    reach: float  # u beyond which nothing moves
    smile: float  # how far the lips' middle hangs below the corners
    gap: float  # height of the photo's own opening, in mouth widths
    meet: float  # share of it, from above, where the lips meet
    narrowing: float  # share of the jaw's opening that mouthClose takes before the lips meet
    middle: float  # u of the face's middle line at the lips: off 0 in a face that is turned
    far: tuple[float, float]  # sign of u of the side turned away, and the u at which lips stay shut there
    drop: float  # how far the jaw takes the lower lip down at 1, in mouth widths
    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels: where output pixels may need this map


@dataclass(frozen=True)
class MouthShape:
    """Where the curves are at each pixel: v of the photo's (ui, li) and of the moved ones (upper, lower), and u, v."""

    u: Tensor
    v: Tensor
    photo_upper: Tensor
    photo_lower: Tensor
    upper: Tensor
    lower: Tensor
    drop: Tensor
    activity: Tensor

    def part(self, rows: slice, columns: slice) -> "MouthShape":
        """The same in a rectangle."""
        return MouthShape(*(value[..., rows, columns] for value in vars(self).values()))


def make_mouth(points: np.ndarray, size: tuple[int, int]) -> Mouth:
    """Tables for landmarks [478,3] in a picture of (height, width)."""
    frame = Frame.between(points[61], points[291])
    curves = torch.stack(
        [table_of(frame.points(points[i])) for i in (UPPER_INNER, LOWER_INNER, UPPER_OUTER, LOWER_OUTER)]
    )
    curves[1] = torch.maximum(curves[1], curves[0])
    nose = float(frame.points(points[[2]])[0, 1]) * 0.7
    chin = float(frame.points(points[[152]])[0, 1])
    reach = float(np.clip(0.40 * face_size(points)[0] / frame.unit, 0.66, 1.0))
    middle = curves[:, curves.shape[1] // 2]
    gap = float((middle[1] - middle[0]).clamp(min=0))
    margin = 0.3
    side, bottom = reach + CHEEK + margin, chin + CHIN_REACH + margin
    corners = [(-side, nose - margin), (side, nose - margin), (-side, bottom), (side, bottom)]
    pixels = np.array(
        [[float(c) for c in frame.to_pixels(torch.tensor(u), torch.tensor(v))] for u, v in corners]
    )
    low = np.floor(pixels.min(0)).astype(int).clip(0, [size[1], size[0]])
    high = np.ceil(pixels.max(0)).astype(int).clip(0, [size[1], size[0]])
    return Mouth(
        frame, curves, nose, chin, reach, float(middle[0] + 0.4 * (middle[1] - middle[0])),
        gap, min(MEET[0], MEET[1] / max(gap, 1e-3)), NARROWING * max(0.0, 1 - gap / APART),
        midline(frame, points), far_side(photo_yaw(points)),
        float(np.clip(DROP * face_size(points)[1] / frame.unit, 0.28, 0.55)),
        (int(low[0]), int(low[1]), int(high[0]), int(high[1])),
    )  # fmt: skip


def midline(frame: Frame, points: np.ndarray) -> float:
    """u of the middle of the lips, within what a mouth that is still seen can show."""
    return float(np.clip(frame.points(points[[0, 13, 14, 17]])[:, 0].mean(), -0.3, 0.3))


def far_side(yaw: float) -> tuple[float, float]:
    """Sign and reach of u on the far side of a mouth turned by `yaw` degrees: its end lies at the silhouette."""
    part = float(np.clip((abs(yaw) - FAR_YAW[0]) / (FAR_YAW[1] - FAR_YAW[0]), 0, 1))
    return float(np.sign(yaw) or 1), 0.5 - 0.28 * part


def mouth_values(controls: Tensor) -> dict[str, Tensor]:
    """The mouth's controls as [n,1,1] tensors by name, within what the warp can show."""
    values = {name: controls[:, CONTROLS.index(name)].reshape(-1, 1, 1) for name in MOUTH}
    return {name: v.clamp(LEAST.get(name, 0), 1.2) for name, v in values.items()}


def mouth_map(mouth: Mouth, x: Tensor, y: Tensor, controls: Tensor) -> tuple[Tensor, Tensor, MouthShape]:
    """Source pixels (x, y) [n,h,w] of places in the photo's frame, and the moved curves there."""
    value = mouth_values(controls)
    u_out, v_out = mouth.frame.to_local(x, y)
    u = horizontal(mouth, u_out, v_out, value)
    curves = look_up(mouth.curves.to(u.device), u)
    shape, knots = moved_curves(mouth, u, v_out, curves, value)
    v = vertical(mouth, v_out, shape, knots)
    moves = is_active(mouth, u_out, v_out) & (shape.activity > 0)
    source_x, source_y = mouth.frame.to_pixels(u, v)
    moves = moves.to(x)
    return torch.lerp(x, source_x, moves), torch.lerp(y, source_y, moves), shape


def is_active(mouth: Mouth, u: Tensor, v: Tensor) -> Tensor:
    """Whether the mouth's controls can move anything at (u, v)."""
    return (u.abs() < mouth.reach + CHEEK) & (v > mouth.nose) & (v < mouth.chin + mouth.drop + CHIN_REACH)


def horizontal(mouth: Mouth, u: Tensor, v: Tensor, value: dict[str, Tensor]) -> Tensor:
    """Photo u of output u: a narrower mouth for rounding and opening, a wider one for spreading and smiling."""
    jaw, pucker = value["jawOpen"], value["mouthPucker"]
    width = (
        1 - 0.23 * pucker * (1 - 0.25 * jaw) + 0.09 * value["mouthStretch"] * (1 - 0.4 * pucker) - 0.15 * jaw
        + 0.07 * value["mouthSmile"] - 0.45 * min(max(mouth.smile, 0.0), 0.25) * relaxing(value)
    )  # fmt: skip
    inner = 0.5 * width
    across = 1 - smoothstep((u.abs() - inner) / (mouth.reach - inner))
    low = mouth.curves[3].max()
    fade = 0.75 * (mouth.chin - low) + 0.38 * jaw
    down = smoothstep((v - mouth.nose) / max(-0.8 * mouth.nose, 0.1)) * smoothstep((low + fade - v) / fade)
    return u + (1 / width - 1) * u * across * down


def relaxing(value: dict[str, Tensor]) -> Tensor:
    """How much of the photo's own smile is given up, 0..1."""
    rounded = value["mouthPucker"].clamp(min=0)
    return (0.9 * value["jawOpen"] + 0.9 * rounded + 0.5 * value["mouthClose"]).clamp(max=1)


def bow(mouth: Mouth, u: Tensor) -> Tensor:
    """1 in the middle of the mouth, 0 at its corners, a little rounder than a parabola."""
    side, reach = mouth.far
    if reach < 0.5:
        u = u * (1 + (0.5 / reach - 1) * greater(u * side, 0))
    parabola = (1 - (2 * u).square()).clamp_(min=0)
    return torch.lerp(parabola, parabola.sqrt(), 0.4)


def moved_curves(
    mouth: Mouth, u: Tensor, v: Tensor, curves: Tensor, value: dict[str, Tensor]
) -> tuple[MouthShape, dict[str, tuple[Tensor, Tensor]]]:
    """Every curve before and after the controls moved it, at each pixel's u."""
    jaw, close, pucker, stretch, tuck, teeth, smile = (value[name] for name in MOUTH)
    # lips that meet stay together, whatever the jaw does behind them
    jaw = jaw * (1 - mouth.narrowing * close) * (1 - smoothstep((close - 0.55) / 0.4))
    upper, lower, outer_upper, outer_lower = curves
    arch = bow(mouth, u)
    side = smoothstep(u.abs() / 0.5) * smoothstep(
        (mouth.reach + CHEEK - u.abs()) / (mouth.reach + CHEEK - 0.45)
    )
    speaking = ((jaw + close + pucker.clamp(min=0) + stretch.clamp(min=0) + tuck + teeth) * 3).clamp(max=1)
    broad = pucker.clamp(max=0) + stretch.clamp(max=0)
    activity = (speaking + 3 * (smile.abs() - broad)).clamp(max=1)
    line = upper + mouth.meet * (lower - upper)
    wanted = (1.5 * jaw + 0.03 * stretch.clamp(min=0) + 0.15 * tuck + 0.05 * teeth).clamp(max=0.85)
    keep = (1 - close.clamp(max=1)) * torch.lerp(torch.ones_like(wanted), wanted, speaking)
    drop = mouth.drop * jaw * (1 - 0.1 * pucker)
    relax = relaxing(value)
    # A smile's corners come down while the lips round, open wide or close; a smile command lifts them.
    corner = side * (0.55 * max(mouth.smile, 0.0) * relax - 0.09 * smile)
    middle = -0.25 * mouth.smile * relax * arch + 0.03 * smile * arch
    rise = (
        (0.06 - 0.02 * min(mouth.gap / 0.15, 1.0)) * jaw + 0.012 * teeth * (1 - close) + 0.02 * pucker * jaw
    )
    moved_upper = line - (line - upper) * keep - rise * arch
    moved_lower = line + (lower - line) * keep + drop * arch + 0.012 * teeth * (1 - close) * arch
    moved_upper = moved_upper - 0.03 * tuck * arch + corner + middle
    moved_lower = moved_lower - 0.045 * tuck * arch + corner + middle
    moved_lower = torch.maximum(moved_lower, moved_upper)
    change_upper, change_lower = moved_upper - upper, moved_lower - lower
    moved_outer_upper = (
        outer_upper + 0.55 * (change_upper - corner) + corner + 0.015 * close * arch - 0.03 * pucker * arch
    )
    moved_outer_upper = torch.minimum(moved_outer_upper, moved_upper - 0.35 * (upper - outer_upper))
    press = 0.045 * (0.3 * close + 0.8 * tuck) * arch
    moved_outer_lower = outer_lower + 0.95 * (change_lower - corner) + corner - press + 0.03 * pucker * arch
    moved_outer_lower = torch.maximum(moved_outer_lower, moved_lower + 0.35 * (outer_lower - lower))
    chin_width = smoothstep((mouth.reach + 0.1 - u.abs()) / 0.7)
    chin = torch.full_like(u, mouth.chin)
    moved_chin = chin + 0.72 * drop * chin_width
    # an opening's rim is dark and blurred: where the lips come together, they are taken from further inside
    rim = RIM * (1 - keep) * ((lower - upper) / 0.04).clamp(0, 1)
    upper = upper - torch.minimum(rim, 0.4 * (upper - outer_upper).clamp(min=0))
    lower = lower + torch.minimum(rim, 0.4 * (outer_lower - lower).clamp(min=0))
    shape = MouthShape(u, v, upper, lower, moved_upper, moved_lower, drop.expand_as(u), activity.expand_as(u))
    return shape, {"outer_upper": (outer_upper, moved_outer_upper),
        "outer_lower": (outer_lower, moved_outer_lower),
                   "chin": (chin, moved_chin)}  # fmt: skip


def vertical(mouth: Mouth, v: Tensor, shape: MouthShape, knots: dict[str, tuple[Tensor, Tensor]]) -> Tensor:
    """Photo v of output v at the same u."""
    (outer_upper, moved_outer_upper), (outer_lower, moved_outer_lower) = (
        knots["outer_upper"],
        knots["outer_lower"],
    )
    chin, moved_chin = knots["chin"]
    over = v + (outer_upper - moved_outer_upper) * smoothstep(
        (v - mouth.nose) / (moved_outer_upper - mouth.nose)
    )
    upper_lip = between(v, moved_outer_upper, shape.upper, outer_upper, shape.photo_upper)
    lower_lip = between(v, shape.lower, moved_outer_lower, shape.photo_lower, outer_lower)
    to_chin = smoothstep((v - moved_outer_lower) / (moved_chin - moved_outer_lower).clamp(min=1e-3))
    below = v + torch.lerp(outer_lower - moved_outer_lower, chin - moved_chin, to_chin)
    beyond = v + (chin - moved_chin) * (1 - smoothstep((v - moved_chin) / CHIN_REACH))
    inside = between(v, shape.upper, shape.lower, shape.photo_upper, shape.photo_lower)
    # lips reach a pixel into the opening, so that what lies over their edge has lip to blend with
    pixel = (0.5 * (shape.lower - shape.upper)).clamp(max=1 / mouth.frame.unit)
    result = torch.lerp(torch.minimum(upper_lip, shape.photo_upper), over, greater(moved_outer_upper, v))
    result = torch.lerp(result, inside, greater(v, shape.upper + pixel))
    lower_lip = torch.maximum(lower_lip, shape.photo_lower)
    result = torch.lerp(result, lower_lip, greater(v, shape.lower - pixel))
    result = torch.lerp(result, below, greater(v, moved_outer_lower))
    return torch.lerp(result, beyond, greater(v, moved_chin))


def between(v: Tensor, low: Tensor, high: Tensor, photo_low: Tensor, photo_high: Tensor) -> Tensor:
    """Linear map of low..high onto photo_low..photo_high."""
    return photo_low + (v - low) * (photo_high - photo_low) / (high - low).clamp(min=1e-4)
