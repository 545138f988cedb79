"""MediaPipe's selfie segmentation: which pixels of a picture belong to the person in front.

Weights from the Apache-2.0 MediaPipe wheel (selfie_segmentation.tflite), converted by tools/convert_face_nets.py.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .mesh import same_pad

INPUT_SIZE = 256


class Gate(nn.Module):
    """Squeeze and excitation: per-channel factors in 0..1 from the mean over the picture."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.down = nn.Conv2d(channels, hidden, 1)
        self.up = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Bottleneck(nn.Module):
    """Inverted residual of MobileNetV3."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, kernel: int, stride: int, gate: int, hard: bool
    ):
        super().__init__()
        self.kernel, self.stride, self.residual = kernel, stride, inputs == outputs and stride == 1
        self.act = F.hardswish if hard else F.relu
        self.expand = nn.Conv2d(inputs, hidden, 1)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, groups=hidden)
        self.gate = Gate(hidden, gate) if gate else None
        self.project = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.depthwise(same_pad(self.act(self.expand(x)), self.kernel, self.stride)))
        y = self.project(y * self.gate(y) if self.gate is not None else y)
        return x + y if self.residual else y


class UpBlock(nn.Module):
    """Double the size, reduce, join with a gated skip."""

    def __init__(self, inputs: int, channels: int):
        super().__init__()
        self.reduce = nn.Conv2d(inputs, channels, 1)
        self.gate = Gate(channels, channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.reduce(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        x = F.relu(self.pointwise(skip * self.gate(skip + x) + x))
        return x + F.relu(self.depthwise(x))


class PersonNet(nn.Module):
    """[N,3,256,256] in 0..1 -> person probability [N,1,256,256]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2)
        self.down = nn.ModuleList(
            Bottleneck(*sizes)
            for sizes in [
                (16, 16, 16, 3, 2, 8, False), (16, 72, 24, 3, 2, 0, False), (24, 88, 24, 3, 1, 0, False),
                (24, 96, 32, 5, 2, 24, True), (32, 128, 32, 5, 1, 32, True), (32, 128, 32, 5, 1, 32, True),
                (32, 96, 32, 5, 1, 24, True), (32, 96, 32, 5, 1, 24, True),
            ]
        )  # fmt: skip
        self.feature = nn.Conv2d(32, 128, 1)
        self.attention = nn.Conv2d(32, 128, 1)
        self.up = nn.ModuleList([UpBlock(128, 24), UpBlock(24, 16), UpBlock(16, 16)])
        self.out = nn.ConvTranspose2d(16, 1, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        skips = [F.hardswish(self.stem(same_pad(image, 3, 2)))]
        x = skips[0]
        for index, block in enumerate(self.down):
            x = block(x)
            if index in (0, 2):
                skips.append(x)
        x = F.relu(self.feature(x)) * torch.sigmoid(self.attention(x.mean((2, 3), keepdim=True)))
        for block in self.up:
            x = block(x, skips.pop())
        return torch.sigmoid(self.out(x))


def person_mask(network: PersonNet, image: Tensor) -> Tensor:
    """[H,W,3] in 0..1 -> [H,W] in 0..1 at the same size; the network sees the picture stretched to 256x256."""
    picture = image[..., :3].permute(2, 0, 1)[None].to(network.stem.weight.device)
    small = F.interpolate(picture, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)
    return F.interpolate(network(small), image.shape[:2], mode="bilinear", align_corners=False)[0, 0].cpu()
