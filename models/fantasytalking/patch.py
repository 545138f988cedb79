"""FantasyTalking on a core Wan2.1 MODEL: a clone with patches, audio in the conditioning, nothing left behind."""

from typing import Any

import comfy.conds
from comfy.ldm.wan.model import WanI2VCrossAttention
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .attention import OPTION, AudioContext, with_audio

KEY = "talking_portrait_fantasytalking"
CONDITION = "audio_embed"  # the name by which ComfyUI's context windows slice audio along with the video
NODE = "Apply FantasyTalking"


def patched(model: Any, adapter: Any, scale: float, masked: bool) -> Any:
    """A clone of a MODEL that hears `audio_embed`; `adapter` is the patcher of a FantasyTalking network.

    ValueError if the model is no Wan2.1 image-to-video model, has another size, or its cross-attention is patched already.
    """
    diffusion = model.model.diffusion_model
    blocks = getattr(diffusion, "blocks", None)
    if blocks is None or not all(isinstance(getattr(block, "cross_attn", None), WanI2VCrossAttention) for block in blocks):
        raise ValueError(
            f"{NODE}: model is not Wan2.1 image-to-video (its blocks have no image cross-attention). Load Wan2.1-I2V-14B."
        )
    network = adapter.model
    size, width = len(network.blocks), network.blocks[0].k_proj.weight.shape[0]
    if (len(blocks), diffusion.dim) != (size, width):
        raise ValueError(
            f"{NODE}: model has {len(blocks)} blocks of width {diffusion.dim}, but the FantasyTalking file is for {size} of "
            f"{width}. The published one fits Wan2.1-I2V-14B."
        )
    clone = model.clone()
    for number, block in enumerate(blocks):
        name = f"diffusion_model.blocks.{number}.cross_attn.forward"
        if name in clone.object_patches:
            raise ValueError(f"{NODE}: another node has replaced the cross-attention of this model already. Take one of them out.")
        clone.add_object_patch(name, with_audio(block.cross_attn, number))
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, AudioCarrier(adapter, scale, masked))
    clone.set_additional_models(KEY, [adapter])
    return clone


class AudioCarrier:
    """Takes the audio out of a call of the diffusion model and hands it to the blocks by a copy of the transformer's options."""

    def __init__(self, adapter: Any, scale: float, masked: bool):
        self.adapter, self.scale, self.masked = adapter, scale, masked

    def __call__(self, executor, *arguments, **named):
        tokens = named.pop(CONDITION, None)
        if tokens is None or self.scale == 0:
            return executor(*arguments, **named)
        context = AudioContext(tokens, self.adapter.model.blocks, self.scale, self.masked)
        position = next((i for i, value in enumerate(arguments) if isinstance(value, dict)), None)
        if position is None:
            named["transformer_options"] = {**named.get("transformer_options", {}), OPTION: context}
            return executor(*arguments, **named)
        arguments = list(arguments)
        arguments[position] = {**arguments[position], OPTION: context}
        return executor(*arguments, **named)


def with_audio_condition(conditioning: list, tokens: Tensor) -> list:
    """A CONDITIONING whose every entry carries audio tokens [1,F,W,C]."""
    carried = {CONDITION: comfy.conds.CONDRegular(tokens)}
    return [[text, {**extra, "model_conds": {**extra.get("model_conds", {}), **carried}}] for text, extra in conditioning]


def without_audio(conds: list[dict]) -> list[dict]:
    """A sampler's prepared conditions without audio."""
    return [
        {**cond, "model_conds": {key: value for key, value in cond["model_conds"].items() if key != CONDITION}} for cond in conds
    ]
