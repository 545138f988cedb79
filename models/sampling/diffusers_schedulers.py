"""Schedulers of the diffusers library on an engine's own alphas, imported when one runs."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .schedule import DiffusionSchedule, Each, Noise, Predict, from_noisiest, noised

SCHEDULERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {  # our name -> class of diffusers, its options
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": True}),
    "dpm-solver++": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "solver_order": 2}),
    "unipc": ("UniPCMultistepScheduler", {"solver_order": 2}),
    "euler": ("EulerDiscreteScheduler", {}),
}
TAKES_NOISE = {"pndm"}  # no prediction of the clean motion, whatever the network gives


@dataclass(frozen=True)
class DiffusersSampler:
    """See MotionSampler. id: one of SCHEDULERS. All of them add no noise after the first.

    They start at the schedule's noisiest step. ValueError if diffusers is not installed.
    """

    id: str
    steps: int = 0
    window: int = 0

    def __post_init__(self) -> None:
        if self.id not in SCHEDULERS:
            raise ValueError(f"sampler is {self.id!r}; there are ddim, ddpm, {', '.join(SCHEDULERS)}.")
        if importlib.util.find_spec("diffusers") is None:
            raise missing(self.id)

    def sample(
        self, predict: Predict, latent: Tensor, schedule: DiffusionSchedule, noise: Noise,
        each: Each = lambda latent: None,
    ) -> Tensor:  # fmt: skip
        """See MotionSampler."""
        visits = from_noisiest(self.steps or schedule.steps, len(schedule.alpha_bars))
        if self.id == "pndm":  # its averages of noises do not lead out of almost pure noise
            latent = opened(predict, latent, schedule, visits[:2])
            each(latent)
            visits = visits[1:]
        return self._run(predict, latent, schedule, visits, each) if visits else latent

    def _run(
        self, predict: Predict, latent: Tensor, schedule: DiffusionSchedule, visits: list[int], each: Each
    ) -> Tensor:
        """Down the steps that are visited; for the scheduler they are all that there are, so that it neither
        rounds nor leaves out any."""
        alpha_bars = schedule.alpha_bars.double().cpu()[visits]
        predicts = "epsilon" if self.id in TAKES_NOISE else schedule.predicts
        scheduler = made(self.id, alpha_bars.flip(0), predicts)
        numbers, before = alpha_bars.tolist(), None
        if self.id == "euler":  # its latent is the clean motion plus sigma times noise
            latent = latent / numbers[0] ** 0.5
        for time in scheduler.timesteps:
            place = len(visits) - 1 - int(time)
            noisy = scheduler.scale_model_input(latent, time)
            clean, epsilon = schedule.views(predict(noisy, visits[place]), noisy, numbers[place])
            found = epsilon if predicts == "epsilon" else clean
            latent = scheduler.step(found, time, latent).prev_sample
            if place != before:  # PNDM goes back once
                each(latent)
            before = place
        return latent


def opened(predict: Predict, latent: Tensor, schedule: DiffusionSchedule, visits: list[int]) -> Tensor:
    """The latent after the first of the steps, by DDIM."""
    now, then = (*schedule.alpha_bars.double()[visits].tolist(), 1.0)[:2]
    return noised(*schedule.views(predict(latent, visits[0]), latent, now), then)


def made(name: str, alpha_bars: Tensor, predicts: str) -> Any:
    """A scheduler of so many trained steps as there are alpha-bars [N], cleanest first, that visits each of them."""
    import diffusers

    kind, options = SCHEDULERS[name]
    kept = alpha_bars / torch.cat([alpha_bars.new_ones(1), alpha_bars[:-1]])
    scheduler = getattr(diffusers, kind)(
        num_train_timesteps=len(alpha_bars), trained_betas=(1 - kept).tolist(), prediction_type=predicts,
        timestep_spacing="trailing", **options,
    )  # fmt: skip
    scheduler.alphas_cumprod = alpha_bars.float()  # betas near 1 in float32 would make them coarse, or 0
    scheduler.set_timesteps(len(alpha_bars))
    return scheduler


def missing(name: str) -> ValueError:
    """What to say where diffusers is not installed."""
    return ValueError(
        f"sampler is {name}, which comes from diffusers, and that is not installed. Install it (pip install "
        "diffusers), or choose ddim or ddpm."
    )
