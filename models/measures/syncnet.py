"""SyncNet (Chung and Zisserman 2016): one network that hears 0.2 s, one that sees five frames of a mouth.

Keys and shapes are those of the published file syncnet_v2.model (joonson/syncnet_python).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frozen_batch_norm import FrozenBatchNorm

FEATURES, WIDTH = 1024, 512
SIDE = 224  # pixels of a frame
SEEN, HEARD, CEPSTRA = 5, 20, 13  # frames of a window, its columns of the mfcc, coefficients
# (in, out, kernel, stride, padding) of a convolution with norm and ReLU, or (kernel, stride, padding) of a max pool
HEARING = (
    (1, 64, (3, 3), (1, 1), (1, 1)), ((1, 1), (1, 1), (0, 0)), (64, 192, (3, 3), (1, 1), (1, 1)),
    ((3, 3), (1, 2), (0, 0)), (192, 384, (3, 3), (1, 1), (1, 1)), (384, 256, (3, 3), (1, 1), (1, 1)),
    (256, 256, (3, 3), (1, 1), (1, 1)), ((3, 3), (2, 2), (0, 0)), (256, 512, (5, 4), (1, 1), (0, 0)),
)  # fmt: skip
SEEING = (
    (3, 96, (5, 7, 7), (1, 2, 2), (0, 0, 0)), ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)), ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    (256, 256, (1, 3, 3), (1, 1, 1), (0, 1, 1)), (256, 256, (1, 3, 3), (1, 1, 1), (0, 1, 1)),
    (256, 256, (1, 3, 3), (1, 1, 1), (0, 1, 1)), ((1, 3, 3), (1, 2, 2), (0, 0, 0)),
    (256, 512, (1, 6, 6), (1, 1, 1), (0, 0, 0)),
)  # fmt: skip


def stack(layers: Sequence[tuple], device, dtype, operations) -> nn.Sequential:
    """The layers in a row, numbered as the published file numbers them."""
    built: list[nn.Module] = []
    for layer in layers:
        if len(layer) == 3:
            pool = nn.MaxPool2d if len(layer[0]) == 2 else nn.MaxPool3d
            built.append(pool(*layer))
            continue
        inputs, outputs, kernel, stride, padding = layer
        conv = operations.Conv2d if len(kernel) == 2 else operations.Conv3d
        built += [
            conv(inputs, outputs, kernel, stride=stride, padding=padding, device=device, dtype=dtype),
            FrozenBatchNorm(outputs, device=device, dtype=dtype),
            nn.ReLU(),
        ]
    return nn.Sequential(*built)


def head(device, dtype, operations) -> nn.Sequential:
    """[B,512] -> [B,1024]."""
    return nn.Sequential(
        operations.Linear(WIDTH, WIDTH, device=device, dtype=dtype),
        FrozenBatchNorm(WIDTH, device=device, dtype=dtype),
        nn.ReLU(),
        operations.Linear(WIDTH, FEATURES, device=device, dtype=dtype),
    )


class SyncNet(nn.Module):
    """Both networks (13.6 M parameters); embeddings of fitting lips and sound lie close together."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        self.netcnnaud = stack(HEARING, device, dtype, operations)
        self.netfcaud = head(device, dtype, operations)
        self.netcnnlip = stack(SEEING, device, dtype, operations)
        self.netfclip = head(device, dtype, operations)

    def hear(self, mfcc: Tensor) -> Tensor:
        """Windows [B,1,13,20] of an mfcc -> [B,1024]."""
        return self.netfcaud(self.netcnnaud(mfcc).flatten(1))

    def lip_feature(self, frames: Tensor) -> Tensor:
        """Windows [B,3,5,224,224], BGR in 0..255 -> [B,512]."""
        return self.netcnnlip(frames).flatten(1)

    def see(self, frames: Tensor) -> Tensor:
        """Windows [B,3,5,224,224], BGR in 0..255 -> [B,1024]."""
        return self.netfclip(self.lip_feature(frames))


def heard_windows(network: SyncNet, mfcc: Tensor, windows: int, batch: int = 64) -> Tensor:
    """An mfcc [13,columns] -> [windows,1024], one window every four columns."""
    pieces = mfcc.unfold(1, HEARD, 4)[:, :windows].transpose(0, 1)[:, None]  # [windows,1,13,20]
    device = next(network.parameters()).device
    return torch.cat([network.hear(part.to(device)) for part in pieces.split(batch)])
