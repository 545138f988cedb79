"""The published files' names of tensors -> the names that ComfyUI's modules have."""

import re
from collections.abc import Mapping

from torch import Tensor

TOP = {
    "conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
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
    name, _, leaf = key.rpartition(".")
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
    place = (
        f"input_blocks.{1 + PER_LEVEL * level + i}"
        if way == "down"
        else f"output_blocks.{PER_LEVEL * level + i}"
    )
    return f"{place}.{1 if kind == 'attentions' else 0}.{inner_key(rest)}"


def inner_key(key: str) -> str:
    """The part of a name inside a residual block or a transformer."""
    if found := RESIDUAL_PART.fullmatch(key):
        part = "time_stack." if found[1] == "temporal" else ""
        return f"{part}{RESIDUAL[found[2]]}.{found[3]}"
    key = key.replace("temporal_transformer_blocks.", "time_stack.")
    return key.replace("time_pos_embed.linear_1.", "time_pos_embed.0.").replace(
        "time_pos_embed.linear_2.", "time_pos_embed.2."
    )
