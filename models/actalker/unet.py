"""ACTalker's denoiser: ComfyUI's SVD UNet with ACTalker's transformers, its epsilons, and the face box added
at the start."""

from collections.abc import Mapping
from typing import Any, cast

import comfy.ops
import torch
from comfy.ldm.modules.attention import SpatialVideoTransformer
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock, UNetModel, VideoResBlock
from comfy.ldm.modules.diffusionmodules.util import timestep_embedding
from torch import Tensor, nn

from .attention import ADAPTER_SCALE, OPTION, ControlledTransformer, Streams
from .regions import Regions

# as trained; unlike SVD's they enter as they are
FRAME_RATE, MOTION_BUCKET, EXPRESSION_BUCKET = 12.5, 12.0, 20.0
LEVELS_WITH_ATTENTION = 3
BLOCKS_PER_LEVEL = 2


def unet_config(
    channels: int = 320, context: int = 1024, head_dim: int = 64, adm: int = 768
) -> dict[str, Any]:
    """ComfyUI's settings of an SVD UNet, of the published size unless told otherwise."""
    return {
        "image_size": 32, "in_channels": 8, "out_channels": 4, "model_channels": channels,
        "channel_mult": (1, 2, 4, 4),
        "num_res_blocks": [BLOCKS_PER_LEVEL] * 4, "transformer_depth": [1] * 6 + [0] * 2,
        "transformer_depth_middle": 1,
        "transformer_depth_output": [1] * 9 + [0] * 3, "context_dim": context, "num_head_channels": head_dim,
        "adm_in_channels": adm, "num_classes": "sequential", "use_spatial_transformer": True, "legacy": False,
        "use_linear_in_transformer": True, "use_temporal_resblock": True, "use_temporal_attention": True,
        "extra_ff_mix_layer": True, "use_spatial_context": True, "merge_strategy": "learned_with_images",
        "merge_factor": 0.0, "video_kernel_size": [3, 1, 1],
    }  # fmt: skip


class ACTalkerUNet(UNetModel):
    """[n,8,h,w] noisy and reference latents of n = clips x frames images -> v-prediction [n,4,h,w].

    Takes the settings of ComfyUI's SVD UNet. Keys are SVD's in ComfyUI; `checkpoint.unet_state` makes them
    from the published file's.
    """

    def __init__(self, *, context_dim: int, attn_precision=None, dtype=torch.float32, device=None,
                 operations=comfy.ops.disable_weight_init, **settings):  # fmt: skip
        built = {"attn_precision": attn_precision, "dtype": dtype, "device": device, "operations": operations}
        super().__init__(context_dim=context_dim, **built, **settings)
        middle = cast(nn.Sequential, self.middle_block)
        for part in (*parts_of(self.input_blocks), middle, *parts_of(self.output_blocks)):
            for i, layer in enumerate(part):
                if isinstance(layer, SpatialVideoTransformer):
                    part[i] = _controlled(layer, context_dim, part is not middle, built)
        self._set_epsilons()

    def _set_epsilons(self) -> None:
        """Group norms of residual blocks have 1e-6, but for the lowest level going down and the middle, which
        have 1e-5."""
        lowest = 1 + LEVELS_WITH_ATTENTION * (BLOCKS_PER_LEVEL + 1)
        for part in (*parts_of(self.input_blocks)[:lowest], *parts_of(self.output_blocks)):
            for block in part:
                if isinstance(block, VideoResBlock):
                    _set_epsilon(block, 1e-6)

    def forward(
        self, x, timesteps=None, context=None, y=None, control=None, transformer_options=None, *,
        audio: Tensor | None = None,
        motion: Tensor | None = None, regions: Regions | None = None, pose: Tensor | None = None,
        adapter_scale: float = ADAPTER_SCALE, **kwargs,
    ):  # fmt: skip
        """timesteps [n] are 0.25 ln sigma; context [n,1,X] identity; y [n,adm]; audio [n,32,X] and motion
        [n,1,X], None where their gate is closed; pose [n or 1,C,h,w] is added to the first convolution's
        output; adapter_scale is the factor on attention to audio and motion; `num_video_frames` the frames of
        a clip."""
        options = dict(transformer_options or {})
        options[OPTION] = Streams(audio, motion, regions or Regions(), adapter_scale)
        if pose is not None:
            patches = dict(options.get("patches", {}))
            patches["input_block_patch"] = [_adds_at_the_start(pose), *patches.get("input_block_patch", [])]
            options["patches"] = patches
        return super().forward(x, timesteps, context, y, control, options, **kwargs)


def parts_of(blocks: nn.ModuleList) -> list[nn.Sequential]:
    """The layers of every block of one way through a UNet."""
    return [cast(nn.Sequential, part) for part in blocks]


def _controlled(
    layer: SpatialVideoTransformer, context: int, mamba: bool, built: Mapping[str, Any]
) -> ControlledTransformer:
    """ACTalker's transformer of the size of SVD's."""
    block: Any = layer.transformer_blocks[0]
    return ControlledTransformer(layer.in_channels, block.n_heads, block.d_head, context, mamba, **built)


def _set_epsilon(block: ResBlock, epsilon: float) -> None:
    for module in block.modules():
        if isinstance(module, nn.GroupNorm):
            module.eps = epsilon


def _adds_at_the_start(pose: Tensor):
    """A patch that adds the face box's features before the first skip connection is stored."""

    def patch(h: Tensor, options: Mapping[str, Any]) -> Tensor:
        return h + pose.to(h) if options["block"] == ("input", 0) else h

    return patch


def time_id_embedding(
    size: int = 256, motion_bucket: float = MOTION_BUCKET, expression_bucket: float = EXPRESSION_BUCKET,
    frame_rate: float = FRAME_RATE,
) -> Tensor:  # fmt: skip
    """The vector [1,3*size] that says frame rate, and how much head and face move: cosines then sines of each
    number."""
    return timestep_embedding(torch.tensor([frame_rate, motion_bucket, expression_bucket]), size).reshape(
        1, -1
    )
