"""Audio in Wan2.1's image-to-video cross-attention (FantasyTalking, eq. 4): out = W_o(text + image + scale * audio)."""

from dataclasses import dataclass, field

import torch
from comfy.ldm.modules.attention import optimized_attention
from torch import Tensor, nn

OPTION = "talking_portrait_audio"


@dataclass(frozen=True)
class AudioContext:
    """What a forward pass carries: tokens [B,F,W,C] with zero rows at the end of short windows, the adapter's blocks, the
    scale of audio; `masked`: zero rows are not attended to (as the weights were trained). keys: what was computed already,
    by block. face: image tokens [B,257,C] of a face crop and their scale, or None.
    """

    tokens: Tensor | None
    blocks: nn.ModuleList
    scale: float
    masked: bool
    keys: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    face: tuple[Tensor, float] | None = None

    def keys_and_values(self, block: int, batch: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """[batch*F,W,C] each; they are the same at every step, so they are computed once."""
        if block not in self.keys:
            self.keys[block] = self.blocks[block](self.tokens.flatten(0, 1).to(dtype))
        return tuple(value.repeat(batch // len(self.tokens), 1, 1) for value in self.keys[block])


def valid_lengths(tokens: Tensor) -> list[int]:
    """How many rows of each window [F,W,C] hold a token. A layer norm's output is never all zero, padding always is."""
    return tokens.ne(0).any(-1).sum(-1).tolist()


def audio_attention(query: Tensor, context: AudioContext, block: int, heads: int, frames: int, options: dict) -> Tensor:
    """query [B,F*h*w,C] -> what each place hears in the window of its own frame, [B,F*h*w,C].

    Windows of one length are attended to together, without a mask: ComfyUI's CPU attention adds boolean masks as numbers.
    """
    batch, places, width = query.shape
    if places % frames or context.tokens.shape[1] != frames:
        raise ValueError(
            f"Apply FantasyTalking: the audio has {context.tokens.shape[1]} latent frames, but the video {frames} "
            f"({places} tokens). Give FantasyTalking Audio and the latent the same number of frames."
        )
    keys, values = context.keys_and_values(block, batch, query.dtype)
    per_frame = query.reshape(batch * frames, places // frames, width)
    lengths = valid_lengths(context.tokens.flatten(0, 1)) if context.masked else [keys.shape[1]] * frames
    lengths = lengths * (batch * frames // len(lengths))
    heard = torch.zeros_like(per_frame)
    for length in sorted(set(lengths) - {0}):
        rows = [row for row, own in enumerate(lengths) if own == length]
        heard[rows] = optimized_attention(
            per_frame[rows], keys[rows, :length].contiguous(), values[rows, :length].contiguous(), heads=heads,
            transformer_options=options,
        )  # fmt: skip
    return heard.reshape(batch, places, width)


def with_audio(attention: nn.Module, block: int):
    """A replacement for the forward of one WanI2VCrossAttention; its own layers are still called, so LoRA and offloading work."""

    def forward(x: Tensor, context: Tensor, context_img_len: int, transformer_options: dict | None = None) -> Tensor:
        options = transformer_options or {}
        image, text = context[:, :context_img_len], context[:, context_img_len:]
        heads = attention.num_heads
        q = attention.norm_q(attention.q(x))
        total = optimized_attention(q, attention.norm_k(attention.k(text)), attention.v(text), heads=heads,
                                    transformer_options=options)  # fmt: skip
        total = total + optimized_attention(q, attention.norm_k_img(attention.k_img(image)), attention.v_img(image), heads=heads,
                                            transformer_options=options)  # fmt: skip
        audio: AudioContext | None = options.get(OPTION)
        if audio is not None and audio.face is not None:
            face, strength = audio.face
            total = total + strength * optimized_attention(
                q, attention.norm_k_img(attention.k_img(face)), attention.v_img(face), heads=heads, transformer_options=options
            )
        if audio is not None and audio.tokens is not None and audio.scale != 0:
            frames = options["grid_sizes"][0]
            total = total + audio.scale * audio_attention(q, audio, block, heads, frames, options)
        return attention.o(total)

    return forward
