"""The head's pose from landmarks that speech hardly moves: a similarity in three dimensions (Umeyama, PAMI 1991)."""

from dataclasses import dataclass

import numpy as np
import torch

from ..face_motion import pose_degrees

# bridge and base of the nose, corners of the eyes, temples, forehead, sides of the face, wings of the nose, brows
RIGID = (
    168, 6, 197, 195, 5, 4, 1, 33, 133, 362, 263, 127, 356, 10, 151, 9, 234, 454, 93, 323, 98, 327,
    55, 285, 70, 300,
)  # fmt: skip


@dataclass(frozen=True)
class Poses:
    """n poses of one shape: a point p of it lies at scale * rotation @ p + shift. scale [n], rotation [n,3,3],
    shift [n,3], in the faces' unit."""

    scale: np.ndarray
    rotation: np.ndarray
    shift: np.ndarray

    def place(self, points: np.ndarray) -> np.ndarray:
        """Points [K,3] or [n,K,3] of the shape as they lie in each face: [n,K,3]."""
        turned = points @ self.rotation.transpose(0, 2, 1)
        return turned * self.scale[:, None, None] + self.shift[:, None]

    def align(self, faces: np.ndarray) -> np.ndarray:
        """Faces [n,K,3] brought to the shape's own pose and size."""
        return (faces - self.shift[:, None]) @ self.rotation / self.scale[:, None, None]

    def degrees(self) -> np.ndarray:
        """[n,3] pitch, yaw and roll, in the convention of models/face_motion/rotation.py."""
        return pose_degrees(torch.from_numpy(self.rotation.transpose(0, 2, 1).copy())).numpy()

    def turned_from(self, frame: int) -> "Poses":
        """The same, as turns from the pose of one of them."""
        return Poses(self.scale, self.rotation @ self.rotation[frame].T, self.shift)

    def part(self, chosen: slice) -> "Poses":
        """Some of them."""
        return Poses(self.scale[chosen], self.rotation[chosen], self.shift[chosen])


def poses_of(shape: np.ndarray, faces: np.ndarray) -> Poses:
    """How a shape [478,3] lies in faces [n,478,3], by the points of RIGID."""
    own, seen = shape[list(RIGID)].astype(np.float64), faces[:, list(RIGID)].astype(np.float64)
    middle, middles = own.mean(0), seen.mean(1)
    centred, others = own - middle, seen - middles[:, None]
    left, stretch, right = np.linalg.svd(others.transpose(0, 2, 1) @ centred)
    signs = np.ones((len(faces), 3))
    signs[:, 2] = np.sign(np.linalg.det(left @ right))
    rotation = (left * signs[:, None]) @ right
    scale = (stretch * signs).sum(1) / np.square(centred).sum()
    return Poses(scale, rotation, middles - scale[:, None] * (rotation @ middle))
