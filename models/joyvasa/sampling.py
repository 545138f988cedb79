"""JoyVASA's motion with guidance, window after window (JoyVASA, section 3.2)."""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from ..contracts import MotionSampler
from ..sampling import DDPM, DiffusionSchedule
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


def schedule(betas: Tensor, steps: int) -> DiffusionSchedule:
    """What the network was trained on, from the file's betas [N+1]; its step k is the schedule's k - 1. `steps`
    of a run where the sampler does not say, 0 for all."""
    trained = len(betas) - 1

    def visits(count: int) -> list[int]:
        return [step - 1 for step in chosen_steps(trained, count)]

    products = alpha_bars(betas.float().cpu())[1:].double()
    return DiffusionSchedule(products, "sample", visits, steps or trained)


def check_window(sampler: MotionSampler, frames: int) -> None:
    """ValueError for windows other than the network's, whose sound and alignment have one length."""
    if sampler.window not in (0, frames):
        raise ValueError(
            f"window is {sampler.window}, but this JoyVASA file takes {frames} frames and no others. Set "
            "window of the sampler to 0."
        )


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
    sampler: MotionSampler | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """Normalised motion [1,T,73] of each window of speech features [1,T,256].

    All windows start from the same noise `first`; each knows the last frames of the one before, the first one
    the learned start. `steps` as in `chosen_steps`; `betas` other than the file's are for comparisons. sampler:
    None for DDPM, as published.
    """
    sampler = sampler or DDPM()
    known = schedule(network.diffusion_sched.betas if betas is None else betas, steps)
    chosen = [step + 1 for step in known.visits(sampler.steps or known.steps)]
    before = None
    for number, features in enumerate(speech):
        before = network.start(features) if before is None else before
        predict = guided(network, features, before, guidance)
        reached = iter([*chosen[1:], 0])
        motion = sampler.sample(
            lambda latent, step, predict=predict: predict(latent, step + 1), first.to(features), known,
            lambda done, number=number, like=features: noise(number, chosen[done]).to(like),
            lambda latent, number=number, reached=reached: each(number, next(reached, 0), latent),
        )  # fmt: skip
        context = network.config.context
        before = motion[:, -context:], features[:, -context:]
        yield motion
