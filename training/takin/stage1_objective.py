"""What LivePortrait's motion extractor is fine-tuned for: face-vid2vid's terms, and the two that Takin-ADA
adds (section 3.1).

Two pictures of one person: the source shall become the driving one by its keypoints' motion. Weights are ours
where none is published. A renderer takes source pictures [B,3,S,S], source and driving keypoints [B,21,3] and
makes the driving pictures.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...models.liveportrait.keypoints import rotation_from_degrees, transform_keypoints
from ...models.liveportrait.motion_extractor import KeypointMotion
from .stage1_losses import CANONICAL_WEIGHT, LANDMARK_WEIGHT, canonical_keypoint_loss, landmark_guided_loss
from .stage1_pictures import Pictures

Renderer = Callable[[Tensor, Tensor, Tensor], Tensor]
PictureTerms = Callable[[Tensor, Tensor], Mapping[str, Tensor]]  # of made and true pictures
# keypoint -> the mesh's landmark that it follows: brows, lids, corners of the mouth, lips. By what
# LivePortrait's sliders do to each (models/face_motion/rig.py); which side 14 and 20 are on is our guess.
GUIDED = {1: 105, 2: 334, 11: 159, 13: 145, 15: 386, 16: 374, 14: 61, 20: 291, 17: 13, 19: 14}
KEYPOINTS, LANDMARKS = list(GUIDED), list(GUIDED.values())
LEAST_DISTANCE = 0.1  # squared, below which two keypoints push each other away (face-vid2vid's D_T)
BEND_WIDTH, STILL = 0.15, 0.02  # reach of a keypoint in keypoint units; weight of what does not move
COARSE = 4  # pixels of the picture to one of the bend


@dataclass(frozen=True)
class Weights:
    """Of each term in the sum; pose is in degrees. The last four are of drawn pictures, where they are asked for."""

    reconstruction: float = 10.0
    equivariance: float = 5.0
    spread: float = 1.0
    pose: float = 0.05
    deformation: float = 0.5
    canonical: float = CANONICAL_WEIGHT
    landmark: float = LANDMARK_WEIGHT
    perceptual: float = 10.0
    adversarial: float = 1.0
    matching: float = 10.0
    judging: float = 1.0

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms that there are."""
        names = [field.name for field in fields(self) if field.name in terms]
        return torch.stack([getattr(self, name) * terms[name] for name in names]).sum()


@dataclass(frozen=True)
class Penalties:
    """How errors of the two added losses are counted: huber as the paper's equations have it; its text names l1 for
    the canonical keypoints and wing for the landmarks."""

    canonical: str = "huber"
    landmark: str = "huber"


HUBER = Penalties()


@dataclass(frozen=True)
class Pairs:
    """Source and driving pictures of the same people, in -1..1 keypoint units: pictures [B,3,S,S] in 0..1."""

    source: Tensor
    driving: Tensor
    source_landmarks: Tensor  # [B,N,2]
    driving_landmarks: Tensor
    source_pose: Tensor  # [B,3]
    driving_pose: Tensor


def draw_pairs(data: Pictures, count: int, random: torch.Generator) -> Pairs:
    """Random pairs; the colours of a pair are changed together."""
    first = torch.randint(len(data), (count,), generator=random)
    second = torch.stack([partner(data.person, int(index), random) for index in first])
    gain, offset = (torch.randn(count, 3, 1, 1, generator=random) * width for width in (0.15, 0.05))

    def coloured(index: Tensor) -> Tensor:
        return (data.pictures[index].float() / 255 * (1 + gain) + offset).clamp(0, 1)

    return Pairs(
        coloured(first), coloured(second), data.landmarks[first][:, LANDMARKS],
            data.landmarks[second][:, LANDMARKS],
        data.pose[first], data.pose[second],
    )  # fmt: skip


def partner(person: Tensor, index: int, random: torch.Generator) -> Tensor:
    """Another picture of the same person."""
    others = torch.nonzero(person == person[index])[:, 0]
    others = others[others != index]
    return others[torch.randint(len(others), (), generator=random)]


def part(motion: KeypointMotion, start: int, stop: int) -> KeypointMotion:
    """Some of a batch."""
    return KeypointMotion(**{name: value[start:stop] for name, value in vars(motion).items()})


def posed(motion: KeypointMotion, canonical: Tensor | None = None) -> Tensor:
    """Keypoints [B,21,3] where they are in the picture, of these canonical keypoints or its own."""
    rotation = rotation_from_degrees(motion.pitch, motion.yaw, motion.roll)
    own = motion.canonical if canonical is None else canonical
    return transform_keypoints(own, rotation, motion.expression, motion.scale, motion.translation)


def angles(motion: KeypointMotion) -> Tensor:
    """[B,3] pitch, yaw, roll in degrees."""
    return torch.cat([motion.pitch, motion.yaw, motion.roll], 1)


def random_affine(count: int, random: torch.Generator) -> Tensor:
    """[B,2,3] turns, scales and shifts of a picture."""
    turn, scale = 0.25 * torch.randn(count, generator=random), 1 + 0.12 * torch.randn(count, generator=random)
    cos, sin = scale * turn.cos(), scale * turn.sin()
    shift = 0.1 * torch.randn(count, 2, generator=random)
    return torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)


def bend(picture: Tensor, source: Tensor, driving: Tensor) -> Tensor:
    """A renderer without weights: every keypoint carries what is around it along. Good for the small proof alone."""
    side = picture.shape[-1]
    axis = (torch.arange(side // COARSE, device=picture.device) + 0.5) * (2 * COARSE / side) - 1
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).flatten(0, 1)
    weights = torch.exp(
        torch.cdist(grid.expand(len(picture), -1, -1), driving[..., :2]).square() * (-0.5 / BEND_WIDTH**2)
    )
    move = weights @ (source[..., :2] - driving[..., :2]) / (weights.sum(-1, keepdim=True) + STILL)
    move = move.transpose(1, 2).unflatten(2, (side // COARSE, -1))
    move = F.interpolate(move, (side, side), mode="bilinear").permute(0, 2, 3, 1)
    identity = torch.eye(2, 3, device=picture.device).expand(len(picture), -1, -1)
    still = F.affine_grid(identity, list(picture.shape), align_corners=False)
    return F.grid_sample(picture, still + move, align_corners=False, padding_mode="border")


def spread_loss(points: Tensor) -> Tensor:
    """face-vid2vid's keypoint prior for [B,21,3]: no two in one place. Its wish for a depth is LivePortrait's
    own already."""
    distance = (points[:, :, None] - points[:, None]).square().sum(-1)
    apart = ~torch.eye(points.shape[1], dtype=torch.bool, device=points.device)
    return (LEAST_DISTANCE - distance[:, apart]).clamp(min=0).mean()


def colours_alone(made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Nothing of drawn pictures counts but their colours."""
    return {}


def stage1_terms(
    network: nn.Module, pairs: Pairs, renderer: Renderer, random: torch.Generator,
    penalties: Penalties = HUBER, of_pictures: PictureTerms = colours_alone,
) -> dict[str, Tensor]:  # fmt: skip
    """The terms of `Weights`, each a number; those of pictures as `of_pictures` gives them."""
    count = len(pairs.source)
    affine = random_affine(count, random).to(pairs.source)
    grid = F.affine_grid(affine, list(pairs.driving.shape), align_corners=False)
    changed = F.grid_sample(pairs.driving, grid, align_corners=False, padding_mode="border")
    motion = network(torch.cat([pairs.source, pairs.driving, changed]))
    source, driving, moved = (part(motion, count * k, count * (k + 1)) for k in range(3))
    of_source, of_driving = posed(source), posed(driving, source.canonical)
    back = posed(moved)[..., :2] @ affine[:, :, :2].transpose(1, 2) + affine[:, None, :, 2]
    expression = torch.cat([source.expression, driving.expression])
    pose = torch.cat([angles(source) - pairs.source_pose, angles(driving) - pairs.driving_pose])
    made = renderer(pairs.source, of_source, of_driving)
    return {
        "reconstruction": (made - pairs.driving).abs().mean(),
        **of_pictures(made, pairs.driving),
        "equivariance": (posed(driving)[..., :2] - back).abs().mean(),
        "spread": spread_loss(of_driving),
        "pose": pose.abs().mean(),
        "deformation": expression.abs().mean(),
        "canonical": canonical_keypoint_loss(source.canonical, driving.canonical, penalties.canonical),
        "landmark": landmark_guided_loss(
            pairs.source_landmarks, of_source[:, KEYPOINTS], pairs.driving_landmarks, of_driving[:, KEYPOINTS],
            penalties.landmark,
        ),
    }  # fmt: skip
