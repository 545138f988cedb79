"""The socket for a motion sampler, as every engine of diffusion asks for it."""

from collections.abc import Mapping
from typing import Any

from ...models.options import Sampler, Whole

SAMPLER = Sampler(
    id="sampler",
    tooltip="Another way from noise to motion, from Motion Sampler; its steps take the place of those here. "
    "Without one the engine samples as published.",
)


def check_one_count(options: Mapping[str, Any], steps: Whole) -> None:
    """ValueError if the engine's own steps are set while a sampler, which has its own, is connected."""
    if options[SAMPLER.id] is not None and options[steps.id] != steps.default:
        raise ValueError(
            f"{steps.id} is {options[steps.id]}, but sampler is connected and has steps of its own. Set "
            f"{steps.id} here back to {steps.default} and give the number in Motion Sampler, or take sampler "
            "off."
        )
