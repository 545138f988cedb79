"""Stable Video Diffusion's VAE as diffusers stores it -> the names that ComfyUI's modules have, for the
golden's small one."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ...models.actalker.checkpoint import RESIDUAL

VAE_NAMES = (
    (r"mid_block\.resnets\.0\.", "mid.block_1."), (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."),
    (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
    (r"mid_block\.attentions\.0\.to_out\.0\.", "mid.attn_1.proj_out."), (r"conv_norm_out\.", "norm_out."),
    (r"down_blocks\.(\d)\.resnets\.(\d)\.", r"down.\1.block.\2."),
    (r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"spatial_res_block\.", ""), (r"conv_shortcut\.", "nin_shortcut."), (r"time_mixer\.", ""),
    (r"time_conv_out\.", "conv_out.time_mix_conv."),
)  # fmt: skip
VAE_UP = re.compile(r"up_blocks\.(\d)\.(resnets\.(\d)|upsamplers\.0)\.")
VAE_LEVELS = 4


def vae_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """SVD's VAE with a temporal decoder as diffusers stores it -> ComfyUI's names.

    ComfyUI's has no convolution after the encoder, so that one (1x1) is multiplied into the encoder's last,
    which is exact.
    """
    state = {}
    for key, value in content.items():
        if not key.startswith("quant_conv."):
            name = vae_key(key)
            state[name] = value[:, :, None, None] if "mid.attn_1." in name and value.ndim == 2 else value
    if "quant_conv.weight" in content:
        mix = content["quant_conv.weight"][:, :, 0, 0].double()
        weight, bias = (state[f"encoder.conv_out.{part}"] for part in ("weight", "bias"))
        state["encoder.conv_out.weight"] = torch.einsum("oi,ixyz->oxyz", mix, weight.double()).to(
            weight.dtype
        )
        state["encoder.conv_out.bias"] = (mix @ bias.double() + content["quant_conv.bias"].double()).to(
            bias.dtype
        )
    return state


def vae_key(key: str) -> str:
    """One name of diffusers' temporal VAE -> ComfyUI's."""
    if found := VAE_UP.search(key):
        level = VAE_LEVELS - 1 - int(found[1])
        part = f"up.{level}.upsample." if found[3] is None else f"up.{level}.block.{found[3]}."
        key = VAE_UP.sub(part, key)
    key = re.sub(r"temporal_res_block\.(\w+)\.", lambda m: f"time_stack.{RESIDUAL[m[1]]}.", key)
    for pattern, name in VAE_NAMES:
        key = re.sub(pattern, name, key)
    return key
