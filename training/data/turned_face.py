"""A side view made of a front one: the face's mesh, with the picture on it, turned about the vertical and
drawn on grey.

Only the face is there, without hair or neck; it stands for side views in tests, where no photographer's
licence is needed.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy.spatial import Delaunay

SIZE, ENLARGED, GREY = 512, 2.0, (150, 150, 150)


def turned_face(picture: Image.Image, points: np.ndarray, degrees: float) -> Image.Image:
    """Picture and its face's points [478,3] in pixels, nearer is smaller -> 512x512; above 0 it looks to the
    picture's left."""
    centred, angle = points - points.mean(0), np.deg2rad(degrees)
    x, y, z = centred.T
    turned = np.stack([x * np.cos(angle) + z * np.sin(angle), y, z * np.cos(angle) - x * np.sin(angle)], 1)
    turned = turned * ENLARGED + [SIZE / 2, SIZE / 2, 0]
    triangles = Delaunay(points[:, :2]).simplices
    canvas = Image.new("RGB", (SIZE, SIZE), GREY)
    for triangle in triangles[np.argsort(-turned[triangles][:, :, 2].mean(1))]:  # the farthest first
        draw_triangle(canvas, picture, points[triangle, :2], turned[triangle, :2])
    return canvas


def draw_triangle(canvas: Image.Image, picture: Image.Image, source: np.ndarray, target: np.ndarray) -> None:
    """The part of the picture inside `source` [3,2], bent onto `target` [3,2]."""
    low, high = np.floor(target.min(0)).astype(int) - 1, np.ceil(target.max(0)).astype(int) + 2
    corners = np.concatenate([target - low, np.ones((3, 1))], 1)
    if abs(np.linalg.det(corners)) < 1e-3:
        return
    width, height = (int(value) for value in high - low)
    patch = picture.transform(
        (width, height),
        Image.Transform.AFFINE,
        tuple(np.linalg.solve(corners, source).T.ravel()),
        Image.Resampling.BILINEAR,
    )
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in target - low], fill=255, outline=255)
    left, top = (int(value) for value in low)
    canvas.paste(patch, (left, top), mask)
