"""Faces of made-up people with landmarks that are known exactly: the face's mesh, with a picture on it, bent,
turned and drawn.

People are the photo and the cartoon in other colours and with other proportions. Expressions bend the mesh by
fields of our own (jaw, smile, pucker, brows, lids), the head's pose turns it in space. Distances are in
heights of the face. An opening mouth is dark where the picture's is open; the cartoon's shut lips are
stretched over it in stripes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy.spatial import Delaunay

from ...models.face.landmarks import landmarks_in_pixels
from ...models.face.mesh import EYE_33, EYE_263, LIPS
from ...models.face.weights import load_face_detector
from ...models.liveportrait.keypoints import rotation_from_degrees
from .cartoon import cartoon_face
from .talking_faces import PHOTO, changed
from .turned_face import draw_triangle

DRAWN = 128  # pixels at which faces are drawn, before they are made smaller
FACE = 0.62  # height of a face over the picture's
CONTROLS = ("jaw", "smile", "pucker", "brows", "lids")
RANGES = ((0, 1), (-0.6, 1), (0, 1), (-0.7, 1), (0, 1))
POSE_DEVIATION = (6.0, 12.0, 5.0)  # pitch, yaw, roll in degrees
LOWER_INNER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LOWER_OUTER = (
    146, 91, 181, 84, 17, 314, 405, 321, 375, 77, 90, 180, 85, 16, 315, 404, 320, 307, 96, 89, 179, 86, 15,
    316, 403, 319, 325,
)  # fmt: skip
UPPER_INNER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
CORNERS, BROWS, IRISES = (61, 291), (105, 334), (468, 473)


@dataclass(frozen=True)
class DrawnPerson:
    """A picture, its mesh [478,3] in pixels, and the mesh that is drawn instead [478,3], in heights of a face
    from its middle."""

    picture: Image.Image
    points: np.ndarray
    shape: np.ndarray
    background: tuple[int, int, int]


@torch.no_grad()
def drawn_people(count: int, seed: int) -> list[DrawnPerson]:
    """Different people; the same ones for the same seed. Pictures in which no face is found are drawn anew."""
    random, found = np.random.default_rng(seed), []
    bases = [Image.open(PHOTO).convert("RGB"), cartoon_face(512)]
    while len(found) < count:
        picture = changed(bases[len(found) % 2], random)
        faces = load_face_detector().detect_batch([picture], 1, 0.3, "short")[0]
        if faces:
            points = landmarks_in_pixels(faces[0]).astype(np.float64)
            red, green, blue = (int(value) for value in random.integers(30, 225, 3))
            shape = own_shape(points, random)
            found.append(DrawnPerson(Image.fromarray(picture), points, shape, (red, green, blue)))
    return found


def own_shape(points: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The mesh upright, 1 high, around 0, and with proportions of its own."""
    shape = (points - points.mean(0)) / np.ptp(points[:, 1])
    across = shape[473, :2] - shape[468, :2]
    angle = np.arctan2(across[1], across[0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shape[:, :2] = shape[:, :2] @ turn
    wide, high = random.uniform(0.88, 1.12), random.uniform(0.92, 1.08)
    jaw, depth = random.uniform(-0.35, 0.35), random.uniform(0.8, 1.2)
    shape[:, 0] *= wide * (1 + jaw * shape[:, 1])
    shape[:, 2] *= depth
    mouth = bump(shape, shape[list(CORNERS)].mean(0), 0.16)
    shape[:, 0] *= 1 + mouth * random.uniform(-0.2, 0.2)
    shape[:, 1] = shape[:, 1] * high + mouth * random.uniform(-0.05, 0.05)
    for side in IRISES:
        eye = bump(shape, shape[side], 0.11)
        shape[:, 0] += eye * np.sign(shape[side, 0]) * random.uniform(-0.03, 0.04)
    return shape - shape.mean(0)


def bump(shape: np.ndarray, centre: np.ndarray, width: float) -> np.ndarray:
    """[478] 1 at the centre, falling over about `width`."""
    return np.exp(-((shape[:, :2] - centre[:2]) ** 2).sum(1) / (2 * width**2))


def expressed(shape: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """The mesh with an expression of CONTROLS [5]."""
    jaw, smile, pucker, brows, lids = controls
    change = np.zeros_like(shape)
    line = shape[list(CORNERS), 1].mean()
    below = np.clip((shape[:, 1] - line) / 0.08, 0, 1) * (1 - 0.5 * np.clip(np.abs(shape[:, 0]) / 0.35, 0, 1))
    below[LIPS] = 0
    below[list(LOWER_INNER + LOWER_OUTER)] = 0.9
    below[list(CORNERS)] = 0.35
    change[:, 1] += 0.13 * jaw * below
    mouth = shape[list(CORNERS)].mean(0)
    for corner in CORNERS:
        near, side = bump(shape, shape[corner], 0.07), np.sign(shape[corner, 0] - mouth[0])
        change[:, 0] += near * side * (0.035 * smile - 0.05 * pucker)
        change[:, 1] -= near * 0.045 * smile
    change[:, 2] -= bump(shape, mouth, 0.08) * 0.03 * pucker
    for brow in BROWS:
        change[:, 1] -= bump(shape, shape[brow], 0.07) * 0.045 * brows
    for eye in (EYE_33, EYE_263):
        lower, upper = eye[1:8], eye[9:16]
        upper = sorted(upper, key=lambda point: shape[point, 0])
        lower = sorted(lower, key=lambda point: shape[point, 0])
        change[upper] += lids * (shape[lower] - shape[upper]) * [0, 1, 0]
    return shape + change


def draw(
    who: DrawnPerson, controls: np.ndarray, pose: np.ndarray, size: int, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Picture [size,size,3] bytes and landmarks [478,2] in -1..1. pose: degrees, LivePortrait's order; place:
    scale, x, y."""
    rotation = rotation_from_degrees(*torch.from_numpy(np.asarray(pose, np.float64))[:, None])[0].numpy()
    turned = expressed(who.shape, controls) @ rotation * (2 * FACE * place[0])
    turned[:, :2] += place[1:]
    pixels = (turned + 1) / 2 * DRAWN
    triangles = mesh_triangles(who)
    canvas = Image.new("RGB", (DRAWN, DRAWN), who.background)
    pen = ImageDraw.Draw(canvas)
    inner = set(LOWER_INNER + UPPER_INNER + (78, 308))
    for triangle in triangles[np.argsort(-turned[triangles][:, :, 2].mean(1))]:  # the farthest first
        if inner.issuperset(triangle):  # between the lips
            pen.polygon([tuple(corner) for corner in pixels[triangle, :2]], fill=(50, 20, 24))
        else:
            draw_triangle(canvas, who.picture, who.points[triangle, :2], pixels[triangle, :2])
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)), turned[:, :2].astype(np.float32)


def mesh_triangles(who: DrawnPerson) -> np.ndarray:
    """[T,3] triangles of the picture's mesh; the front of the mesh hides its back."""
    return Delaunay(who.points[:, :2]).simplices


def drawn_moments(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random expressions [N,5], poses [N,3] in degrees and places [N,3] (scale, x, y)."""
    low, high = np.array(RANGES).T
    controls = random.uniform(low, high, (count, len(CONTROLS))) * (
        random.random((count, len(CONTROLS))) < 0.6
    )
    pose = random.normal(0, 1, (count, 3)) * POSE_DEVIATION
    place = np.concatenate([random.uniform(0.85, 1.15, (count, 1)), random.normal(0, 0.06, (count, 2))], 1)
    return controls, pose.clip(-30, 30), place
