"""S, R_eye, R_lip: small networks that fit driven keypoints to the picture around the face (LivePortrait,
section 3.2)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STITCHING = (126, 128, 128, 64, 65)
LIP = (65, 128, 128, 64, 63)
EYE = (66, 256, 256, 128, 128, 64, 63)


class KeypointMLP(nn.Module):
    """[B,sizes[0]] -> [B,sizes[-1]], ReLU between the layers."""

    def __init__(self, sizes: tuple[int, ...], device=None, dtype=None, operations=nn):
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip(sizes, sizes[1:], strict=False):
            layers += [operations.Linear(inputs, outputs, device=device, dtype=dtype), nn.ReLU()]
        self.mlp = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x)


class Retargeting(nn.Module):
    """The three networks of `stitching_retargeting_module`, always in float32; keypoints are [B,21,3]."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.retarget_shoulder_module = KeypointMLP(STITCHING, device, dtype, operations)
        self.retarget_mouth_module = KeypointMLP(LIP, device, dtype, operations)
        self.retarget_eye_module = KeypointMLP(EYE, device, dtype, operations)

    def stitching_delta(self, source: Tensor, driving: Tensor) -> Tensor:
        """[B,65]: an offset for each keypoint (63) and one in x and y for all (2)."""
        return self.retarget_shoulder_module(torch.cat([source.flatten(1), driving.flatten(1)], 1))

    def stitch(self, source: Tensor, driving: Tensor) -> Tensor:
        """Driven keypoints whose shoulders and neck stay with the picture."""
        delta = self.stitching_delta(source.expand_as(driving), driving)
        return driving + delta[:, :63].unflatten(1, (21, 3)) + F.pad(delta[:, 63:], (0, 1))[:, None]

    def eye_delta(self, source: Tensor, ratios: Tensor) -> Tensor:
        """Offsets [B,21,3] that open the eyes; ratios [B,3] = source left, source right, wanted."""
        return self.retarget_eye_module(torch.cat([source.flatten(1), ratios], 1)).unflatten(1, (21, 3))

    def lip_delta(self, source: Tensor, ratios: Tensor) -> Tensor:
        """Offsets [B,21,3] that open the lips; ratios [B,2] = source, wanted."""
        return self.retarget_mouth_module(torch.cat([source.flatten(1), ratios], 1)).unflatten(1, (21, 3))

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        return self.stitch(source, driving)


def build_retargeting(state, metadata, device=None, dtype=torch.float32, operations=nn) -> Retargeting:
    """For the loader: the published sizes are the only ones."""
    return Retargeting(device, dtype, operations)
