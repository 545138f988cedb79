"""What benchmarks/faces.py measures on rendered stills of one portrait."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.builtin.warp.head import head_displacement
from talking_portrait.models.face_motion import CONTROLS, FaceMotion, resolve
from talking_portrait.models.portrait import Portrait

CPU = torch.device("cpu")
EYES = (([33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7], (159, 145), [118, 101, 50]),
        ([263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249], (386, 374),
         [347, 330, 280]))  # fmt: skip
BROWS = [46, 53, 52, 65, 55, 276, 283, 282, 295, 285]
INNER_LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
FIXED = [168, 6, 197, 195, 5, 4, 1, 234, 454, 127, 356]  # do not move with brows, lids or jaw
CHANGED = 12  # of 255 levels
LUMINANCE = np.array([0.299, 0.587, 0.114])
Find = Callable[[np.ndarray], np.ndarray | None]


def motion(poses: list[tuple[float, float, float]], controls: list[dict[str, float]]) -> FaceMotion:
    """Frames of given poses in degrees (pitch, yaw, roll) and controls by name."""
    track = torch.zeros(len(poses), len(CONTROLS))
    for row, named in zip(track, controls, strict=True):
        for name, value in named.items():
            row[CONTROLS.index(name)] = value
    count = len(poses)
    shift, size = torch.zeros(count, 3), torch.ones(count)
    return FaceMotion.from_controls(track, torch.tensor(poses), shift, size, Fraction(25), source={})


def drawn(portrait: Portrait, face_motion: FaceMotion) -> np.ndarray:
    """Frames [n,H,W,3] in 0..1."""
    resolved, renderer = resolve(face_motion, portrait.motion), WarpRenderer()
    pairs = [renderer.render(portrait, resolved.slice(i, i + 1), CPU) for i in range(len(face_motion))]
    return torch.cat(pairs).numpy()


def inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask [H,W] of a polygon [K,2]."""
    mask = Image.new("1", (size[1], size[0]))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points[:, :2]], fill=1)
    return np.array(mask)


def patch(frame: np.ndarray, points: np.ndarray) -> float:
    """Median luminance at the pixels of points [K,2]."""
    rows = points[:, 1].astype(int).clip(0, frame.shape[0] - 1)
    columns = points[:, 0].astype(int).clip(0, frame.shape[1] - 1)
    return float(np.median(frame[rows, columns] @ LUMINANCE))


def lid_tone(shut: np.ndarray, points: np.ndarray) -> list[float]:
    """Colour of each closed lid against the cheek under it."""
    tones = []
    for outline, _, cheek in EYES:
        mask = inside(points[outline], shut.shape[:2])
        if mask.any():
            tones.append(float((shut[mask] @ LUMINANCE).mean()) / max(patch(shut, points[cheek]), 0.02))
    return tones


def lid_distance(points: np.ndarray) -> float:
    """Mean opening of both eyes, of the distance between the eyes."""
    gaps = [np.linalg.norm(points[a, :2] - points[b, :2]) for _, (a, b), _ in EYES]
    return float(np.mean(gaps) / np.linalg.norm(points[33, :2] - points[263, :2]))


def brow_travel(before: np.ndarray, after: np.ndarray) -> float:
    """How far the brows moved up or down against the middle of the face, of the distance between the eyes."""
    change = after[:, 1] - before[:, 1]
    eyes = np.linalg.norm(before[33, :2] - before[263, :2])
    return float(abs(change[BROWS].mean() - change[FIXED].mean()) / eyes)


def brow_change(still: np.ndarray, shut: np.ndarray, points: np.ndarray) -> float:
    """Mean change of the pixels of the brows in levels of 255."""
    reach = 1 + int(0.01 * np.linalg.norm(points[33, :2] - points[263, :2]))
    mask = np.zeros(still.shape[:2], bool)
    spots = points[BROWS, :2].astype(int).clip(0, [still.shape[1] - 1, still.shape[0] - 1])
    mask[spots[:, 1], spots[:, 0]] = True
    mask = binary_dilation(mask, iterations=reach)
    return float(255 * np.abs(still[mask] - shut[mask]).mean())


def mouth_inside(frame: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """Mean chroma of the mouth's inside, and the share of it that is bright as teeth are."""
    mask = inside(points[INNER_LIPS], frame.shape[:2])
    if mask.sum() < 8:
        return 0.0, 0.0
    colours = frame[mask]
    skin = patch(frame, points[[118, 101, 50, 347, 330, 280]])
    chroma = float((colours.max(1) - colours.min(1)).mean())
    return chroma, float((colours @ LUMINANCE > 0.6 * skin).mean())


def seam(frame: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """The closed lip line: its luminance against the lips', and the 95th percentile of its step between columns."""
    left, right = points[78, :2], points[308, :2]
    across = np.linspace(0.12, 0.88, 48)[:, None]
    middle = np.median(points[[13, 14], :2], 0) - (left + right) / 2
    line = left + (right - left) * across + middle * (4 * across * (1 - across))
    unit = np.linalg.norm(right - left)
    down = np.array([-(right - left)[1], (right - left)[0]]) / unit
    offsets = np.linspace(-0.12, 0.12, 33) * unit
    spots = (line[:, None] + down * offsets[None, :, None]).astype(int)
    spots = spots.clip(0, [frame.shape[1] - 1, frame.shape[0] - 1])
    light = frame[spots[..., 1], spots[..., 0]] @ LUMINANCE
    darkest, lips = light[:, 6:-6].min(1), np.median(light)
    return float(np.median(darkest) / max(lips, 0.02)), float(np.quantile(np.abs(np.diff(darkest)), 0.95))


def jacobian(portrait: Portrait, degrees: float = 15.0) -> float:
    """Smallest Jacobian determinant of the head's map over +-degrees of pitch, yaw and roll."""
    poses = [tuple(s * degrees * (k == axis) for k in range(3)) for axis in range(3) for s in (-1, 1)]
    head = portrait.features.head
    x0, y0, x1, y1 = head.box
    field = head_displacement(head, resolve(motion(poses, [{}] * 6), portrait.motion), CPU).numpy()
    rows, columns = field.shape[2] - 1, field.shape[3] - 1
    dx = np.diff(field, axis=3)[:, :, :-1] * columns / (x1 - x0 - 1)
    dy = np.diff(field, axis=2)[..., :-1] * rows / (y1 - y0 - 1)
    return float(((1 + dx[:, 0]) * (1 + dy[:, 1]) - dx[:, 1] * dy[:, 0]).min())


def background(
    portrait: Portrait, turned: np.ndarray, person: np.ndarray, poses: list[tuple[float, float, float]]
) -> float:
    """Share of the background's pixels that turns of the head change by more than CHANGED levels, but for those that
    the person covers then."""
    resolved, renderer = resolve(motion(poses, [{}] * len(poses)), portrait.motion), WarpRenderer()
    covered, still = torch.from_numpy(person).clone(), portrait.image.numpy()
    for start in range(len(poses)):
        moved = renderer.move_mask(portrait, covered, resolved.slice(start, start + 1), CPU)[0]
        x0, y0, x1, y1 = portrait.features.head.box
        covered[y0:y1, x0:x1] = torch.maximum(covered[y0:y1, x0:x1], moved)
    away = ~binary_dilation(covered.numpy() > 0.1, iterations=max(2, still.shape[1] // 60))
    if away.sum() < 100:
        return 0.0
    return float((np.abs(turned - still)[:, away].max(-1) > CHANGED / 255).any(0).mean())
