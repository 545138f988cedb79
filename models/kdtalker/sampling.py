"""DDIM sampling of KDTalker's motion, window after window."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

TRAINED_STEPS = 1000
WINDOW = 64  # frames of a window; one second and a half at 25 fps
Noise = Callable[[int], Tensor]  # noise(window number) -> [1,64,70]


@lru_cache
def alphas_cumprod() -> tuple[float, ...]:
    """Products of 1 - beta, for betas from 1e-5 to 8e-3 in equal steps."""
    return tuple(torch.cumprod(1 - torch.linspace(1e-5, 8e-3, TRAINED_STEPS), 0).tolist())


def timesteps(steps: int) -> list[int]:
    """The `steps` times of a DDIM run, from noisy to clean."""
    if not 1 <= steps <= TRAINED_STEPS:
        raise ValueError(f"steps is {steps}; between 1 and {TRAINED_STEPS} are possible, 10 are usual.")
    return [TRAINED_STEPS // steps * k for k in reversed(range(steps))]


def ddim(
    predict: Callable[[Tensor, int], Tensor],
    latent: Tensor,
    steps: int,
    each: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """Deterministic DDIM (eta 0) from `latent`; predict(latent, t) gives the noise. `each` sees the latent
    after every step."""
    products = alphas_cumprod()
    for t in timesteps(steps):
        before = t - TRAINED_STEPS // steps
        now, then = products[t], products[before] if before >= 0 else 1.0
        noise = predict(latent, t)
        clean = (latent - (1 - now) ** 0.5 * noise) / now**0.5
        latent = then**0.5 * clean + (1 - then) ** 0.5 * noise
        if each is not None:
            each(latent)
    return latent


def sample_motion(
    denoiser, speech: Tensor, reference: Tensor, canonical: Tensor, noise: Noise, steps: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tensor:  # fmt: skip
    """Normalised motion [n,70] of n speech features [n,512]; each window starts from the last frame of the one before.

    The last window is filled up with the clip's first features, as published; clips shorter than a window repeat.
    """
    frames = len(speech)
    windows = -(-frames // WINDOW)
    padded = speech[torch.arange(windows * WINDOW) % frames]
    parts = []
    for number in range(windows):
        features = padded[None, number * WINDOW : (number + 1) * WINDOW]

        def predict(latent: Tensor, t: int, number=number, features=features, reference=reference) -> Tensor:
            progress(number * steps + steps - 1 - t // (TRAINED_STEPS // steps), windows * steps)
            return denoiser(latent, t, reference, canonical, features)

        parts.append(ddim(predict, noise(number).to(features), steps))
        reference = parts[-1][:, -1]
    return torch.cat(parts, 1)[0, :frames]
