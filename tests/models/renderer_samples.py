"""Every portrait renderer with networks that are small enough for tests."""

from collections.abc import Callable

import torch
from talking_portrait.models.builtin.warp import WarpRenderer
from talking_portrait.models.contracts import PortraitRenderer
from talking_portrait.models.kdtalker.crop import framing
from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion
from talking_portrait.models.liveportrait.renderer import Framing, LivePortraitRenderer
from talking_portrait.models.liveportrait.warping import WarpSource
from torch import nn
from torch.nn import functional as F

from .engine_samples import engine_pack


class StandIn(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Appearance(StandIn):
    """Keeps the crop as the appearance volume."""

    def forward(self, image):
        return image


class Motion(StandIn):
    def forward(self, image):
        zero, keypoints = torch.zeros(len(image), 1), torch.zeros(len(image), 21, 3)
        return KeypointMotion(keypoints, zero + 1.5, zero, zero, zero, zero.expand(-1, 3), keypoints)


class Warp(StandIn):
    """Darkens by how far the keypoints moved."""

    def prepare(self, volume, keypoints):
        return WarpSource(volume, volume, keypoints)

    def forward(self, source, driving):
        moved = (driving - source.keypoints).abs().sum((-1, -2))
        return source.volume * (1 - moved.clamp(max=1)).reshape(-1, 1, 1, 1)


class Draw(StandIn):
    def forward(self, features):
        return F.interpolate(features, (512, 512), mode="bilinear") + float(self.weight)


class Still(StandIn):
    """Stitching that leaves everything where it is."""

    def stitch(self, still, x):
        return x


class Networks:
    """LivePortrait's networks, which draw the crop itself."""

    dtype, device = torch.float32, torch.device("cpu")

    def __init__(self):
        self.nets = Appearance(), Motion(), Warp(), Draw()
        self.memory_asked = 0

    def memory(self):
        return 8 << 30, 16 << 30

    def encoders(self):
        return self.nets[:2]

    def drawers(self, memory):
        self.memory_asked = max(memory, self.memory_asked)
        return self.nets[2:]

    def retargeting(self):
        return Still()


def liveportrait() -> LivePortraitRenderer:
    return LivePortraitRenderer(Networks())


def kdtalker_framing() -> LivePortraitRenderer:
    return LivePortraitRenderer(Networks(), frame=lambda image, points: Framing(*framing(image, points)))


RENDERERS: dict[str, Callable[[], PortraitRenderer]] = {
    "built-in warp": WarpRenderer, "LivePortrait": liveportrait,
    "LivePortrait, KDTalker's framing": kdtalker_framing,
    "example": lambda: engine_pack().PuppetJaw(),
}  # fmt: skip
EXACT = ("built-in warp", "example")  # they bend the photo's own pixels; the others draw it anew
