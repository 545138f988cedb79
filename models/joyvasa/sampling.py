"""DDPM sampling of JoyVASA's motion with guidance, window after window (Ho et al. 2020, equation 7)."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from .network import JoyVASA

# noise(window number, step) -> [1,T,73], what is added on the way from that step
Noise = Callable[[int, int], Tensor]
Predict = Callable[[Tensor, int], Tensor]  # predict(latent, step) -> clean motion


def cosine_betas(steps: int) -> Tensor:
    """[steps+1] betas of the cosine schedule (Nichol & Dhariwal 2021, equation 17), 0 for the clean motion first."""
    at = (torch.linspace(0, steps, steps + 1) / steps + 0.008) / 1.008
    products = torch.cos(at * (torch.pi / 2)) ** 2
    return torch.cat([torch.zeros(1), (1 - products[1:] / products[:-1]).clamp(1e-4, 0.999)])


def alpha_bars(betas: Tensor) -> Tensor:
    """[N+1] products of 1 - beta; 1 for the clean motion first."""
    return torch.log(1 - betas).cumsum(0).exp()


def chosen_steps(trained: int, steps: int) -> list[int]:
    """Which of the trained steps a run of `steps` visits, from noisy to clean; 0 means all. ValueError if
    there are not so many."""
    if not 0 <= steps <= trained:
        raise ValueError(
            f"steps is {steps}, but this JoyVASA file was trained with {trained}: give 1 to {trained}, or 0 for all."
        )
    steps = steps or trained
    return [math.ceil(trained * k / steps) for k in range(steps, 0, -1)]


def ddpm(
    predict: Predict, latent: Tensor, products: Tensor, steps: list[int], noise: Callable[[int], Tensor],
    each: Callable[[int, Tensor], None] = lambda step, latent: None,
) -> Tensor:  # fmt: skip
    """Ancestral sampling from `latent` down the given steps; `products` are the schedule's alpha bars.

    Where steps are left out, the posterior is that of the longer stride. `each` sees the latent that reached a step.
    """
    bars = products.double().tolist()
    for step, before in zip(steps, [*steps[1:], 0], strict=True):
        now, then = bars[step], bars[before]
        kept = now / then
        clean = predict(latent, step)
        latent = ((1 - then) * kept**0.5 * latent + (1 - kept) * then**0.5 * clean) / (1 - now)
        if before:
            latent = latent + ((1 - then) / (1 - now) * (1 - kept)) ** 0.5 * noise(step)
        each(before, latent)
    return latent


def guided(network: JoyVASA, speech: Tensor, before: tuple[Tensor, Tensor], guidance: float) -> Predict:
    """Clean motion of one window, pushed away from what comes without speech: silent + guidance (spoken - silent)."""
    frames = speech.shape[1]
    both = speech if guidance == 1 else torch.cat([network.silence(speech), speech])

    def predict(latent: Tensor, step: int) -> Tensor:
        steps = torch.full((len(both),), step, device=latent.device)
        clean = network(latent.expand(len(both), -1, -1), both, before, steps)[:, -frames:]
        if guidance == 1:
            return clean
        silent, spoken = clean.chunk(2)
        return silent + guidance * (spoken - silent)

    return predict


def sample_windows(
    network: JoyVASA, speech: Iterable[Tensor], first: Tensor, noise: Noise, steps: int, guidance: float,
    each: Callable[[int, int, Tensor], None] = lambda window, step, latent: None, betas: Tensor | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """Normalised motion [1,T,73] of each window of speech features [1,T,256].

    All windows start from the same noise `first`; each knows the last frames of the one before, the first one
    the learned start. `steps` as in `chosen_steps`; `betas` other than the file's are for comparisons.
    """
    betas = network.diffusion_sched.betas if betas is None else betas
    products, chosen = alpha_bars(betas.float().cpu()), chosen_steps(len(betas) - 1, steps)
    before = None
    for number, features in enumerate(speech):
        before = network.start(features) if before is None else before
        predict = guided(network, features, before, guidance)
        motion = ddpm(
            predict, first.to(features), products, chosen, lambda step, n=number,
            like=features: noise(n, step).to(like),
            lambda step, latent, n=number: each(n, step, latent),
        )  # fmt: skip
        context = network.config.context
        before = motion[:, -context:], features[:, -context:]
        yield motion
