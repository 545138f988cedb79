"""What ACTalker is trained to do: the velocity of noisy films under random noise, with each gate open at random, and
with mask-drop where both are (sections 3.2 and 3.3 of its paper)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...models.actalker.regions import Regions
from ...tools.golden_cases.actalker_pipeline import scaled_input, timestep

GATES = ((True, False), (False, True), (True, True))  # sound, motion; each as often
OPEN = GATES[2]


@dataclass(frozen=True)
class Films:
    """A batch of films of F frames: latents [B,F,C,h,w], the portrait's [B,C,h,w], and tokens of identity [B,1,X],
    sound [B,F,T,X] and motion [B,F,1,X]; features of the face's place [B,P,h,w], if there are any; who has which
    part of the picture under mask-drop, and what is told of rate and liveliness [1,A], the same for all."""

    latents: Tensor
    portrait: Tensor
    identity: Tensor
    audio: Tensor
    motion: Tensor
    regions: Regions
    told: Tensor
    pose: Tensor | None = None


def velocity(
    network: Any, noisy: Tensor, sigma: Tensor, films: Films, gates: tuple[bool, bool], regions: Regions
) -> Tensor:
    """v-prediction [B,F,C,h,w] for noisy latents at noise levels [B]."""
    count, frames = noisy.shape[:2]

    def each(of_film: Tensor) -> Tensor:
        return of_film.repeat_interleave(frames, 0)

    level = each(sigma)
    given = torch.cat(
        [scaled_input(noisy.flatten(0, 1), level[:, None, None, None]), each(films.portrait)], 1
    )
    out = network(
        given, timestep(level), context=each(films.identity), y=films.told.to(given).expand(count * frames, -1),
        audio=films.audio.flatten(0, 1) if gates[0] else None,
        motion=films.motion.flatten(0, 1) if gates[1] else None, regions=regions,
        pose=None if films.pose is None else each(films.pose), num_video_frames=frames,
    )  # fmt: skip
    return out.unflatten(0, (count, frames))


def velocity_loss(
    network: Any, films: Films, random: np.random.Generator, noise_levels: tuple[float, float],
    mask_drop: bool = True, dropped: float = 0.0,
) -> Tensor:  # fmt: skip
    """Mean squared error of v at random noise.

    noise_levels: mean and deviation of the logarithm of sigma. dropped: how often portrait and identity are left
    out together, as guidance leaves them out.
    """
    gates = GATES[int(random.integers(len(GATES)))]
    clean, noise = films.latents, torch.randn_like(films.latents)
    mean, deviation = noise_levels
    sigma = torch.exp(mean + deviation * torch.randn(len(clean), device=clean.device))
    if dropped:
        known = (torch.rand(len(clean), device=clean.device) >= dropped).to(clean)
        films = replace(
            films, portrait=films.portrait * known[:, None, None, None],
            identity=films.identity * known[:, None, None],
        )  # fmt: skip
    s = sigma[:, None, None, None, None]
    noisy = clean + s * noise
    regions = films.regions if mask_drop and gates == OPEN else Regions()
    v = velocity(network, noisy, sigma, films, gates, regions)
    wanted = (noisy / (s**2 + 1) - clean) * (s**2 + 1).sqrt() / s
    return (v - wanted).float().square().mean()
