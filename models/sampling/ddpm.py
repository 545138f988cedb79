"""Denoising diffusion probabilistic models: ancestral sampling (Ho et al. 2020, equation 7)."""

from dataclasses import dataclass, field

from torch import Tensor

from .schedule import DiffusionSchedule, Each, Noise, Predict


@dataclass(frozen=True)
class DDPM:
    """See MotionSampler. Where steps are left out, the posterior is that of the longer stride."""

    id: str = field(default="ddpm", init=False)
    steps: int = 0
    window: int = 0

    def sample(
        self, predict: Predict, latent: Tensor, schedule: DiffusionSchedule, noise: Noise,
        each: Each = lambda latent: None,
    ) -> Tensor:  # fmt: skip
        """See MotionSampler; visits the steps of the engine's own run."""
        visits = schedule.visits(self.steps or schedule.steps)
        numbers = schedule.alpha_bars.double().tolist()
        for done, (step, after) in enumerate(zip(visits, [*visits[1:], None], strict=True)):
            now, then = numbers[step], 1.0 if after is None else numbers[after]
            kept = now / then
            clean, _ = schedule.views(predict(latent, step), latent, now)
            latent = ((1 - then) * kept**0.5 * latent + (1 - kept) * then**0.5 * clean) / (1 - now)
            if after is not None:
                latent = latent + ((1 - then) / (1 - now) * (1 - kept)) ** 0.5 * noise(done)
            each(latent)
        return latent
