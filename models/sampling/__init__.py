"""From noise to motion down an engine's own schedule: one set of samplers for all engines of diffusion."""

from .ddim import DDIM
from .ddpm import DDPM
from .diffusers_schedulers import SCHEDULERS, DiffusersSampler
from .schedule import DiffusionSchedule

__all__ = ["DDIM", "DDPM", "SCHEDULERS", "DiffusersSampler", "DiffusionSchedule"]
