"""FantasyTalking on a core Wan2.1 MODEL: a clone with patches, audio in the conditioning, nothing left behind."""

from typing import Any

import comfy.conds
import torch
from comfy.ldm.wan.model import WanI2VCrossAttention
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .attention import MARK, OPTION, AudioContext, with_audio

KEY = "talking_portrait_fantasytalking"
CONDITION = "audio_embed"  # the name by which ComfyUI's context windows slice audio along with the video
FACE, FACE_SCALE = "talking_portrait_face", "talking_portrait_face_scale"
MOST_WINDOWS = 8  # whose keys and values are kept at once; about 300 MB each at 81 frames in half precision
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
    carrier = AudioCarrier(adapter, scale, masked)
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, carrier)
    clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, carrier.while_sampling)
    clone.set_additional_models(KEY, [adapter])
    return clone


class AudioCarrier:
    """Takes audio and face out of a call of the diffusion model and hands them to the blocks by a copy of the transformer's
    options. Keys and values of audio are kept from step to step, and let go at the end of sampling."""

    def __init__(self, adapter: Any, scale: float, masked: bool):
        self.adapter, self.scale, self.masked = adapter, scale, masked
        self.kept: list[tuple[Tensor, dict]] = []

    def while_sampling(self, executor, *arguments, **named):
        """Around one sampling: nothing of it stays."""
        try:
            return executor(*arguments, **named)
        finally:
            self.kept.clear()

    def __call__(self, executor, *arguments, **named):
        tokens, face = named.pop(CONDITION, None), named.pop(FACE, None)
        strength = named.pop(FACE_SCALE, None)
        tokens = tokens if self.scale != 0 else None
        model = executor.class_obj
        if tokens is not None or face is not None:
            check_still_patched(model)
        seen = None if face is None else (model.img_emb(face), float(strength.flatten()[0]))
        keys = {} if tokens is None else self.keys_of(tokens)
        leading = int(getattr(model, "ref_conv", None) is not None and named.get("reference_latent") is not None)
        context = AudioContext(tokens, self.adapter.model.blocks, self.scale, self.masked, keys, seen, leading, model)
        position = next((i for i, value in enumerate(arguments) if isinstance(value, dict)), None)
        if position is None:
            named["transformer_options"] = {**named.get("transformer_options", {}), OPTION: context}
            return executor(*arguments, **named)
        arguments = list(arguments)
        arguments[position] = {**arguments[position], OPTION: context}
        return executor(*arguments, **named)

    def keys_of(self, tokens: Tensor) -> dict:
        """Where keys and values of these very tokens are kept; each context window has its own."""
        for known, keys in self.kept:
            if known.shape == tokens.shape and known.device == tokens.device and torch.equal(known, tokens):
                return keys
        keys: dict = {}
        self.kept = [*self.kept[-MOST_WINDOWS + 1 :], (tokens, keys)]
        return keys


def check_still_patched(model: Any) -> None:
    """ValueError if another node has put its own cross-attention over this pack's: the video would silently hear nothing."""
    for number, block in enumerate(model.blocks):
        if getattr(block.cross_attn.forward, MARK, None) != number:
            raise ValueError(
                f"{NODE}: a node after it has replaced the cross-attention of block {number}, so the video would not hear the "
                "audio. Take that node out."
            )


def with_audio_condition(conditioning: list, tokens: Tensor) -> list:
    """A CONDITIONING whose every entry carries audio tokens [1,F,W,C]."""
    carried = {CONDITION: comfy.conds.CONDRegular(tokens)}
    return [[text, {**extra, "model_conds": {**extra.get("model_conds", {}), **carried}}] for text, extra in conditioning]


def with_face_condition(conditioning: list, seen: Tensor, strength: float) -> list:
    """A CONDITIONING whose every entry carries a face crop's CLIP vision tokens [1,257,1280] and how strongly they count."""
    carried = {FACE: comfy.conds.CONDRegular(seen), FACE_SCALE: comfy.conds.CONDRegular(torch.full((1, 1), strength))}
    return [[text, {**extra, "model_conds": {**extra.get("model_conds", {}), **carried}}] for text, extra in conditioning]


def without_audio(conds: list[dict]) -> list[dict]:
    """A sampler's prepared conditions without audio."""
    return [
        {**cond, "model_conds": {key: value for key, value in cond["model_conds"].items() if key != CONDITION}} for cond in conds
    ]
