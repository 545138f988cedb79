"""Two residual networks that look at faces: expression and head rotation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ExpressionBottleneck(nn.Module):
    """[n,C,h,w] -> [n,4*width,h/stride,w/stride]; every norm is one group over all channels."""

    def __init__(self, inputs: int, width: int, stride: int, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        outputs = 4 * width
        self.conv1 = operations.Conv2d(inputs, width, 1, bias=False, **built)
        self.conv2 = operations.Conv2d(width, width, 3, stride=stride, padding=1, bias=False, **built)
        self.conv3 = operations.Conv2d(width, outputs, 1, bias=False, **built)
        self.gn1, self.gn2, self.gn3 = (
            operations.GroupNorm(1, size, **built) for size in (width, width, outputs)
        )
        self.downsample = None
        if stride != 1 or inputs != outputs:
            conv = operations.Conv2d(inputs, outputs, 1, stride=stride, bias=False, **built)
            self.downsample = nn.Sequential(conv, operations.GroupNorm(1, outputs, **built))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.gn1(self.conv1(x)))
        y = F.relu(self.gn2(self.conv2(y)))
        y = self.gn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ExpressionResNet(nn.Module):
    """ResNet-50 with group norms: [n,3,256,256] -> [n,512]."""

    def __init__(self, outputs: int = 512, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(3, 64, 7, stride=2, padding=3, bias=False, **built)
        self.gn1 = operations.GroupNorm(1, 64, **built)
        inputs = 64
        for number, (width, count) in enumerate(zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True), start=1):
            blocks = []
            for i in range(count):
                stride = 2 if i == 0 and number > 1 else 1
                blocks.append(ExpressionBottleneck(inputs, width, stride, operations=operations, **built))
                inputs = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.fc = operations.Linear(inputs, outputs, **built)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.gn1(self.conv1(x))), 3, stride=2, padding=1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))


class HeadExpression(nn.Module):
    """Square crop from brows to mouth [n,3,256,256], RGB 0..1 -> expression [n,512] (24.6 M parameters)."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.resnet50 = ExpressionResNet(device=device, dtype=dtype, operations=operations)

    def forward(self, face: Tensor) -> Tensor:
        return self.resnet50(face)


class PoseBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; the norms called bn are groups of channels, 32 of them."""

    def __init__(self, inputs: int, width: int, stride: int, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False, **built)
        self.conv2 = operations.Conv2d(width, width, 3, padding=1, bias=False, **built)
        self.bn1, self.bn2 = (operations.GroupNorm(32, width, **built) for _ in range(2))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != width:
            conv = operations.Conv2d(inputs, width, 1, stride=stride, bias=False, **built)
            self.shortcut = nn.Sequential(conv, operations.GroupNorm(32, width, **built))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class PoseResNet(nn.Module):
    """ResNet-18 with group norms: [n,3,256,256] -> [n,6]."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        built = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv2d(3, 64, 7, stride=2, padding=3, bias=False, **built)
        self.bn1 = operations.GroupNorm(32, 64, **built)
        inputs = 64
        for number, width in enumerate((64, 128, 256, 512), start=1):
            first = PoseBlock(inputs, width, 1 if number == 1 else 2, operations=operations, **built)
            second = PoseBlock(width, width, 1, operations=operations, **built)
            setattr(self, f"layer{number}", nn.Sequential(first, second))
            inputs = width
        self.fc = operations.Linear(inputs, 6, **built)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.fc(x.mean((2, 3)))


class HeadPose(nn.Module):
    """Head crop [n,3,256,256], RGB -1..1 -> (rotation [n,3] in degrees -180..180, translation [n,3] in -2..2)
    (11.2 M)."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.head_pose_net = PoseResNet(device=device, dtype=dtype, operations=operations)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor]:
        rotation, translation = torch.sigmoid(self.head_pose_net(face)).split(3, dim=-1)
        return rotation * 360 - 180, translation * 4 - 2
