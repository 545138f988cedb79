"""The keypoints that drive the warp, fitted to the picture: LivePortrait's modes (its pipeline, `execute`)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..face_motion import FaceFrame, ResolvedMotion, rotation_matrix
from .keypoints import hull_multiplier, transform_keypoints
from .retargeting import Retargeting

REGIONS: dict[str, tuple[str, ...]] = {  # what moves; the other groups stay as in the picture
    "all": ("lips", "eyes", "rest", "pose", "translation", "scale"),
    "exp": ("lips", "eyes", "rest"),
    "pose": ("pose", "translation"),
    "lip": ("lips",),
    "eyes": ("eyes",),
}
MOUTH_OPEN = 0.03  # lip ratio of a picture from which lip normalisation closes the mouth


def motion_policy(relative: bool, region: str = "all") -> dict[str, str]:
    """LivePortrait's relative or absolute mode for a region, as rules for `resolve`. ValueError for an
    unknown region."""
    if region not in REGIONS:
        raise ValueError(f"LivePortrait: region is {region!r}; there are {', '.join(REGIONS)}.")
    if relative:
        rules = dict.fromkeys(REGIONS["all"], "relative")
    else:
        whole = "published" if region in ("all", "exp") else "absolute"
        rules = {
            **dict.fromkeys(("lips", "eyes", "rest"), whole),
            "pose": "absolute",
            "translation": "absolute",
            "scale": "still",
        }
    return {group: rule if group in REGIONS[region] else "still" for group, rule in rules.items()}


@dataclass(frozen=True)
class Source:
    """The portrait's canonical keypoints [1,21,3], its own motion, and its openings: eyes [1,2] and lips
    [1,1] over their width."""

    canonical: Tensor
    motion: FaceFrame
    eyes: Tensor
    lips: Tensor

    @property
    def keypoints(self) -> Tensor:
        """x_s [1,21,3]."""
        own, device = self.motion, self.canonical.device
        values = (
            rotation_matrix(own.pose[None]),
            own.expression[None],
            torch.tensor([own.scale]),
            own.translation[None],
        )
        return transform_keypoints(self.canonical, *(value.to(device) for value in values))

    def to(self, device: torch.device) -> "Source":
        """The same portrait with its tensors elsewhere."""
        return Source(self.canonical.to(device), self.motion, self.eyes.to(device), self.lips.to(device))

    def driven(self, motion: ResolvedMotion) -> Tensor:
        """x_d [N,21,3] of a motion that is resolved for this portrait, on the same device."""
        canonical = self.canonical.expand(len(motion), -1, -1)
        return transform_keypoints(
            canonical, motion.rotation, motion.expression, motion.scale, motion.translation
        )


@dataclass(frozen=True)
class AnimationOptions:
    """How keypoints are fitted to the picture.

    stitching: shoulders and neck stay. multiplier: factor on the keypoints' way from the picture.
    expression_friendly: all frames start from the picture, sized by the ratio of the two faces' hulls.
    close_lips: a picture with an open mouth speaks from a closed one. eyes, lips: wanted opening over width,
    for all frames or [N]; None leaves them as driven. official: the published script retargets the still
    picture, and so throws the driver's relative motion away; else the driven keypoints.
    """

    stitching: bool = True
    multiplier: float = 1.0
    expression_friendly: bool = False
    close_lips: bool = False
    eyes: float | Tensor | None = None
    lips: float | Tensor | None = None
    official: bool = False


def driven_keypoints(
    source: Source, motion: ResolvedMotion, options: AnimationOptions, network: Retargeting | None
) -> Tensor:
    """x_d [N,21,3] for the warp; `network` may be None when neither stitching nor retargeting nor lip closing
    is asked for."""
    still, x = source.keypoints, source.driven(motion)
    closes = options.close_lips and float(source.lips) >= MOUTH_OPEN
    retargets = options.eyes is not None or options.lips is not None
    if options.expression_friendly and len(x):
        first = source.driven(motion.opening or motion)[:1]
        x = still + (x - first) * hull_multiplier(still, first)
    if network is None:
        assert not (options.stitching or retargets or closes)
        return still + (x - still) * options.multiplier
    if retargets:
        x = (still.expand_as(x) if options.official else x) + retargeting_offsets(
            source, options, network, len(x)
        )
    if options.stitching:
        x = network.stitch(still, x)
    if closes and not retargets:
        x = x + network.lip_delta(still, torch.cat([source.lips, torch.zeros_like(source.lips)], 1))
    return still + (x - still) * options.multiplier


def retargeting_offsets(
    source: Source, options: AnimationOptions, network: Retargeting, frames: int
) -> Tensor:
    """[N,21,3] offsets that bring eyes and lips to the wanted openings."""
    still = source.keypoints.expand(frames, -1, -1)
    offset = torch.zeros_like(still)
    if options.eyes is not None:
        ratios = torch.cat([source.eyes.expand(frames, -1), track(options.eyes, still)], 1)
        offset = offset + network.eye_delta(still, ratios)
    if options.lips is not None:
        ratios = torch.cat([source.lips.expand(frames, -1), track(options.lips, still)], 1)
        offset = offset + network.lip_delta(still, ratios)
    return offset


def track(value: float | Tensor, like: Tensor) -> Tensor:
    """One number for all frames, or one for each -> [N,1]."""
    return torch.as_tensor(value, dtype=torch.float32, device=like.device).reshape(-1, 1).expand(len(like), 1)
