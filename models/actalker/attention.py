"""ACTalker's transformer: SVD's spatio-temporal one with two more cross-attentions and the mamba layer
between its blocks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import comfy.ops
import torch
from comfy.ldm.modules.attention import CrossAttention, SpatialVideoTransformer, optimized_attention
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from einops import rearrange
from torch import Tensor, nn

from .parallel_control_mamba import ParallelControlMamba
from .regions import Regions

OPTION = "talking_portrait_actalker"  # under which the streams travel in ComfyUI's transformer options
ADAPTER_SCALE = 1.25  # as trained


@dataclass(frozen=True)
class Streams:
    """Condition tokens of n frames: audio [n,32,X] and motion [n,1,X], None where the gate is closed, their
    regions, and how strongly attention to them counts."""

    audio: Tensor | None = None
    motion: Tensor | None = None
    regions: Regions = field(default_factory=Regions)
    scale: float = ADAPTER_SCALE


@dataclass(frozen=True)
class AttentionStreams:
    """What one cross-attention reads beside its context: per stream its tokens [g,T,X] or None, and weights
    [1,S,1] or None; and the factor on both."""

    tokens: tuple[Tensor | None, Tensor | None]
    weights: tuple[Tensor | None, Tensor | None] = (None, None)
    scale: float = ADAPTER_SCALE


class AdapterProjections(nn.Module):
    """Keys and values of the audio (0) and the motion (1) stream."""

    def __init__(self, context: int, width: int, device=None, dtype=None, operations: Any = nn):
        super().__init__()

        def pair() -> nn.ModuleList:
            return nn.ModuleList(
                operations.Linear(context, width, bias=False, device=device, dtype=dtype) for _ in range(2)
            )

        self.to_k_ip, self.to_v_ip = pair(), pair()


class ControlledCrossAttention(CrossAttention):
    """Decoupled cross-attention: to the context, plus a scale (1.25) times the one to each stream, within its region.

    x [n,L,C]; context and streams [g,T,X] where n is a multiple of g: each of them serves n/g consecutive
    rows of x, as it does over the pixels of one clip, and is projected once.
    """

    def __init__(
        self,
        query_dim: int,
        context_dim: int,
        heads=8,
        dim_head=64,
        dtype=None,
        device=None,
        operations: Any = nn,
        **kwargs,
    ):
        super().__init__(
            query_dim, context_dim, heads, dim_head, dtype=dtype, device=device, operations=operations,
            **kwargs
        )  # fmt: skip
        self.processor = AdapterProjections(context_dim, heads * dim_head, device, dtype, operations)

    def forward(
        self, x, context=None, value=None, mask=None, transformer_options: Mapping[str, Any] | None = None
    ):
        assert context is not None  # core may leave it out for self-attention, which this layer is not
        options = transformer_options or {}
        streams: AttentionStreams = options[OPTION]
        asked = Questions(self, x, options)
        out = asked.answer(self.to_k, self.to_v, context, value, mask)
        for i, (tokens, weight) in enumerate(zip(streams.tokens, streams.weights, strict=True)):
            if tokens is not None and streams.scale != 0:
                part = asked.answer(self.processor.to_k_ip[i], self.processor.to_v_ip[i], tokens)
                out = out + streams.scale * (part if weight is None else part * weight.to(part))
        return self.to_out(out)


class Questions:
    """The queries of one call, made when the first stream with more than one token needs them."""

    def __init__(self, attention: CrossAttention, x: Tensor, options: Mapping[str, Any]):
        self.attention, self.x, self.options = attention, x, options
        self.queries: Tensor | None = None

    def answer(
        self,
        to_k: nn.Module,
        to_v: nn.Module,
        tokens: Tensor,
        value: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """[n,L,C], or [n,1,C] where there is but one token: then the softmax is 1 and the answer is its value."""
        rows, groups = len(self.x), len(tokens)
        v = to_v(tokens if value is None else value)
        if tokens.shape[1] == 1 and mask is None:
            return v.repeat_interleave(rows // groups, dim=0) if groups != rows else v
        queries = self._queries()
        q = queries.reshape(groups, -1, queries.shape[-1])
        out = optimized_attention(
            q, to_k(tokens), v, self.attention.heads, mask=mask, attn_precision=self.attention.attn_precision,
            transformer_options=self.options,
        )  # fmt: skip
        return out.reshape(rows, -1, out.shape[-1])

    def _queries(self) -> Tensor:
        kept = self.queries
        if kept is None:
            kept = self.queries = cast(Tensor, self.attention.to_q(self.x))
        return kept


class ControlledTransformer(SpatialVideoTransformer):
    """[n,C,H,W] -> [n,C,H,W], n = clips x frames, clips outermost. `mamba` is False in the middle of the UNet.

    Keys are those of SVD in ComfyUI, with `attn2.processor.*` and `mamba_blocks.0.*` as ACTalker's files name them.
    """

    def __init__(
        self, channels: int, heads: int, head_dim: int, context_dim: int, mamba: bool = True,
        attn_precision=None,
        dtype=None, device=None, operations: Any = comfy.ops.disable_weight_init,
    ):  # fmt: skip
        built = {"dtype": dtype, "device": device, "operations": operations}
        super().__init__(
            channels, heads, head_dim, use_linear=True, context_dim=context_dim, use_spatial_context=True,
            ff_in=True,
            merge_strategy="learned_with_images", merge_factor=0.0, attn_precision=attn_precision, **built,
        )  # fmt: skip
        for block in (*self.transformer_blocks, *self.time_stack):
            block.attn2 = ControlledCrossAttention(
                heads * head_dim, context_dim, heads, head_dim, attn_precision=attn_precision, **built
            )
        if mamba:
            self.mamba_blocks = nn.ModuleList(
                [ParallelControlMamba(channels, context_dim, device, dtype, operations)]
            )

    def forward(
        self,
        x,
        context=None,
        time_context=None,
        timesteps=None,
        image_only_indicator=None,
        transformer_options=None,
    ):
        """context [n,1,X] is the identity token of each frame; `timesteps` is ComfyUI's name for the frames
        of a clip."""
        assert context is not None and timesteps is not None  # core's UNet gives both
        options = {} if transformer_options is None else transformer_options
        options["activations_shape"] = list(x.shape)
        options["block_index"] = 0
        streams = options.get(OPTION) or Streams()
        height, width = x.shape[2:]
        h = self.proj_in(rearrange(self.norm(x), "n c h w -> n (h w) c"))
        h = self._in_each_frame(h, context, streams, height, width, options)
        mixed = self._over_time(
            h, context if time_context is None else time_context, streams, timesteps, options
        )
        h = self.time_mixer(x_spatial=h, x_temporal=mixed, image_only_indicator=image_only_indicator)
        h = self.proj_out(h)
        return rearrange(h, "n (h w) c -> n c h w", h=height) + x

    def _in_each_frame(
        self,
        h: Tensor,
        identity: Tensor,
        streams: Streams,
        height: int,
        width: int,
        options: Mapping[str, Any],
    ) -> Tensor:
        audio_region, motion_region = streams.regions.at(height, width, h.device)
        audio = None if audio_region.closed else streams.audio
        motion = None if motion_region.closed else streams.motion
        here = AttentionStreams((audio, motion), (audio_region.weight, motion_region.weight), streams.scale)
        h = self.transformer_blocks[0](h, context=identity, transformer_options={**options, OPTION: here})
        if not hasattr(self, "mamba_blocks"):
            return h
        return self.mamba_blocks[0](h, identity, audio, motion, audio_region.tokens, motion_region.tokens)

    def _over_time(
        self, h: Tensor, identity: Tensor, streams: Streams, frames: int, options: Mapping[str, Any]
    ) -> Tensor:
        """Every pixel's frames attend to each other, to the clip's mean identity and to its mean streams,
        without regions."""
        tokens = h.shape[1]
        index = torch.arange(frames, device=h.device)
        position = timestep_embedding(index, self.in_channels, max_period=self.max_time_embed_period).to(
            h.dtype
        )
        t = h.unflatten(0, (-1, frames)) + self.time_pos_embed(position)[:, None]
        t = rearrange(t, "b f n c -> (b n) f c")
        tokens_of_clip = _clip_mean(streams.audio, frames), _clip_mean(streams.motion, frames)
        here = AttentionStreams(tokens_of_clip, scale=streams.scale)
        context = _clip_mean(identity, frames)
        t = self.time_stack[0](t, context=context, transformer_options={**options, OPTION: here})
        return rearrange(t, "(b n) f c -> (b f) n c", n=tokens)


def _clip_mean(x: Tensor | None, frames: int) -> Tensor | None:
    """[clips*frames,T,X] -> [clips,T,X]."""
    return None if x is None else x.unflatten(0, (-1, frames)).mean(1)
