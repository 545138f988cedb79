"""KDTalker's motion, window after window (KDTalker, section 3.3)."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..contracts import MotionSampler
from ..sampling import DDIM, DiffusionSchedule

TRAINED_STEPS = 1000
WINDOW = 64  # frames of a window; two and a half seconds at 25 fps
SHORTEST = 16  # frames of a window: less hardly holds a word
Noise = Callable[[int], Tensor]  # noise(window number) -> [1,window,70]


def alpha_bars() -> Tensor:
    """[1000] float64 of float32 products of 1 - beta, for betas from 1e-5 to 8e-3 in equal steps."""
    return torch.cumprod(1 - torch.linspace(1e-5, 8e-3, TRAINED_STEPS), 0).double()


def timesteps(steps: int) -> list[int]:
    """The `steps` times of a DDIM run, from noisy to clean."""
    if not 1 <= steps <= TRAINED_STEPS:
        raise ValueError(f"steps is {steps}; between 1 and {TRAINED_STEPS} are possible, 10 are usual.")
    return [TRAINED_STEPS // steps * k for k in reversed(range(steps))]


def schedule(steps: int) -> DiffusionSchedule:
    """What the network was trained on; `steps` of a run where the sampler does not say."""
    return DiffusionSchedule(alpha_bars(), "epsilon", timesteps, steps)


def window_of(sampler: MotionSampler, learnt: int = WINDOW) -> int:
    """Frames of a window; ValueError for a length that the network has not learnt."""
    frames = sampler.window or learnt
    if not min(SHORTEST, learnt) <= frames <= learnt:
        # its attention has never seen two frames further apart
        raise ValueError(
            f"window is {frames}, but KDTalker takes {min(SHORTEST, learnt)} to {learnt} frames. Set window of "
            f"the sampler to 0 for its own {learnt}."
        )
    return frames


def sample_motion(
    denoiser, speech: Tensor, reference: Tensor, canonical: Tensor, noise: Noise, steps: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    sampler: MotionSampler | None = None, later: Noise | None = None, learnt: int = WINDOW,
) -> Tensor:  # fmt: skip
    """Normalised motion [n,70] of n speech features [n,512]; each window starts from the last frame of the one before.

    The last window is filled up with the clip's first features, as published; clips shorter than a window repeat.
    sampler: None for DDIM, as published. later: noise that samplers of chance add after the first, by number of
    the window. learnt: frames of the network's own window.
    """
    sampler = sampler or DDIM()
    frames, window, known = len(speech), window_of(sampler, learnt), schedule(steps)
    windows, ticks = -(-frames // window), sampler.steps or steps
    padded = speech[torch.arange(windows * window) % frames]
    parts: list[Tensor] = []
    done = iter(range(1, windows * ticks + 1))
    for number in range(windows):
        features = padded[None, number * window : (number + 1) * window]

        def predict(latent: Tensor, t: int, features=features, reference=reference) -> Tensor:
            return denoiser(latent, t, reference, canonical, features)

        motion = sampler.sample(
            predict, noise(number).to(features), known,
            lambda _, number=number, like=features: (later or noise)(number).to(like),
            lambda latent: progress(next(done, windows * ticks), windows * ticks),
        )  # fmt: skip
        parts.append(motion)
        reference = motion[:, -1]
    return torch.cat(parts, 1)[0, :frames]
