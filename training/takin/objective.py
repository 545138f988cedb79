"""What the motion network is trained to do (section 3.2, equation 3, and the terms that x0 prediction allows)."""

import torch
from torch import Tensor

from ...models.face_motion.container import LIPS
from ...models.takin.config import EXPRESSION, MOTION

VELOCITY, FIRST_FRAME, LIPS_WEIGHT = 0.5, 0.5, 2.0


def channel_weights() -> Tensor:
    """[70] with 2 for the keypoints of the lips, mean 1."""
    weights = torch.ones(MOTION)
    keypoints = weights[:EXPRESSION].view(21, 3)
    keypoints[list(LIPS)] = LIPS_WEIGHT
    return weights / weights.mean()


def noise_loss(found: Tensor, noise: Tensor) -> Tensor:
    """Equation 3: mean squared error of the predicted noise, both [B,T,70]."""
    return (found - noise).square().mean()


def clean_loss(found: Tensor, clean: Tensor, previous: Tensor) -> Tensor:
    """Squared errors of the predicted x0, of its velocity, and of its step from the frame before; ours, as
    equation 3 has no x0.

    found, clean [B,T,70] and previous [B,P,71], all normalised; samples whose context is not known have no such step.
    """
    weights = channel_weights().to(clean)
    motion = ((found - clean).square() * weights).mean()
    velocity = (
        ((found.diff(dim=1) - clean.diff(dim=1)).square() * weights).mean()
        if clean.shape[1] > 1
        else motion.new_zeros(())
    )
    last, known = previous[:, -1, :MOTION], previous[:, -1, MOTION:]
    step = (((found[:, 0] - last) - (clean[:, 0] - last)).square() * weights * known).sum() / (
        known.sum() * MOTION
    ).clamp(min=1)
    return motion + VELOCITY * velocity + FIRST_FRAME * step


def training_loss(prediction: str, found: Tensor, clean: Tensor, noise: Tensor, previous: Tensor) -> Tensor:
    """The loss that belongs to what the network predicts."""
    return noise_loss(found, noise) if prediction == "eps" else clean_loss(found, clean, previous)
