"""Draws a shot's mouth anew: for each pixel its place in the reference picture, through the face's pose and the mouth's
own map, in one sampling; behind it the frame itself, its jaw moved along.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ...face.regions import FACE_OVAL, MOUTH_AREA, draw_region, hull
from ...face_motion import CONTROLS
from ...face_motion.smooth import smoothstep
from ...footage.dubbing import Asked, DrawnPart
from ...footage.footage import Shot
from ...footage.looks import INNER_LIPS
from ...footage.mouth_region import changed_box, downwards
from ...footage.source import Source
from ...media.pixels import Box
from ...threads import one_thread
from ..warp.interior import paint_interior
from ..warp.mouth import LOWER_OUTER, UPPER_OUTER, make_mouth, mouth_map
from ..warp.sampling import base_grid, sample_pixels
from .fields import Nodes, affine, corners_around, depth_inside, displacement, with_ones
from .inside import inside_of_mouth, lips_cover

CHIN_SHARE = 0.72  # of the jaw's drop, as the warp moves the chin
RING, BELOW_CHIN = 1.12, 0.75  # where nothing moves: faces around the face, and mouth widths below the chin
COLOUR_REACH = 0.35  # mouth widths over which the frame's light is carried over
BLOCKS = 24  # of a mouth's width, in which light is compared
NOSE_FADE = 0.05  # mouth widths above the nose's base over which a moving jaw ends
STILL = 0.02  # pixels: less is no motion
LEAST_EXCESS, MOST_EXCESS = 0.05, 0.6  # mouth widths by which a frame's mouth is more open than the calm one
LAGGING = 0.35  # of it, by which lips lie outside of their landmarks
SOFT = 0.2  # mouth widths over which what covers an old mouth ends
BRIDGE = 6  # of the nose: what lies above it is far from all that is drawn
SMALL_MOUTH, MOST_ENLARGED = 36, 4  # pixels across, below which a texture is enlarged, by how much at most
OUTER_LIPS = (*UPPER_OUTER, *LOWER_OUTER[-2:0:-1])
OUTLINE = [number for number in range(468) if number not in INNER_LIPS[1:10] + INNER_LIPS[11:]]


class WarpDubber:
    """Draws the frames of one shot. edge: width of the soft edge in mouth widths; film_teeth: the film's own row of
    teeth where it shows one."""

    id, at_once = "built-in warp", 1

    def __init__(self, shot: Shot, edge: float, film_teeth: bool):
        assert shot.reference is not None
        self.reference = enlarged(shot.reference)
        picture, points = self.reference.picture, self.reference.points.astype(np.float64)
        self.points = points
        down = (points[:, :2] - points[BRIDGE, :2]) @ downwards(points)
        self.near = [row for row in OUTLINE if down[row] > 0 or row in FACE_OVAL]
        mouth = make_mouth(points, (picture.shape[0], picture.shape[1]))
        self.mouth = replace(mouth, narrowing=0.0)  # which `narrowed` does
        self.photo = picture.permute(2, 0, 1)[None].contiguous()
        self.mask = soft_region(points, (picture.shape[0], picture.shape[1]), edge * self.mouth.frame.unit)
        self.interior = inside_of_mouth(
            self.mouth, self.reference, shot.inside, shot.teeth if film_teeth else None
        )

    def draw(self, asked: Sequence[Asked]) -> list[DrawnPart | None]:
        """See Dubber."""
        return [self.drawn(one.frame, one.seen, one.calm, one.controls) for one in asked]

    def drawn(self, frame: Tensor, seen: np.ndarray, calm: np.ndarray, controls: Tensor) -> DrawnPart | None:
        """A frame [H,W,3] whose face is `seen` [478,3], with the lips of controls [12] on the face `calm` [478,3].

        None where nothing of it lies in the frame.
        """
        box = changed_box(seen, calm, (frame.shape[0], frame.shape[1]))
        if box[2] <= box[0] or box[3] <= box[1]:
            return None
        with one_thread(frame.device):
            return self._draw(frame, seen, calm, narrowed(controls)[None], box)

    def _draw(
        self, frame: Tensor, seen: np.ndarray, calm: np.ndarray, controls: Tensor, box: Box
    ) -> DrawnPart:
        x0, y0, x1, y1 = box
        places = base_grid(box, frame.device)
        here = frame[y0:y1, x0:x1].permute(2, 0, 1)[None].contiguous()
        below = under_nose(seen, places)
        nodes, wanted = Nodes(box), self.with_jaw(calm, controls[0])
        width = float(np.linalg.norm(calm[61, :2] - calm[291, :2]))
        moved = self.frame_shift(seen, wanted, nodes)
        old = old_mouth(seen, calm, nodes.places + moved)
        fields = np.concatenate([moved, self.texture_shift(calm, nodes), old[:, None]], 1)
        shift, texture, old = nodes.stretched(fields).split((2, 2, 1), 1)
        shift = shift * below
        back = sample_frame(frame, places + shift)
        source = places + texture
        x, y, shape = mouth_map(self.mouth, source[:, 0], source[:, 1], controls)
        place = torch.stack([x, y], 1)
        plain = sample_pixels(self.photo, place)
        mask = torch.maximum(sample_pixels(self.mask, place), old) * below
        new = paint_interior(self.interior, self.mouth, shape, plain.clone(), controls)
        u, v = self.mouth.frame.to_local(source[:, 0], source[:, 1])
        lips = torch.maximum(lips_cover(self.mouth, shape.u, shape.v, shape), lips_cover(self.mouth, u, v))
        light = carried_light(back - plain, 4 * mask * (1 - mask) * (1 - lips), width)
        skin = mask * (1 - lips)
        unlike = ((back - plain - light) * skin).square().mean() / (skin.mean() + 1e-6)
        moved = (shift.abs().amax(1, keepdim=True) > STILL).float()
        drawn = torch.lerp(torch.lerp(here, back, moved), new + light, mask).clamp(0, 1)
        changed = torch.maximum(mask, moved)[0, 0]
        return DrawnPart(box, drawn[0].permute(1, 2, 0), changed, 255 * float(unlike.sqrt()))

    def frame_shift(self, seen: np.ndarray, wanted: np.ndarray, nodes: Nodes) -> np.ndarray:
        """[P,2] from nodes to the frame's pixels that belong there once its face is where it is `wanted` [478,2]."""
        oval, middle = seen[list(FACE_OVAL), :2], seen[list(FACE_OVAL), :2].mean(0)
        down = downwards(seen)
        low = np.clip((oval - middle) @ down / max(np.linalg.norm(seen[152, :2] - middle), 1e-6), 0, 1)
        width = np.linalg.norm(seen[61, :2] - seen[291, :2])
        ring = middle + RING * (oval - middle) + down * (low * BELOW_CHIN * width)[:, None]
        still = np.concatenate([ring, corners_around(nodes.box)])
        return displacement(
            np.concatenate([wanted[self.near], still]), np.concatenate([seen[self.near, :2], still]), nodes
        )

    def with_jaw(self, calm: np.ndarray, controls: Tensor) -> np.ndarray:
        """[478,2] a calm face with its chin where the mouth's map takes it."""
        mouth = self.mouth
        jaw, close, pucker = (
            float(controls[CONTROLS.index(name)].clamp(0, 1.2))
            for name in ("jawOpen", "mouthClose", "mouthPucker")
        )
        jaw = jaw * (1 - float(smoothstep(np.array((close - 0.55) / 0.4))))
        across = calm[291, :2] - calm[61, :2]
        width = max(float(np.linalg.norm(across)), 1e-3)
        across, middle = across / width, (calm[61, :2] + calm[291, :2]) / 2
        down = np.array([-across[1], across[0]])
        u, v = (calm[:, :2] - middle) @ across / width, (calm[:, :2] - middle) @ down / width
        near = smoothstep((mouth.reach + 0.1 - np.abs(u)) / 0.7)
        share = CHIN_SHARE * near * smoothstep(v / max(0.8 * v[152], 1e-3))
        return calm[:, :2] + down * (mouth.drop * jaw * (1 - 0.1 * pucker) * width * share)[:, None]

    def texture_shift(self, calm: np.ndarray, nodes: Nodes) -> np.ndarray:
        """[P,2] from nodes to the reference picture's pixels, for a calm face that lies there."""
        known, own = calm[self.near, :2], self.points[self.near, :2]
        beyond = affine(known, own)
        oval = calm[list(FACE_OVAL), :2]
        far = np.concatenate([oval.mean(0) + 1.5 * (oval - oval.mean(0)), corners_around(nodes.box)])
        return displacement(
            np.concatenate([known, far]), np.concatenate([own, with_ones(far) @ beyond]), nodes
        )


def enlarged(reference: Source) -> Source:
    """A reference with a mouth of enough pixels for what is less than a pixel of the film: lips that part a little."""
    width = float(np.linalg.norm(reference.points[61, :2] - reference.points[291, :2]))
    factor = int(np.ceil(SMALL_MOUTH / max(width, SMALL_MOUTH / MOST_ENLARGED)))
    if factor == 1:
        return reference
    planes = reference.picture.permute(2, 0, 1)[None]
    larger = F.interpolate(planes, scale_factor=factor, mode="bicubic", align_corners=False).clamp(0, 1)
    return Source(larger[0].permute(1, 2, 0), reference.points * factor, reference.frame)


def narrowed(controls: Tensor) -> Tensor:
    """Controls [12] whose jaw opens the lips by what meeting lips leave of it, as every engine means it.

    The map of portraits lets a portrait's own opening close first; a texture's is closed from the start.
    """
    controls = controls.clone()
    controls[CONTROLS.index("jawOpen")] *= 1 - controls[CONTROLS.index("mouthClose")].clamp(0, 1)
    return controls


def old_mouth(seen: np.ndarray, calm: np.ndarray, places: np.ndarray) -> np.ndarray:
    """[P] of places [P,2] in the frame 1 on the open mouth of the face `seen` there [478,3], soft outwards; 0 for a
    mouth that is as closed as the `calm` one.

    Landmarks stay behind a mouth that opens wide, so its lips reach further than they say.
    """
    width = max(float(np.linalg.norm(calm[61, :2] - calm[291, :2])), 1e-3)
    excess = (gap_of(seen) - gap_of(calm)) / width
    if excess < LEAST_EXCESS:
        return np.zeros(len(places))
    depth = depth_inside(seen[list(OUTER_LIPS), :2], places) / width
    return smoothstep((depth + LAGGING * min(excess, MOST_EXCESS)) / SOFT + 1)


def gap_of(points: np.ndarray) -> float:
    """Pixels between the inner lips of a face [478,3] in the picture."""
    return float(np.linalg.norm(points[13, :2] - points[14, :2]))


def sample_frame(frame: Tensor, places: Tensor) -> Tensor:
    """[1,3,h,w] colours of a frame [H,W,3] at places [1,2,h,w]; only what they can touch is looked at."""
    low, high = places.amin((0, 2, 3)).floor().int().tolist(), places.amax((0, 2, 3)).ceil().int().tolist()
    x0, y0 = (max(edge - 2, 0) for edge in low)
    part = frame[y0 : max(high[1] + 2, y0 + 1), x0 : max(high[0] + 2, x0 + 1)]
    return sample_pixels(part.permute(2, 0, 1)[None].contiguous(), places, (x0, y0))


def under_nose(seen: np.ndarray, places: Tensor) -> Tensor:
    """[1,1,h,w] 0 above the nose's base of a face [478,3] to 1 below it, at places [1,2,h,w].

    Its line runs along the mouth and across the nose; in a turned face these are two, and what is above either stays.
    """
    across = seen[291, :2] - seen[61, :2]
    width = max(float(np.linalg.norm(across)), 1e-3)
    nose = seen[2, :2] - seen[168, :2]
    ways = np.array([-across[1], across[0]]) / width, nose / max(float(np.linalg.norm(nose)), 1e-6)
    x, y = places[:, :1] - float(seen[2, 0]), places[:, 1:] - float(seen[2, 1])
    one, other = (x * float(right) + y * float(down) for right, down in ways)
    return (torch.minimum(one, other) / (width * NOSE_FADE) + 1).clamp(0, 1)


def soft_region(points: np.ndarray, size: tuple[int, int], feather: float) -> Tensor:
    """[1,1,H,W] the mouth's region of a face [478,3], soft inwards over `feather` pixels."""
    mask = torch.zeros(size)
    draw_region(mask, hull(points[list(MOUTH_AREA), :2]), feather, -feather / 2)
    return mask[None, None]


def carried_light(difference: Tensor, weight: Tensor, width: float) -> Tensor:
    """[1,3,h,w] what a difference [1,3,h,w] is nearby where it has weight [1,1,h,w], smooth over a part of a mouth
    `width` pixels wide."""
    block = max(1, int(width / BLOCKS))
    planes = torch.cat([difference * weight, weight], 1)
    heavy = F.avg_pool2d(planes, block, ceil_mode=True, count_include_pad=False)[0]
    rows, columns = (blurring(size, COLOUR_REACH * width / block) for size in heavy.shape[1:])
    blurred = rows @ heavy @ columns.T
    light = (blurred[:3] / (blurred[3:] + 1e-4))[None]
    return light if block == 1 else F.interpolate(light, difference.shape[-2:], mode="bilinear")


def blurring(size: int, reach: float) -> Tensor:
    """[size,size] what makes a Gaussian blur over `reach` of a column of pixels: a few products are much faster than
    a filter as wide as half of the picture."""
    return torch.from_numpy(gaussian_filter1d(np.eye(size, dtype=np.float32), reach, axis=0))
