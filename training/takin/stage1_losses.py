"""Takin-ADA's two added losses of the motion space (section 3.1, equations 1 and 2), for who trains such a space.

The paper's text names mean absolute error and wing loss where its equations have Huber, so each is a choice;
the equations are the default. Widths are ours, in keypoint units (a picture is 2 wide): the paper gives none.
The weights beside face-vid2vid's losses are ours as well, for training/takin/stage1_objective.py: Huber's
loss of a few hundredths is small.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

HUBER_WIDTH = 0.02  # about 2.5 of 256 pixels
WING_WIDTH, WING_CURVATURE = 0.08, 0.016
CANONICAL_WEIGHT, LANDMARK_WEIGHT = 50.0, 100.0


def huber(difference: Tensor) -> Tensor:
    """Element-wise: quadratic within HUBER_WIDTH, straight beyond (Huber 1964)."""
    return F.huber_loss(difference, torch.zeros_like(difference), reduction="none", delta=HUBER_WIDTH)


def wing(difference: Tensor) -> Tensor:
    """Element-wise: logarithmic within WING_WIDTH, straight beyond (Feng et al. 2018, equation 5)."""
    size = difference.abs()
    offset = WING_WIDTH - WING_WIDTH * math.log1p(WING_WIDTH / WING_CURVATURE)
    return torch.where(size < WING_WIDTH, WING_WIDTH * torch.log1p(size / WING_CURVATURE), size - offset)


PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {"huber": huber, "wing": wing, "l1": torch.abs}


def penalty_of(kind: str) -> Callable[[Tensor], Tensor]:
    """The element-wise penalty of that name; ValueError for another."""
    if kind not in PENALTIES:
        raise ValueError(f"stage-1 loss: kind is {kind!r}; there are {', '.join(PENALTIES)}.")
    return PENALTIES[kind]


def canonical_keypoint_loss(first: Tensor, second: Tensor, kind: str = "huber") -> Tensor:
    """Equation 1: canonical keypoints [N,K,3] of N pairs of pictures of one person each shall be the same.

    Mean over pairs, keypoints and axes. What differs between the pictures, the expression, is so driven out of them.
    """
    if first.shape != second.shape or first.ndim != 3:
        raise ValueError(f"stage-1 loss: canonical keypoints have shapes {tuple(first.shape)} and "
        f"{tuple(second.shape)}; [pairs, keypoints, 3] twice is needed.")  # fmt: skip
    return penalty_of(kind)(first - second).mean()


def landmark_guided_loss(
    source_landmarks: Tensor,
    source_keypoints: Tensor,
    driving_landmarks: Tensor,
    driving_keypoints: Tensor,
    kind: str = "huber",
) -> Tensor:
    """Equation 2: chosen implicit keypoints follow facial landmarks, in x and y alone.

    Landmarks [B,N,2] and the N keypoints [B,N,2 or 3] that are to follow them, in -1..1, of source and
    driving picture. The equation writes one l for both pictures; each has its own here. Mean over pictures,
    the two kinds, landmarks and axes.
    """
    penalty, terms = penalty_of(kind), []
    for name, landmarks, keypoints in (
        ("source", source_landmarks, source_keypoints), ("driving", driving_landmarks, driving_keypoints),
    ):  # fmt: skip
        if landmarks.ndim != 3 or landmarks.shape[-1] != 2 or landmarks.shape[:2] != keypoints.shape[:2]:
            raise ValueError(
                f"stage-1 loss: {name} landmarks have shape {tuple(landmarks.shape)} and keypoints "
                f"{tuple(keypoints.shape)}; [pictures, N, 2] and [pictures, N, 2 or 3] are needed."
            )
        terms.append(penalty(landmarks - keypoints[..., :2]).mean())
    return (terms[0] + terms[1]) / 2
