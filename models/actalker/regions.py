"""Which tokens of a picture each stream drives: pixel masks, resampled to every level of the UNet."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Bicubic weights need not add up to exactly 1 where a factor is no power of two; without slack a full mask
# would lose tokens.
SLACK = 1e-6


@dataclass(frozen=True)
class LevelRegion:
    """One mask at one level of S = height x width tokens in raster order.

    weight [1,S,1] multiplies the adapter's output, None where it is 1 everywhere; tokens [M] are the indices
    that the mamba branch scans, None for all; closed is True where the mask is 0 everywhere.
    """

    weight: Tensor | None
    tokens: Tensor | None
    closed: bool


def level_region(mask: Tensor, height: int, width: int) -> LevelRegion:
    """Mask [1,1,Hpx,Wpx] of values 0..1 -> its region at a level.

    Resampling is bicubic (a = -0.75) without antialiasing, as the network was trained with: weights overshoot
    to about -0.09 and 1.1, and a token is selected only where the value reaches 1.
    """
    values = F.interpolate(mask.float(), size=(height, width), mode="bicubic", align_corners=False).flatten()
    chosen = values >= 1 - SLACK
    everywhere = bool(((values - 1).abs() <= SLACK).all())
    return LevelRegion(
        weight=None if everywhere else values.reshape(1, -1, 1),
        tokens=None if bool(chosen.all()) else chosen.nonzero().flatten(),
        closed=not bool(values.any()),
    )


class Regions:
    """The masks of the audio and the motion stream, [1,1,Hpx,Wpx] on the CPU; None means the whole picture.

    What a level needs is computed once and kept on the device that asked for it.
    """

    def __init__(self, audio: Tensor | None = None, motion: Tensor | None = None):
        self.masks = (audio, motion)
        self._kept: dict[tuple[int, int, torch.device], tuple[LevelRegion, LevelRegion]] = {}

    def at(self, height: int, width: int, device: torch.device) -> tuple[LevelRegion, LevelRegion]:
        """(audio, motion) at a level."""
        key = (height, width, torch.device(device))
        if key not in self._kept:
            audio, motion = (self._level(mask, height, width, device) for mask in self.masks)
            self._kept[key] = audio, motion
        return self._kept[key]

    @staticmethod
    def _level(mask: Tensor | None, height: int, width: int, device: torch.device) -> LevelRegion:
        if mask is None:
            return LevelRegion(None, None, False)
        region = level_region(mask.cpu(), height, width)
        weight = None if region.weight is None else region.weight.to(device)
        tokens = None if region.tokens is None else region.tokens.to(device)
        return LevelRegion(weight, tokens, region.closed)
