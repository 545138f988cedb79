"""What FantasyTalking's parts are trained to do, beside a Wan model that stays as it is: rectified flow."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...models.fantasytalking.attention import OPTION, AudioContext, IdentityContext, with_audio
from ...models.fantasytalking.identity import SCALE, IdentityBranch
from ...models.fantasytalking.intensity import MotionIntensity
from ..learning.core import core_in_training

SILENT = AudioContext(None, None, 0.0, True)
TIMES = 1000.0  # Wan's time steps of a noise level of 1


@dataclass(frozen=True)
class Films:
    """A batch: clean latents [B,16,F,h,w], the 20 channels that Wan's image-to-video sees beside the noise,
    CLIP vision tokens [B,257,1280], text [B,L,T], identity vectors [B,512], coefficients of face and body
    [B,2]; what wav2vec2 hears [B,L,768] and the lips' share of every place [B,F,h,w], where they are wanted."""

    latents: Tensor
    beside: Tensor
    clip_vision: Tensor
    text: Tensor
    identity: Tensor
    intensity: Tensor
    speech: Tensor | None = None
    lips: Tensor | None = None


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
    """A Wan model whose cross-attentions take this pack's context, and that has gradients, while this lasts."""
    for number, block in enumerate(wan.blocks):
        block.cross_attn.forward = with_audio(block.cross_attn, number)
    try:
        with core_in_training():
            yield
    finally:
        for block in wan.blocks:
            del block.cross_attn.forward


def velocity(
    wan: Any, extras: Extras | None, noisy: Tensor, level: Tensor, films: Films, scale: float = SCALE,
    audio: AudioContext | None = None,
) -> Tensor:  # fmt: skip
    """Wan's prediction [B,16,F,h,w] of noise minus film at noise levels [B] in 0..1, with or without the extras
    and what is heard."""
    hooks, heard = [], audio
    if extras is not None:
        if scale:
            tokens = extras.identity.identity_proj(films.identity)
            identity = IdentityContext(lambda block: extras.identity.blocks[block](tokens), scale)
            heard = replace(audio or SILENT, identity=identity)
        change = extras.intensity(films.intensity)
        hooks.append(
            wan.time_embedding.register_forward_hook(lambda module, given, out: out + change.to(out))
        )
    options = {} if heard is None else {OPTION: heard}
    try:
        seen = torch.cat([noisy, films.beside], 1)
        return wan(seen, TIMES * level, films.text, clip_fea=films.clip_vision, transformer_options=options)
    finally:
        for hook in hooks:
            hook.remove()


def flow_loss(
    wan: Any, extras: Extras | None, films: Films, shift: float = 3.0, weights: Tensor | None = None,
    audio: AudioContext | None = None,
) -> Tensor:  # fmt: skip
    """Mean squared error of the velocity at random noise levels (rectified flow, as Wan was trained).

    weights of mean 1, [h,w] or [B,1,F,h,w], make some places count more, as the paper's mask of the lips does
    (section 3.2).
    """
    u = torch.rand(len(films.latents), device=films.latents.device)
    level = shift * u / (1 + (shift - 1) * u)
    noise = torch.randn_like(films.latents)
    place = level[:, None, None, None, None]
    noisy = (1 - place) * films.latents + place * noise
    predicted = velocity(wan, extras, noisy, level, films, audio=audio)
    error = (predicted.float() - (noise - films.latents)).square()
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
    audio: AudioContext | None = None,
) -> Tensor:
    """Films [B,16,F,h,w] made from noise under the conditions of `films`."""
    u = torch.linspace(1, 0, steps + 1)
    levels = shift * u / (1 + (shift - 1) * u)
    x = noise
    for now, following in zip(levels, levels[1:], strict=False):
        predicted = velocity(wan, extras, x, now.expand(len(x)), films, scale, audio)
        x = x + (following - now) * predicted
    return x
