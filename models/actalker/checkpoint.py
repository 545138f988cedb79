"""The published files' names of tensors -> the names that ComfyUI's modules have."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

TOP = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2", "conv_norm_out": "out.0",
    "conv_out": "out.2",
}  # fmt: skip
RESIDUAL = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
BLOCK = re.compile(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)")
MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)")
RESIDUAL_PART = re.compile(r"(spatial|temporal)_res_block\.(\w+)\.(\w+)")
PER_LEVEL = 3  # blocks of ComfyUI's numbering in a level, going down or up
WRAPPERS = ("module.", "unet.")


def unet_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published UNet's tensors under ComfyUI's names. KeyError for a name that no UNet of this kind has."""
    prefix = next((p for p in WRAPPERS if all(key.startswith(p) for key in content)), "")
    return {unet_key(key.removeprefix(prefix)): value for key, value in content.items()}


def unet_key(key: str) -> str:
    """One name of the published UNet -> ComfyUI's."""
    name, leaf = key.rsplit(".", 1)
    if name in TOP:
        return f"{TOP[name]}.{leaf}"
    if found := MIDDLE.fullmatch(key):
        place = 1 if found[1] == "attentions" else 2 * int(found[2])
        return f"middle_block.{place}.{inner_key(found[3])}"
    found = BLOCK.fullmatch(key)
    if found is None:
        raise KeyError(f"{key} is no tensor of ACTalker's UNet")
    way, level, kind, i, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    if kind == "downsamplers":
        return f"input_blocks.{PER_LEVEL * level + 3}.0.op.{rest.removeprefix('conv.')}"
    if kind == "upsamplers":
        return f"output_blocks.{PER_LEVEL * level + 2}.{1 if level == 0 else 2}.{rest}"
    place = f"input_blocks.{1 + PER_LEVEL * level + i}" if way == "down" else f"output_blocks.{PER_LEVEL * level + i}"
    return f"{place}.{1 if kind == 'attentions' else 0}.{inner_key(rest)}"


def inner_key(key: str) -> str:
    """The part of a name inside a residual block or a transformer."""
    if found := RESIDUAL_PART.fullmatch(key):
        part = "time_stack." if found[1] == "temporal" else ""
        return f"{part}{RESIDUAL[found[2]]}.{found[3]}"
    key = key.replace("temporal_transformer_blocks.", "time_stack.")
    return key.replace("time_pos_embed.linear_1.", "time_pos_embed.0.").replace("time_pos_embed.linear_2.", "time_pos_embed.2.")


def adapter_places() -> list[str]:
    """The 32 cross-attentions in the order in which adapter_module numbers them: down, up, then the middle."""
    transformers = [f"down_blocks.{level}.attentions.{i}" for level in range(3) for i in range(2)]
    transformers += [f"up_blocks.{level}.attentions.{i}" for level in range(1, 4) for i in range(3)]
    transformers.append("mid_block.attentions.0")
    blocks = ("transformer_blocks", "temporal_transformer_blocks")
    return [f"{transformer}.{block}.0.attn2" for transformer in transformers for block in blocks]


def adapter_state(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """adapter_module's tensors under ComfyUI's names; the UNet's file holds them too, and wins where both are there."""
    places = adapter_places()
    state = {}
    for key, value in content.items():
        index, rest = key.split(".", 1)
        state[unet_key(f"{places[int(index)]}.processor.{rest}")] = value
    return state


VAE_NAMES = (
    (r"mid_block\.resnets\.0\.", "mid.block_1."), (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"mid_block\.attentions\.0\.group_norm\.", "mid.attn_1.norm."), (r"mid_block\.attentions\.0\.to_([qkv])\.", r"mid.attn_1.\1."),
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

    ComfyUI's has no convolution after the encoder, so that one (1x1) is multiplied into the encoder's last, which is exact.
    """
    state = {}
    for key, value in content.items():
        if not key.startswith("quant_conv."):
            name = vae_key(key)
            state[name] = value[:, :, None, None] if "mid.attn_1." in name and value.ndim == 2 else value
    if "quant_conv.weight" in content:
        mix = content["quant_conv.weight"][:, :, 0, 0].double()
        weight, bias = (state[f"encoder.conv_out.{part}"] for part in ("weight", "bias"))
        state["encoder.conv_out.weight"] = torch.einsum("oi,ixyz->oxyz", mix, weight.double()).to(weight.dtype)
        state["encoder.conv_out.bias"] = (mix @ bias.double() + content["quant_conv.bias"].double()).to(bias.dtype)
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
