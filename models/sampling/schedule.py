"""What an engine's network was trained to undo: clean motion that turns into noise, step by step."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Predict = Callable[[Tensor, int], Tensor]  # predict(latent, step) -> what the schedule says it predicts
Noise = Callable[[int], Tensor]  # noise(how many steps are done) -> fresh noise like the latent
Each = Callable[[Tensor], None]  # sees the latent after every step


@dataclass(frozen=True)
class DiffusionSchedule:
    """The steps of a training, 0 the cleanest.

    alpha_bars: [steps], share of the clean motion in a noisy one's variance. predicts: the clean motion
    ("sample") or the noise in it ("epsilon"). visits(n): the steps of the engine's own run of n, noisiest
    first; ValueError if there are not so many. steps: of a run that suits the engine. limit: standard
    deviations, no motion is further from its mean.
    """

    alpha_bars: Tensor
    predicts: Literal["sample", "epsilon"]
    visits: Callable[[int], list[int]]
    steps: int
    limit: float = math.inf

    def numbers(self, like: Tensor) -> Sequence[Any]:
        """Alpha-bars to compute with: Python's numbers of a float64 schedule, else as the latent, so that
        every engine computes as it was published."""
        if self.alpha_bars.dtype == torch.float64:
            return self.alpha_bars.tolist()
        return self.alpha_bars.to(like)  # type: ignore[return-value]

    def views(self, prediction: Tensor, latent: Tensor, alpha_bar: Any) -> tuple[Tensor, Tensor]:
        """Clean motion within the limit, and the noise that makes the latent of it."""
        clean = prediction if self.predicts == "sample" else clean_of(prediction, latent, alpha_bar)
        if self.limit < math.inf:
            clean = clean.clamp(-self.limit, self.limit)
        elif self.predicts == "epsilon":
            return clean, prediction
        return clean, noise_of(clean, latent, alpha_bar)


def noised(clean: Tensor, noise: Tensor, alpha_bar: Any) -> Tensor:
    """sqrt(alpha_bar) clean + sqrt(1 - alpha_bar) noise; a tensor of alpha-bars is broadcast against the motion."""
    return alpha_bar**0.5 * clean + (1 - alpha_bar) ** 0.5 * noise


def clean_of(noise: Tensor, noisy: Tensor, alpha_bar: Any) -> Tensor:
    """Clean motion from the noise in `noisy`."""
    return (noisy - (1 - alpha_bar) ** 0.5 * noise) / alpha_bar**0.5


def noise_of(clean: Tensor, noisy: Tensor, alpha_bar: Any) -> Tensor:
    """Noise from the clean motion in `noisy`."""
    return (noisy - alpha_bar**0.5 * clean) / (1 - alpha_bar) ** 0.5


def from_noisiest(steps: int, trained: int) -> list[int]:
    """`steps` diffusion steps from the noisiest to the cleanest, evenly spread; ValueError if there are not
    that many."""
    if not 1 <= steps <= trained:
        raise ValueError(f"steps is {steps}; between 1 and {trained} are possible, 10 are usual.")
    return [round(trained - 1 - k * trained / steps) for k in range(steps)]
