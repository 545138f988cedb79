"""MediaPipe's attention face mesh: 478 landmarks of one face, with refined lips, eyes and irises.

Source: Grishchenko et al. 2020, "Attention Mesh"; weights and constants from the Apache-2.0 MediaPipe wheel
(face_landmark_with_attention.tflite), converted by tools/convert_face_nets.py. Plain fp32 modules, as core's own port.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INPUT_SIZE = 192
FEATURE_SIZE, REGION_SIZE = 48, 16  # side of the feature map and of a region cut out of it
REGION_SCALE = 1.5
TAP_BLOCK = 2  # its output is the feature map that regions are cut from
BACKBONE = [
    (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1),
    (64, 128, 2),
    (128, 128, 1), (128, 128, 1), (128, 128, 2), (128, 128, 1), (128, 128, 1), (128, 128, 2), (128, 128, 1),
    (128, 128, 1),
]  # fmt: skip
TRUNK = [(32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1), (64, 128, 2)]
BRANCH = [(128, 128, 1), (128, 128, 1), (128, 128, 2), (128, 128, 1), (128, 128, 1)]

LIPS = [
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409, 78, 95, 88,
    178, 87, 14, 317,
    402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415, 76, 77, 90, 180, 85, 16, 315, 404, 320, 307,
    306, 184, 74,
    73, 72, 11, 302, 303, 304, 408, 62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12,
    268, 271, 272, 407,
]  # fmt: skip
EYE_33 = [
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173, 130, 25, 110, 24, 23, 22, 26,
    112, 243, 247,
    30, 29, 27, 28, 56, 190, 226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53,
    52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
]  # fmt: skip
EYE_263 = [
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398, 359, 255, 339, 254, 253,
    252, 256, 341,
    463, 467, 260, 259, 257, 258, 286, 414, 446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443,
    442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336,
    285, 417,
]  # fmt: skip
CONTOUR = 16  # the first points of an eye list are the eye's own contour
# region -> (landmarks it refines, the two that give its rotation, first iris landmark)
REGIONS: dict[str, tuple[list[int], tuple[int, int], int | None]] = {
    "lips": (LIPS, (61, 291), None),
    "eye_33": (EYE_33, (33, 133), 468),
    "eye_263": (EYE_263, (362, 263), 473),
}


def same_pad(x: Tensor, kernel: int, stride: int) -> Tensor:
    """TensorFlow's SAME padding: the odd pixel goes to the right and the bottom."""
    pads = []
    for size in (x.shape[-1], x.shape[-2]):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class MeshBlock(nn.Module):
    """Depthwise 3x3, pointwise, residual (pooled and zero-extended where the shape changes), PReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.extra, self.stride = outputs - inputs, stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)
        self.prelu = nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        residual = F.max_pool2d(x, 2, 2) if self.stride > 1 else x
        residual = F.pad(residual, (0, 0, 0, 0, 0, self.extra))
        return self.prelu(self.pointwise(self.depthwise(same_pad(x, 3, self.stride))) + residual)


class MeshBranch(nn.Module):
    """Region features [N,128,4,4] -> `points` 2-D points in units of a quarter of a region cell."""

    def __init__(self, points: int):
        super().__init__()
        self.blocks = nn.Sequential(*(MeshBlock(*sizes) for sizes in BRANCH))
        self.reduce = nn.Conv2d(128, 32, 1)
        self.prelu = nn.PReLU(32)
        self.block = MeshBlock(32, 32, 1)
        self.out = nn.Conv2d(32, 2 * points, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.block(self.prelu(self.reduce(self.blocks(x))))).reshape(x.shape[0], -1, 2)


class MeshRegion(nn.Module):
    """One refined region: a shared trunk and one branch per group of points."""

    def __init__(self, points: int, iris: bool):
        super().__init__()
        self.trunk = nn.Sequential(*(MeshBlock(*sizes) for sizes in TRUNK))
        self.points = MeshBranch(points)
        self.iris = MeshBranch(5) if iris else None


class FaceMeshNet(nn.Module):
    """[N,3,192,192] in 0..1 -> landmarks [N,478,3] in pixels of the input (z in the same unit), presence logit [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.prelu_stem = nn.PReLU(16)
        self.blocks = nn.ModuleList(MeshBlock(*sizes) for sizes in BACKBONE)
        self.head_reduce = nn.Conv2d(128, 32, 1)
        self.prelu_head = nn.PReLU(32)
        self.head_block = MeshBlock(32, 32, 1)
        self.head_landmarks = nn.Conv2d(32, 468 * 3, 3)
        self.head_presence = nn.Conv2d(32, 1, 3)
        self.regions = nn.ModuleDict(
            {name: MeshRegion(len(points), iris is not None) for name, (points, _, iris) in REGIONS.items()}
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = self.prelu_stem(self.stem(same_pad(image, 3, 2)))
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == TAP_BLOCK:
                features = x
        head = self.head_block(self.prelu_head(self.head_reduce(x)))
        mesh = self.head_landmarks(head).reshape(-1, 468, 3)
        landmarks = torch.cat([mesh, mesh.new_zeros(mesh.shape[0], 10, 3)], 1)
        for name, (points, axis, iris) in REGIONS.items():
            region = cast(MeshRegion, self.regions[name])
            self._refine(region, features, mesh, landmarks, points, axis, iris)
        return landmarks, self.head_presence(head).reshape(-1)

    def _refine(
        self, region: MeshRegion, features: Tensor, mesh: Tensor, landmarks: Tensor, points: list[int],
        axis: tuple[int, int], iris: int | None,
    ) -> None:  # fmt: skip
        matrix, origin = region_transform(mesh[..., :2] * (FEATURE_SIZE / INPUT_SIZE), points, axis)
        trunk = region.trunk(cut_region(features, matrix, origin))
        scale = INPUT_SIZE / FEATURE_SIZE
        landmarks[:, points, :2] = region.points(trunk) @ matrix.mT + scale * origin[:, None]
        if iris is not None and region.iris is not None:
            landmarks[:, iris : iris + 5, :2] = region.iris(trunk) @ matrix.mT + scale * origin[:, None]
            landmarks[:, iris : iris + 5, 2] = mesh[:, points[:CONTOUR], 2].mean(1, keepdim=True)


def region_transform(mesh: Tensor, points: list[int], axis: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Where a region lies in the feature map: p_feature = matrix @ p_region + origin.

    `mesh` [N,468,2] in feature pixels; the region is the box of `points`, turned so that `axis` is level, 1.5 times as
    large. Returns matrix [N,2,2] and origin [N,2].
    """
    direction = mesh[:, axis[1]] - mesh[:, axis[0]]
    angle = torch.atan2(direction[:, 1], direction[:, 0])
    cos, sin = angle.cos(), angle.sin()
    rotation = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    subset = mesh[:, points]
    middle = (subset.amax(1) + subset.amin(1)) / 2
    level = (subset - middle[:, None]) @ rotation
    low, high = level.amin(1), level.amax(1)
    centre = middle + torch.einsum("nij,nj->ni", rotation, (low + high) / 2)
    matrix = rotation * ((high - low) * REGION_SCALE / REGION_SIZE)[:, None]
    return matrix, centre - matrix.sum(-1) * (REGION_SIZE / 2)


def cut_region(features: Tensor, matrix: Tensor, origin: Tensor) -> Tensor:
    """[N,C,48,48] -> [N,C,16,16], bilinear at pixel centres, zeros outside."""
    centres = torch.arange(REGION_SIZE, dtype=features.dtype, device=features.device) + 0.5
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).reshape(-1, 2)
    places = grid @ matrix.mT + origin[:, None]
    places = (2 * places / FEATURE_SIZE - 1).reshape(-1, REGION_SIZE, REGION_SIZE, 2)
    return F.grid_sample(features, places, mode="bilinear", padding_mode="zeros", align_corners=False)
