"""Audio in Wan2.1's image-to-video cross-attention (FantasyTalking, eq. 4): out = W_o(text + image + scale * audio)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor

from .keys import KeptKeys

OPTION = "talking_portrait_audio"
MARK = "talking_portrait_block"  # on a replaced forward: the number of its block
# Sage attention can give NaN over the few tokens beside the text, and is no faster there.
EXACT = {"low_precision_attention": False}


@dataclass(frozen=True)
class AudioContext:
    """What a forward pass carries: numbers [B,F,W] of the tokens in every frame's window, 0 at the end of
    short windows (or [B,L], heard by every place of every frame), their keys and values, and the scale of
    audio.

    masked: places without a token are not attended to (as the weights were trained). face: image tokens
    [B,257,C] of a face crop and their scale, or None. identity: likewise of the trained identity branch
    (section 3.3), seen by every place of every frame. region: mask [H,W] of the picture, 0..1; places outside
    of it do not hear, so that one of several people speaks.
    leading: pictures of the video's size that stand before its frames (a reference of Wan Fun). model: the
    diffusion model of this very pass; each GPU has its own.
    """

    numbers: Tensor | None
    keys: KeptKeys | None
    scale: float
    masked: bool
    face: tuple[Tensor, float] | None = None
    identity: "IdentityContext | None" = None
    region: Tensor | None = None
    leading: int = 0
    model: Any = None

    @cached_property
    def windows(self) -> Tensor:
        """The numbers in one row for each window [B*F,W], or [B,L]."""
        assert self.numbers is not None  # asked for only where there is speech
        return self.numbers.flatten(0, -2)

    @cached_property
    def lengths(self) -> list[int]:
        """Places of each of the windows that are attended to; read from the device once a pass."""
        windows = self.windows
        return windows.ne(0).sum(-1).tolist() if self.masked else [windows.shape[-1]] * len(windows)

    def heard_by(self, grid: tuple[int, int, int]) -> Tensor | None:
        """How much each place of a film of F x h x w tokens hears, [1,F*h*w,1]; None where all hear all."""
        if self.region is None:
            return None
        frames, rows, columns = grid
        share = F.interpolate(self.region[None, None].float(), (rows, columns), mode="area").flatten()
        return share.repeat(frames)[None, :, None]

    def keys_and_values(self, block: int, batch: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """[batch*F,W,C] each, or [batch,L,C]."""
        assert self.numbers is not None and self.keys is not None  # asked for only where there is speech
        keys, values = (
            value.to(dtype).repeat(batch // len(self.numbers), 1, 1)
            for value in self.keys(block, self.windows)
        )
        return keys, values


@dataclass(frozen=True)
class IdentityContext:
    """Where keys and values of an identity's tokens come from, by block, [B,Q,C] each or [1,Q,C]; and their scale."""

    keys: Callable[[int], tuple[Tensor, Tensor]]
    scale: float

    def keys_and_values(self, block: int, batch: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """[batch,Q,C] each."""
        keys, values = (value.to(dtype).expand(batch, -1, -1) for value in self.keys(block))
        return keys, values


def add_audio(
    total: Tensor, query: Tensor, audio: AudioContext, block: int, heads: int, options: dict
) -> None:
    """total [B,P,C] += scale * what each place of query [B,P,C] hears in the window of its own frame.

    In place, and frames of one length in a row are attended to together, so nothing is copied and nothing is
    as large as what one attention returns. No mask: ComfyUI's CPU attention adds boolean masks as numbers.
    """
    grid = options.get("grid_sizes")
    here = video_places(grid, query.shape[1], audio.leading)
    assert grid is not None and audio.numbers is not None  # the first is checked by the line above
    numbers = audio.numbers
    parts = 1 if numbers.ndim == 2 else grid[0]
    if numbers.shape[1:-1].numel() != parts:
        raise ValueError(
            f"Apply FantasyTalking: the audio has {numbers.shape[1]} latent frames, but the video {grid[0]} "
            f"({query.shape[1]} tokens). Give FantasyTalking Audio and the latent the same number of frames."
        )
    keys, values = audio.keys_and_values(block, len(query), query.dtype)
    asked, summed = (each[:, here].unflatten(1, (parts, -1)) for each in (query, total))
    share = audio.heard_by(grid)
    for film in range(len(query)):
        first = film * parts
        lengths = [audio.lengths[row % len(audio.lengths)] for row in range(first, first + parts)]
        for start, stop, length in runs(lengths):
            rows = slice(first + start, first + stop)
            heard = optimized_attention(
                asked[film, start:stop], keys[rows, :length].contiguous(), values[rows, :length].contiguous(),
                heads=heads,
                transformer_options=options,
                **EXACT,
            )  # fmt: skip
            if share is not None:
                heard *= share.unflatten(1, (parts, -1))[0, start:stop].to(heard)
            summed[film, start:stop].add_(heard, alpha=audio.scale)


def runs(lengths: list[int]) -> Iterator[tuple[int, int, int]]:
    """First, end and length of every run of equal lengths; places without anything to hear are left out."""
    start = 0
    for length, group in groupby(lengths):
        stop = start + len(list(group))
        if length:
            yield start, stop, length
        start = stop


def video_places(grid: tuple[int, int, int] | None, places: int, leading: int) -> slice:
    """Which of a query's places are the video's own frames: references before and after them hear nothing.

    grid: latent frames, rows, columns, as core's WanModel gives them. ValueError for a Wan model that gives none.
    """
    if grid is None or places < prod(grid) + leading * prod(grid[1:]):
        raise ValueError(
            "Apply FantasyTalking: this kind of Wan model arranges its frames in its own way, so audio "
            "cannot be put in their places. Load Wan2.1-I2V-14B."
        )
    first = leading * prod(grid[1:])
    return slice(first, first + prod(grid))


def preference(attention: Any) -> dict[str, Any]:
    """What a layer of newer cores says about its attention (its file may ask for int8); nothing on older ones."""
    own = getattr(attention, "comfy_attention", None)
    return {} if own is None else {"preferred_attention": own}


def with_audio(attention: Any, block: int):
    """A replacement for the forward of one WanI2VCrossAttention; its own layers are still called, so LoRA and
    offloading work.

    A clone for another GPU takes this replacement along, so the layers are those of the model that runs,
    where it is known.
    """

    def forward(
        x: Tensor, context: Tensor, context_img_len: int, transformer_options: dict | None = None
    ) -> Tensor:
        options = transformer_options or {}
        audio: AudioContext | None = options.get(OPTION)
        own = attention if audio is None or audio.model is None else audio.model.blocks[block].cross_attn
        image, text = context[:, :context_img_len], context[:, context_img_len:]
        chosen = preference(own)

        def attended(keys: Tensor, values: Tensor, **how: Any) -> Tensor:
            return optimized_attention(
                q, keys, values, heads=own.num_heads, transformer_options=options, **chosen, **how
            )

        q = own.norm_q(own.q(x))
        total = attended(own.norm_k(own.k(text)), own.v(text))
        total = total + attended(own.norm_k_img(own.k_img(image)), own.v_img(image), **EXACT)
        if audio is not None and audio.face is not None:
            face, strength = audio.face
            total.add_(attended(own.norm_k_img(own.k_img(face)), own.v_img(face), **EXACT), alpha=strength)
        if audio is not None and audio.identity is not None:
            keys, values = audio.identity.keys_and_values(block, len(q), q.dtype)
            total.add_(attended(keys, values, **EXACT), alpha=audio.identity.scale)
        if audio is not None and audio.numbers is not None and audio.scale != 0:
            add_audio(total, q, audio, block, own.num_heads, options)
        return own.o(total)

    setattr(forward, MARK, block)
    return forward
