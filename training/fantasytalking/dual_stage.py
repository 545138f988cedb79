"""FantasyTalking's dual-stage training of the audio (section 3.2).

Stage 1, clip level: every place of every frame hears the whole clip, and all of the picture counts. Stage 2, frame
level: every latent frame hears the window of its own time, and with probability 0.8 only the lips count, by a mask
that follows them from frame to frame. Reference, sound and text are left out one time in ten each.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.fantasytalking.attention import AudioContext
from ...models.fantasytalking.network import FantasyTalking
from ...models.fantasytalking.windows import audio_windows
from ..learning.recipe import Cosine, Recipe
from .objective import Films, flow_loss

CLIP, FRAME = "clip", "frame"
STEPS = {CLIP: 80_000, FRAME: 20_000}
RATE = 1e-4
UNMASKED = 0.2  # share of the steps of stage 2 in which all of the picture counts (eta)
DROPPED = 0.1
SHIFT = 5.0


def recipe(steps: int, rate: float = RATE, warm_up: int = 500) -> Recipe:
    """AdamW at the paper's rate; it says no more, so the betas, the warm-up and the constant rate are ours."""
    return Recipe(steps, rate, Cosine(warm_up, last=1.0), betas=(0.9, 0.999), decay=0.01, clip=1.0)


class LiveKeys:
    """Keys and values of tokens [n,C] with their gradients, under the numbers 1 to n; 0 is no token."""

    def __init__(self, blocks: Any, tokens: Tensor):
        self.blocks, self.rows = blocks, F.pad(tokens, (0, 0, 1, 0))

    def __call__(self, block: int, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """[...] -> [...,C] each."""
        keys, values = self.blocks[block](self.rows)
        return keys[numbers], values[numbers]


def begun(adapter: FantasyTalking) -> FantasyTalking:
    """Fresh weights that change nothing yet: all values are zero."""
    for module in adapter.modules():
        if isinstance(module, (nn.Linear, nn.LayerNorm)):
            module.reset_parameters()
    for block in adapter.blocks:
        nn.init.zeros_(block.v_proj.weight)  # type: ignore[arg-type, union-attr]
    return adapter.requires_grad_(True)


def heard(
    adapter: FantasyTalking, speech: Tensor, latent_frames: int, stage: str, hears: Tensor | None = None,
    scale: float = 1.0,
) -> AudioContext:  # fmt: skip
    """What latent frames hear of vectors [B,L,768]: all of them (clip), or each its window (frame). Films whose
    `hears` [B] is 0 hear nothing."""
    count, length = speech.shape[:2]
    tokens = adapter.proj_model(speech).flatten(0, 1)
    numbers = 1 + torch.arange(count * length, device=speech.device).view(count, length)
    if hears is not None:
        numbers = numbers * hears.long()[:, None]
    if stage == FRAME:
        windows = audio_windows(4 * (latent_frames - 1) + 1, length)
        numbers = windows.split(numbers[..., None])[..., 0]
    return AudioContext(numbers, LiveKeys(adapter.blocks, tokens), scale, True)  # type: ignore[arg-type]


def latent_mask(mask: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """The lips' mask of a film [N,H,W], 0..1, in the places of its latent [F,h,w]: trilinear, as in the paper."""
    return F.interpolate(mask[None, None].float(), shape, mode="trilinear", align_corners=False)[0, 0]


def place_weights(lips: Tensor) -> Tensor:
    """[B,F,h,w] -> [B,1,F,h,w] of mean 1 for each film: nothing but the lips counts."""
    return (lips / lips.mean((1, 2, 3), keepdim=True).clamp(min=1e-6))[:, None]


def dropped(films: Films) -> tuple[Films, Tensor]:
    """Films some of which lack their reference or their text, and which of them are heard [B].

    A batch in which nobody is heard would teach nothing, since only what hears is trained; then all are.
    """
    seen, hears, told = (torch.rand(3, len(films.latents)) >= DROPPED).float().to(films.latents)
    hears = hears if hears.any() else torch.ones_like(hears)
    return replace(
        films, beside=films.beside * seen[:, None, None, None, None],
        clip_vision=films.clip_vision * seen[:, None, None], text=films.text * told[:, None, None],
    ), hears  # fmt: skip


def stage_loss(wan: Any, adapter: FantasyTalking, films: Films, stage: str, shift: float = SHIFT) -> Tensor:
    """The loss of a batch in one of the stages."""
    shown, hears = dropped(films)
    assert shown.speech is not None and shown.lips is not None  # there is nothing to learn without
    audio = heard(adapter, shown.speech, shown.latents.shape[2], stage, hears)
    masked = stage == FRAME and torch.rand(()) > UNMASKED
    return flow_loss(wan, None, shown, shift, place_weights(shown.lips) if masked else None, audio)
