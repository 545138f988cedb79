"""The features of FID: torchvision's InceptionV3 with the poolings of the network that FID was defined with, whose
weights pytorch-fid converted. None of its files could be loaded here: torch's own layers, an untried file."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import inception
from torchvision.models import inception_v3 as torchvision_inception

SIDE, CLASSES = 299, 1008


def average(x: Tensor) -> Tensor:
    """3x3 means in which what lies beyond the border does not count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(inception.InceptionA):
    def _forward(self, x: Tensor) -> list[Tensor]:
        return [
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(average(x)),
        ]


class BlockC(inception.InceptionC):
    def _forward(self, x: Tensor) -> list[Tensor]:
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        return [
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(average(x)),
        ]


class BlockE(inception.InceptionE):
    """highest: pools by the highest value, as the last block does."""

    highest = False

    def _forward(self, x: Tensor) -> list[Tensor]:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.highest else average(x)
        return [
            self.branch1x1(x),
            torch.cat([self.branch3x3_2a(single), self.branch3x3_2b(single)], 1),
            torch.cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1),
            self.branch_pool(pooled),
        ]


class LastBlock(BlockE):
    highest = True


class FeatureInception(nn.Module):
    """Pictures [n,3,H,W], RGB 0..1 -> [n,2048]."""

    def __init__(self):
        super().__init__()
        net = torchvision_inception(weights=None, num_classes=CLASSES, aux_logits=False, init_weights=False)
        net.Mixed_5b, net.Mixed_5c, net.Mixed_5d = BlockA(192, 32), BlockA(256, 64), BlockA(288, 64)
        net.Mixed_6b, net.Mixed_6c = BlockC(768, 128), BlockC(768, 160)
        net.Mixed_6d, net.Mixed_6e = BlockC(768, 160), BlockC(768, 192)
        net.Mixed_7b, net.Mixed_7c = BlockE(1280), LastBlock(2048)
        self.net = net

    def forward(self, pictures: Tensor) -> Tensor:
        x = 2 * F.interpolate(pictures, (SIDE, SIDE), mode="bilinear", align_corners=False) - 1
        for name, layer in self.net.named_children():
            if name in ("avgpool", "dropout", "fc"):
                break
            x = layer(x)
        return x.mean((2, 3))


def inception_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's content under this network's names."""
    return {f"net.{key}": value for key, value in content.items()}
