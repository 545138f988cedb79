"""Denoising diffusion implicit models (Song et al. 2021, equation 12)."""

from dataclasses import dataclass, field

from torch import Tensor

from .schedule import DiffusionSchedule, Each, Noise, Predict


@dataclass(frozen=True)
class DDIM:
    """See MotionSampler. eta: 0 adds no noise after the first, 1 as much as DDPM."""

    id: str = field(default="ddim", init=False)
    steps: int = 0
    window: int = 0
    eta: float = 0.0

    def sample(
        self, predict: Predict, latent: Tensor, schedule: DiffusionSchedule, noise: Noise,
        each: Each = lambda latent: None,
    ) -> Tensor:  # fmt: skip
        """See MotionSampler; visits the steps of the engine's own run."""
        visits = schedule.visits(self.steps or schedule.steps)
        numbers = schedule.alpha_bars.double().tolist() if self.eta else schedule.numbers(latent)
        for done, (step, after) in enumerate(zip(visits, [*visits[1:], None], strict=True)):
            now = numbers[step]
            clean, direction = schedule.views(predict(latent, step), latent, now)
            if after is None:
                latent = clean
            elif self.eta:
                then = numbers[after]
                variance = self.eta**2 * (1 - then) / (1 - now) * (1 - now / then)
                latent = then**0.5 * clean + max(0.0, 1 - then - variance) ** 0.5 * direction
                latent = latent + variance**0.5 * noise(done)
            else:
                then = numbers[after]
                latent = then**0.5 * clean + (1 - then) ** 0.5 * direction
            each(latent)
        return latent
