"""Eyes: where each opens, how it looks around, and the tables its lid is painted from.

Frame per eye: origin between its corners, unit = eye width, v down.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .colours import colours_at
from .curves import REACH, TABLE, Frame, greater, look_up, smoothstep, table_of
from .head import photo_yaw
from .lids import BAND, Lid, band_height, make_lid

EYES = {
    "eyeBlinkRight": ([33, 246, 161, 160, 159, 158, 157, 173, 133],
    [33, 7, 163, 144, 145, 153, 154, 155, 133],
                      [46, 53, 52, 65, 55]),
    "eyeBlinkLeft": ([362, 398, 384, 385, 386, 387, 388, 466, 263],
    [362, 382, 381, 380, 374, 373, 390, 249, 263],
                     [276, 283, 282, 295, 285]),
}  # fmt: skip
CHEEKS = {"eyeBlinkRight": [118, 101, 50], "eyeBlinkLeft": [347, 330, 280]}
LEAST_BELOW, LARGEST_BELOW = 0.09, 0.5  # eye widths: less is a shadow, more is no eye
FAR_YAW = (38.0, 42.0)  # degrees of the photo's yaw from which, and at which, the far eye shows no blink
FILL_BELOW, ALIKE = (0.1, 0.9), 0.08  # eye widths under an eye; distance of colours of one fill
LARGE = 0.445  # mean height of both eyes in eye widths: people's are lower
GAZE = (0.13, 0.055)  # of the eye's width, at gaze 1
LEAST_OPEN = (0.06, 0.12)  # mean opening in eye widths: an eye below the first is shut already
SIDE, ABOVE, BELOW = 0.75, 0.2, 0.25  # eye widths around the opening that a lid can cover


@dataclass(frozen=True)
class Eye:
    """Tables of one eye. weight 0..1: how much of a blink it can show.

    curves [3,TABLE]: upper lid, lower lid, height of the lashes. box, opening: x0, y0, x1, y1 in whole pixels around
    what a lid covers, and around the eyeball.
    """

    name: str
    frame: Frame
    curves: Tensor
    lid: Lid
    weight: float
    box: tuple[int, int, int, int]
    opening: tuple[int, int, int, int]


def make_eye(name: str, points: np.ndarray, image: Tensor, drawn: bool = False) -> Eye:
    """Tables of one eye for landmarks [478,3] in a picture [H,W,3]; a drawn one gets a lid of flat colour."""
    upper, lower, brow = EYES[name]
    frame = Frame.between(points[upper[0]], points[upper[-1]])
    curves = torch.stack([table_of(frame.points(points[rows])) for rows in (upper, lower, brow)])
    curves[1] = torch.maximum(curves[0], curves[1])
    cheek = cheek_colour(name, points, image)
    if drawn or are_large(points):
        curves[1] = curves[1] + below_landmarks(frame, curves, image, cheek)
    if drawn:
        cheek = flat_colour(frame, curves, image)
    size = (image.shape[0], image.shape[1])
    box = eye_box(frame, curves, size, (SIDE, BAND + ABOVE, BELOW))
    u = torch.linspace(-0.4, 0.4, 17)
    opening = look_up(curves[1:2] - curves[:1], u).mean()
    weight = smoothstep((opening - LEAST_OPEN[0]) / (LEAST_OPEN[1] - LEAST_OPEN[0]))
    yaw = photo_yaw(points)
    weight = weight * far_eye_weight(name, yaw)
    tables = torch.cat([curves[:2], band_height(curves)[None]])
    lid = make_lid(frame, curves, image, box, cheek, yaw, drawn)
    return Eye(name, frame, tables, lid, float(weight), box, eye_box(frame, curves, size, (0.5, 0.0, 0.0)))


def are_large(points: np.ndarray) -> bool:
    """Whether the eyes are higher than people's, as those of drawn and modelled figures are."""
    heights = []
    for upper, lower, _ in EYES.values():
        frame = Frame.between(points[upper[0]], points[upper[-1]])
        heights.append(float(np.diff(frame.points(points[[upper[4], lower[4]]])[:, 1])[0]))
    return float(np.mean(heights)) > LARGE


def far_eye_weight(name: str, yaw: float) -> Tensor:
    """How much of a blink an eye can show in a face turned by `yaw` degrees: one at the silhouette shows none."""
    aside = yaw if name == "eyeBlinkLeft" else -yaw
    return 1 - smoothstep(torch.tensor((aside - FAR_YAW[0]) / (FAR_YAW[1] - FAR_YAW[0])))


def cheek_colour(name: str, points: np.ndarray, image: Tensor) -> Tensor:
    """[3] median colour of the skin under an eye."""
    places = points[CHEEKS[name], :2].astype(int).clip(0, [image.shape[1] - 1, image.shape[0] - 1])
    return image[places[:, 1], places[:, 0]].median(0).values


def flat_colour(frame: Frame, curves: Tensor, image: Tensor) -> Tensor:
    """[3] the commonest colour under an eye of a drawing: its fill there, and neither line nor blush nor shadow."""
    u, v = torch.meshgrid(torch.linspace(-0.5, 0.5, 20), torch.linspace(*FILL_BELOW, 20), indexing="xy")
    colours = colours_at(frame, image, u, curves[1].max() + v).reshape(-1, 3)
    alike = torch.cdist(colours, colours) < ALIKE
    return colours[alike[alike.sum(1).argmax()]].median(0).values


def below_landmarks(frame: Frame, curves: Tensor, image: Tensor, skin: Tensor) -> Tensor:
    """[TABLE] how far the eye goes on under its lower landmarks: drawn eyes are larger than the mesh knows."""
    u = torch.linspace(-0.2, 0.2, 9)
    upper, lower = look_up(curves[:2], u)
    steps = torch.arange(0.0, LARGEST_BELOW, 0.02)[:, None]
    inside = colours_at(frame, image, u, (upper + lower) / 2)
    beyond = torch.stack([colours_at(frame, image, u, row) for row in lower + steps])
    unlike = (beyond - skin).abs().amax(-1) > 0.5 * (inside - skin).abs().amax(-1).median().clamp(min=0.4)
    length = 0.02 * float(unlike.int().cumprod(0).sum(0).float().median())
    if length < LEAST_BELOW or length > LARGEST_BELOW - 0.03:
        return torch.zeros(TABLE)
    across = torch.linspace(-REACH, REACH, TABLE)
    return length * (1 - (2 * across) ** 2).clamp(min=0) ** 0.5


def eye_box(
    frame: Frame, curves: Tensor, size: tuple[int, int], room: tuple[float, float, float]
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 in whole pixels around an eye, with room in eye widths from its middle aside, above and below."""
    side, over, under = room
    top, bottom = float(curves[0].min()) - over, float(curves[1].max()) + under
    u, v = torch.tensor([-side, side, -side, side]), torch.tensor([top, top, bottom, bottom])
    x, y = frame.to_pixels(u, v)
    low = np.floor([float(x.min()), float(y.min())]).astype(int).clip(0, [size[1], size[0]])
    high = np.ceil([float(x.max()), float(y.max())]).astype(int).clip(0, [size[1], size[0]])
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def gaze_map(eye: Eye, x: Tensor, y: Tensor, gaze: Tensor) -> tuple[Tensor, Tensor]:
    """Source pixels (x, y) of places [n,h,w] in the photo's frame; `gaze` [n,2,1,1], picture right and up positive."""
    u, v = eye.frame.to_local(x, y)
    upper, lower = look_up(eye.curves[:2].to(u.device), u)
    opening = (
        smoothstep((v - upper) / 0.06) * smoothstep((lower - v) / 0.06) * (1 - (2 * u) ** 2).clamp(min=0)
    )
    source_x, source_y = eye.frame.to_pixels(
        u - GAZE[0] * gaze[:, 0] * opening, v + GAZE[1] * gaze[:, 1] * opening
    )
    moved = greater(opening * gaze.abs().amax(1), 0)
    return torch.lerp(x, source_x, moved), torch.lerp(y, source_y, moved)
