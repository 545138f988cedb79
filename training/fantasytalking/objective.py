"""Training of the identity branch and the motion-intensity network alone, beside a Wan model that stays as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...models.fantasytalking.attention import OPTION, AudioContext, IdentityContext, with_audio
from ...models.fantasytalking.identity import SCALE, IdentityBranch
from ...models.fantasytalking.intensity import MotionIntensity

TIMES = 1000.0  # Wan's time steps of a noise level of 1


@dataclass(frozen=True)
class Films:
    """A batch: clean latents [B,16,F,h,w], the 20 channels that Wan's image-to-video sees beside the noise,
    CLIP vision tokens [B,257,1280], text [B,L,T], identity vectors [B,512], coefficients of face and body
    [B,2]."""

    latents: Tensor
    beside: Tensor
    clip_vision: Tensor
    text: Tensor
    identity: Tensor
    intensity: Tensor

    def rows(self, index: Tensor) -> "Films":
        """Some films of the batch."""
        return Films(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


class Extras(nn.Module):
    """Both modules for a Wan model, ready to be trained: they change nothing yet."""

    def __init__(self, identity: IdentityBranch, intensity: MotionIntensity):
        super().__init__()
        self.identity, self.intensity = identity, intensity
        self.requires_grad_(True)
        with torch.no_grad():
            identity.identity_proj.queries.normal_(0, 0.02)
            for parameter in (*identity.blocks.parameters(), *intensity.project.parameters()):
                parameter.zero_()


@contextmanager
def hearing(wan: Any) -> Iterator[None]:
    """A Wan model whose cross-attentions take this pack's context while this lasts."""
    for number, block in enumerate(wan.blocks):
        block.cross_attn.forward = with_audio(block.cross_attn, number)
    try:
        yield
    finally:
        for block in wan.blocks:
            del block.cross_attn.forward


def velocity(
    wan: Any, extras: Extras | None, noisy: Tensor, level: Tensor, films: Films, scale: float = SCALE
) -> Tensor:
    """Wan's prediction [B,16,F,h,w] of noise minus film at noise levels [B] in 0..1, with or without the extras."""
    options, hooks = {}, []
    if extras is not None:
        if scale:
            tokens = extras.identity.identity_proj(films.identity)
            identity = IdentityContext(lambda block: extras.identity.blocks[block](tokens), scale)
            options[OPTION] = AudioContext(None, None, 0.0, True, identity=identity)
        change = extras.intensity(films.intensity)
        hooks.append(
            wan.time_embedding.register_forward_hook(lambda module, given, out: out + change.to(out))
        )
    try:
        seen = torch.cat([noisy, films.beside], 1)
        return wan(seen, TIMES * level, films.text, clip_fea=films.clip_vision, transformer_options=options)
    finally:
        for hook in hooks:
            hook.remove()


def flow_loss(
    wan: Any, extras: Extras | None, films: Films, shift: float = 3.0, weights: Tensor | None = None
) -> Tensor:
    """Mean squared error of the velocity at random noise levels (rectified flow, as Wan was trained).

    weights [h,w] of mean 1 make some places count more, as the paper's mask of the lips does (section 3.2).
    """
    u = torch.rand(len(films.latents), device=films.latents.device)
    level = shift * u / (1 + (shift - 1) * u)
    noise = torch.randn_like(films.latents)
    place = level[:, None, None, None, None]
    predicted = velocity(wan, extras, (1 - place) * films.latents + place * noise, level, films)
    error = (predicted - (noise - films.latents)).square()
    return error.mean() if weights is None else (error * weights).mean()


@torch.no_grad()
def sample(
    wan: Any,
    extras: Extras | None,
    films: Films,
    noise: Tensor,
    steps: int = 12,
    shift: float = 3.0,
    scale: float = SCALE,
) -> Tensor:
    """Films [B,16,F,h,w] made from noise under the conditions of `films`."""
    u = torch.linspace(1, 0, steps + 1)
    levels = shift * u / (1 + (shift - 1) * u)
    x = noise
    for now, following in zip(levels, levels[1:], strict=False):
        x = x + (following - now) * velocity(wan, extras, x, now.expand(len(x)), films, scale)
    return x
