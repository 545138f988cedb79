"""The head as a rigid body: a depth proxy from the landmarks, turned and projected; and the brows that ride on it.

The field is made on a coarse grid over the head's rectangle and stretched to its pixels. It is a displacement
in pixels, exactly zero where nothing moves.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import NearestNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import Delaunay
from torch import Tensor

from ...face_motion import CONTROLS, ResolvedMotion, rotation_matrix
from .curves import Frame, smoothstep
from .layers import Layers, make_layers
from .limits import fold_free, limited

GRID = 96
ITERATIONS = 4
CROP_FACTOR = 2.3  # LivePortrait's crop is 2.3 faces wide; its keypoint units run from -1 to 1 across it
OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148,
    176, 149, 150,
        136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]  # fmt: skip
BROWS = ([70, 63, 105, 66, 107, 46, 53, 52, 65, 55], [300, 293, 334, 296, 336, 276, 283, 282, 295, 285])
UPPER_LIDS = ([246, 161, 160, 159, 158, 157, 173], [466, 388, 387, 386, 385, 384, 398])
BROW_TRAVEL = 0.075  # of the distance between the eyes, at browInnerUp 1
# of the face's width: along the picture's edges nothing moves; of these borders the one that turns furthest
BORDERS = (0.12, 0.25, 0.45)
SHOULDERS = 0.8  # share of the head's shifts that they follow


@dataclass(frozen=True)
class Head:
    """Tables of the head warp. box: x0, y0, x1, y1 of its rectangle in whole pixels. The [GRID,GRID] fields span it."""

    box: tuple[int, int, int, int]
    weight: Tensor  # how much each place follows the head's turns, 0..1
    carried: Tensor  # and its shifts, 0..1: shoulders too, if the background is told apart
    depth: Tensor  # pixels, smaller is nearer
    brow: Tensor  # how much each place follows the brows, 0..1
    pivot: tuple[float, float, float]
    key_unit: float  # pixels per LivePortrait keypoint unit
    brow_unit: float  # pixels of brow travel at 1
    limits: Tensor  # [3] degrees of pitch, yaw and roll that it can turn without folds
    layers: Layers | None  # the person over the background; None: one piece of rubber


def face_size(points: np.ndarray) -> tuple[float, float]:
    """Width and height of the face oval in pixels."""
    span = np.ptp(points[OVAL, :2], axis=0)
    return float(span[0]), float(span[1])


def photo_yaw(points: np.ndarray) -> float:
    """Degrees by which the face of landmarks [478,3] is turned aside; positive: the picture's right is the far side."""
    across, back = points[454, [0, 1]] - points[234, [0, 1]], points[454, 2] - points[234, 2]
    return float(np.degrees(np.arctan2(back, max(float(np.linalg.norm(across)), 1e-3))))


def make_head(points: np.ndarray, size: tuple[int, int], person: np.ndarray | None) -> Head:
    """Tables for landmarks [478,3] in a picture of (height, width); `person` is an optional mask [H,W]."""
    height, width = size
    face_w, face_h = face_size(points)
    centre = points[OVAL, :2].mean(0) - [0, 0.12 * face_h]
    radii = np.array([0.78 * face_w, 0.80 * face_h])
    low = np.floor(centre - 1.75 * radii).astype(int).clip(0, [width - 1, height - 1])
    high = np.ceil(centre + 1.75 * radii).astype(int).clip(low + 1, [width, height])
    x = np.linspace(low[0] + 0.5, high[0] - 0.5, GRID)
    y = np.linspace(low[1] + 0.5, high[1] - 0.5, GRID)
    gx, gy = np.meshgrid(x, y)
    distance = np.hypot((gx - centre[0]) / radii[0], (gy - centre[1]) / radii[1])
    weight = smoothstep(torch.from_numpy((1.75 - distance) / 0.9)).numpy()
    box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    eyes = float(np.linalg.norm(points[33, :2] - points[263, :2]))
    chin, back = points[152, 1], points[OVAL, 2].max()
    layers = None if person is None else make_layers(person, points[OVAL, :2], box, face_w)
    head = Head(
        box,
        torch.from_numpy(weight).float(),
        torch.from_numpy(weight).float(),
        torch.from_numpy(depth_map(points, gx, gy, face_w)).float(),
        torch.from_numpy(brow_weight(points, gx, gy)).float(),
        (float(points[OVAL, 0].mean()), float(chin - 0.1 * face_h), float(back + 0.15 * face_w)),
        0.5 * CROP_FACTOR * max(face_w, face_h),
        BROW_TRAVEL * eyes,
        torch.full((3,), 90.0),
        layers,
    )
    torso = 0 * weight if layers is None else torso_weight(gx, gy, chin, face_w, face_h)
    borders = [border_weight(gx, gy, size, soft * face_w) for soft in BORDERS]
    weights = [(weight * border, np.maximum(weight, torso) * border) for border in borders]
    heads = [
        replace(head, weight=torch.from_numpy(turned).float(), carried=torch.from_numpy(carried).float())
        for turned, carried in weights
    ]
    heads = [replace(one, limits=turn_limits(one)) for one in heads]
    return max(heads, key=lambda one: float(one.limits.log().sum()))


def turn_limits(head: Head) -> Tensor:
    """[3] degrees of pitch, yaw and roll that the head can turn without folds."""
    x0, y0, x1, y1 = head.box

    def displacement(poses: Tensor) -> Tensor:
        change = rotation_matrix(poses).mT - torch.eye(3)
        nothing = torch.zeros(len(poses), 2)
        return displaced(head, change[:, :2], nothing, nothing[:, 0])

    return fold_free(displacement, ((x1 - x0 - 1) / (GRID - 1), (y1 - y0 - 1) / (GRID - 1)))


def turns_in_words(head: Head) -> str:
    """How far the head turns, for artists."""
    pitch, yaw, roll = head.limits.tolist()
    return f"the head turns up to {yaw:.0f} degrees, nods {pitch:.0f}, tilts {roll:.0f}"


def torso_weight(gx: np.ndarray, gy: np.ndarray, chin: float, face_w: float, face_h: float) -> np.ndarray:
    """How much what is under a chin follows the head's shifts: shoulders do, less to the field's sides and end."""
    low = smoothstep(torch.from_numpy((gy - chin) / (0.4 * face_h))).numpy()
    beside = np.minimum(gx - gx[0, 0], gx[0, -1] - gx) / (0.5 * face_w)
    inside = np.minimum(beside, (gy[-1, 0] - gy) / (0.5 * face_h))
    return SHOULDERS * low * smoothstep(torch.from_numpy(inside)).numpy()


def border_weight(gx: np.ndarray, gy: np.ndarray, size: tuple[int, int], soft: float) -> np.ndarray:
    """0 at the picture's edges, so that nothing from outside is ever needed."""
    inside = np.minimum.reduce([gx - 0.5, gy - 0.5, size[1] - 0.5 - gx, size[0] - 0.5 - gy])
    return smoothstep(torch.from_numpy(inside / max(soft, 1.0))).numpy()


def depth_map(points: np.ndarray, gx: np.ndarray, gy: np.ndarray, face_w: float) -> np.ndarray:
    """Depth at each grid place: the landmarks' z, falling back behind the oval as a head does."""
    oval, middle = points[OVAL], points[OVAL, :2].mean(0)
    known = [points[:468]]
    for push, back in ((1.25, 0.175), (1.7, 0.35), (3.5, 0.35), (8.0, 0.35)):
        ring = oval.copy()
        ring[:, :2] = middle + (oval[:, :2] - middle) * push
        ring[:, 2] += back * face_w
        known.append(ring)
    cloud = np.concatenate(known)
    depth = linear_between(cloud, gx[0], gy[:, 0])
    missing = np.isnan(depth)
    if missing.any():
        depth[missing] = NearestNDInterpolator(cloud[:, :2], cloud[:, 2])(gx[missing], gy[missing])
    return gaussian_filter(depth, 1.5)


def linear_between(cloud: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[len(y),len(x)] heights over ascending x and y of the triangles between points [K,3]; NaN outside.

    scipy's own interpolator asks LAPACK once per triangle, whose threads take seconds on a busy machine.
    """
    found = np.full((len(y), len(x)), np.nan)
    corners = cloud[Delaunay(cloud[:, :2]).simplices]
    low, high = corners[..., :2].min(1), corners[..., :2].max(1)
    left, right = np.searchsorted(x, low[:, 0]), np.searchsorted(x, high[:, 0], "right")
    top, bottom = np.searchsorted(y, low[:, 1]), np.searchsorted(y, high[:, 1], "right")
    for index in np.flatnonzero((left < right) & (top < bottom)):
        a, b, c = corners[index]
        columns, rows = slice(left[index], right[index]), slice(top[index], bottom[index])
        dx, dy = x[columns] - a[0], (y[rows] - a[1])[:, None]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        along_b = (dx * (c[1] - a[1]) - dy * (c[0] - a[0])) / area
        along_c = (dy * (b[0] - a[0]) - dx * (b[1] - a[1])) / area
        inside = (along_b >= -1e-9) & (along_c >= -1e-9) & (along_b + along_c <= 1 + 1e-9)
        height = a[2] + along_b * (b[2] - a[2]) + along_c * (c[2] - a[2])
        found[rows, columns][inside] = height[inside]
    return found


def brow_weight(points: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """1 on the brows, fading up the forehead and out to the sides, 0 at the lids."""
    total = np.zeros(gx.shape, np.float32)
    for brow, lid in zip(BROWS, UPPER_LIDS, strict=True):
        ends = points[brow]
        frame = Frame.between(ends[ends[:, 0].argmin()], ends[ends[:, 0].argmax()])
        u, v = frame.to_local(torch.from_numpy(gx).float(), torch.from_numpy(gy).float())
        line = frame.points(points[brow])[:, 1].mean()
        lid_line = frame.points(points[lid])[:, 1].mean()
        gap = max(lid_line - line, 0.1)
        below, above = smoothstep((lid_line - 0.05 - v) / (0.8 * gap)), smoothstep((v - line + 1.1) / 0.9)
        total = np.maximum(total, (smoothstep((0.95 - u.abs()) / 0.5) * below * above).numpy())
    return total


def head_displacement(head: Head, motion: ResolvedMotion, device: torch.device) -> Tensor:
    """Displacement [n,2,GRID,GRID] in pixels over the head's box: output pixel + displacement = source pixel."""
    pose = limited(motion.pose_delta, head.limits.to(motion.pose_delta.device))
    change = rotation_matrix(pose).mT * motion.scale_ratio[:, None, None] - torch.eye(3)
    shift = motion.translation_delta[:, :2] * head.key_unit
    brow = motion.controls[:, CONTROLS.index("browInnerUp")].clamp(-1.5, 1.5) * head.brow_unit
    return displaced(head, change[:, :2].to(device), shift.to(device), brow.to(device))


def grid_places(box: tuple[int, int, int, int], device: torch.device) -> Tensor:
    """[1,2,GRID,GRID] pixels of the picture that a coarse field over a box of it lies on."""
    xs = torch.linspace(box[0] + 0.5, box[2] - 0.5, GRID, device=device)
    ys = torch.linspace(box[1] + 0.5, box[3] - 0.5, GRID, device=device)
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"))[None]


def displaced(head: Head, change: Tensor, shift: Tensor, brow: Tensor) -> Tensor:
    """The same for a linear change [n,2,3], a shift [n,2] and brows that rise by `brow` [n], both in pixels."""
    x0, y0, x1, y1 = head.box
    device, count = change.device, len(change)
    place = grid_places(head.box, device)
    tables = torch.stack([head.weight, head.carried, head.depth, head.brow])
    fields = tables.to(device).expand(count, 4, GRID, GRID)
    moved = forward_field(head, fields, place.expand(count, -1, -1, -1), change, shift, brow)
    for _ in range(ITERATIONS - 1):
        source = place - moved
        grid_x = (source[:, 0] - x0 - 0.5) * (2 / max(x1 - x0 - 1, 1)) - 1
        grid_y = (source[:, 1] - y0 - 0.5) * (2 / max(y1 - y0 - 1, 1)) - 1
        here = F.grid_sample(
            fields, torch.stack([grid_x, grid_y], 1).movedim(1, -1), padding_mode="border", align_corners=True
        )
        moved = forward_field(head, here, source, change, shift, brow)
    return -moved


def forward_field(
    head: Head, here: Tensor, place: Tensor, change: Tensor, shift: Tensor, brow: Tensor
) -> Tensor:
    """Where the photo's content at `place` [n,2,G,G] moves to, less `place`; `here` [n,4,G,G]: weight, what is
    carried, depth and brows there."""
    weight, carried, depth, brows = here.unbind(1)
    offset = torch.stack([place[:, 0] - head.pivot[0], place[:, 1] - head.pivot[1], depth - head.pivot[2]], 1)
    moved = torch.bmm(change, offset.flatten(2)).view(place.shape).mul_(weight[:, None])
    moved.addcmul_(carried[:, None], shift[..., None, None])
    moved[:, 1].addcmul_(brows, brow[:, None, None], value=-1)
    return moved
