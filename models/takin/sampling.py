"""Diffusion of motion: schedules, the two predictions, and guidance (section 3.2, equation 3)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..sampling.schedule import DiffusionSchedule, clean_of, from_noisiest
from .network import Conditions, TakinNet

LIMIT = 6.0  # standard deviations: no motion is further from its mean


def alpha_bars(schedule: str, steps: int) -> Tensor:
    """[steps] alpha-bar, float64: cosine after Nichol and Dhariwal (2021, equation 17), linear betas from
    1e-4 to 2e-2."""
    if schedule == "linear":
        return torch.cumprod(1 - torch.linspace(1e-4, 2e-2, steps, dtype=torch.float64), 0)
    angle = (torch.arange(steps + 1, dtype=torch.float64) / steps + 0.008) / 1.008 * math.pi / 2
    signal = angle.cos() ** 2
    betas = (1 - signal[1:] / signal[:-1]).clamp(max=0.999)
    return torch.cumprod(1 - betas, 0)


def schedule(bars: Tensor, steps: int) -> DiffusionSchedule:
    """What the network was trained on, as `guided_clean` predicts; `steps` of a run where the sampler does not
    say."""
    return DiffusionSchedule(bars, "sample", lambda count: from_noisiest(count, len(bars)), steps, LIMIT)


@dataclass(frozen=True)
class Guidance:
    """How strongly speech (1 to 3) and emotion (0 to 5) are followed; 1 and 1 is the network as it is."""

    speech: float = 1.5
    emotion: float = 1.0


def guided_clean(
    network: TakinNet, latent: Tensor, step: int, given: Conditions, guidance: Guidance, bars: Tensor
) -> Tensor:
    """x0 with incremental classifier-free guidance: n + s (a - n) + e (b - a); n none, a with speech, b with both.

    The evaluations that a factor of 0 or 1 makes needless are left out; all others run as one batch.
    """
    share = {
        (False, False): 1 - guidance.speech, (True, False): guidance.speech - guidance.emotion,
        (True, True): guidance.emotion,
    }  # fmt: skip
    share = {kind: factor for kind, factor in share.items() if abs(factor) > 1e-6}
    count, size = len(share), len(latent)
    flags = torch.tensor(list(share), device=latent.device).repeat_interleave(size, 0)
    steps = torch.full((count * size,), step, device=latent.device)
    found = network(latent.repeat(count, 1, 1), steps, given.repeated(count), flags[:, 0], flags[:, 1])
    if network.config.prediction == "eps":
        found = clean_of(found, latent.repeat(count, 1, 1), bars[step].to(latent))
    factors = torch.tensor(list(share.values())).to(latent)
    return (found.unflatten(0, (count, size)) * factors[:, None, None, None]).sum(0)
