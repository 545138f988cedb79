"""FantasyTalking on a core Wan2.1 MODEL: a clone with patches, audio in the conditioning, nothing left behind."""

import uuid
from typing import Any

import comfy.conds
import torch
from comfy.ldm.wan.model import WanI2VCrossAttention
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .attention import with_audio
from .carrier import CONDITION, FACE, FACE_SCALE, NODE, AudioCarrier, Identity, name_of

CLIP_TOKENS = (257, 1280)
KEY, INTENSITY_KEY = "talking_portrait_fantasytalking", "talking_portrait_intensity"


def patched(model: Any, adapter: Any, scale: float, masked: bool, region: Tensor | None = None) -> Any:
    """A clone of a MODEL that hears `audio_embed`; `adapter` is the patcher of a FantasyTalking network,
    `region` a mask [H,W] of the picture where it hears, None everywhere.

    ValueError if the model is no Wan2.1 image-to-video model, has another size, or its cross-attention is
    patched already.
    """
    diffusion = model.model.diffusion_model
    blocks = getattr(diffusion, "blocks", None)
    if blocks is None or not all(
        isinstance(getattr(block, "cross_attn", None), WanI2VCrossAttention) for block in blocks
    ):
        raise ValueError(
            "model is not Wan2.1 image-to-video (its blocks have no image cross-attention). Load Wan2.1-I2V-14B."
        )
    network = adapter.model
    size, width = len(network.blocks), network.blocks[0].k_proj.weight.shape[0]
    if (len(blocks), diffusion.dim) != (size, width):
        raise ValueError(
            f"model has {len(blocks)} blocks of width {diffusion.dim}, but the FantasyTalking file is for "
            f"{size} of {width}. The published one fits Wan2.1-I2V-14B."
        )
    clone = model.clone()
    for number, block in enumerate(blocks):
        check_unpatched(clone, number)
        clone.add_object_patch(
            f"diffusion_model.blocks.{number}.cross_attn.forward", with_audio(block.cross_attn, number)
        )
    carry(clone, AudioCarrier(adapter, scale, masked, region))
    return clone


def check_unpatched(model: Any, number: int) -> None:
    """ValueError, with the name of what it is, if a MODEL's block is to get another cross-attention already."""
    block = f"diffusion_model.blocks.{number}"
    for name in (block, f"{block}.cross_attn", f"{block}.cross_attn.forward"):
        if name in model.object_patches:
            raise ValueError(
                "another node has replaced the cross-attention of this model already: "
                f"{name_of(model.object_patches[name])}. Take one of them out."
            )


def carry(model: Any, carrier: AudioCarrier) -> None:
    """Put a carrier around a MODEL's sampling, in place of one that is there."""
    functions = {
        WrappersMP.DIFFUSION_MODEL: carrier, WrappersMP.PREPARE_SAMPLING: carrier.before_loading,
        WrappersMP.OUTER_SAMPLE: carrier.while_sampling,
    }  # fmt: skip
    for place, function in functions.items():
        model.remove_wrappers_with_key(place, KEY)
        model.add_wrapper_with_key(place, KEY, function)


def with_identity(model: Any, identity: Identity) -> Any:
    """A clone of a patched MODEL whose blocks also see an identity; ValueError if it is not patched, or of
    another size."""
    carriers = model.get_wrappers(WrappersMP.DIFFUSION_MODEL, KEY)
    if not carriers:
        raise ValueError(f"model does not come from {NODE}. Connect it after that node.")
    diffusion = model.model.diffusion_model
    blocks = identity.branch.model.blocks
    size = len(blocks), blocks[0].k_proj.weight.shape[0]
    if size != (len(diffusion.blocks), diffusion.dim):
        raise ValueError(
            f"model has {len(diffusion.blocks)} blocks of width {diffusion.dim}, but the file's identity "
            f"branch is for {size[0]} of {size[1]}."
        )
    if identity.scale == 0:
        return model
    old = carriers[0]
    clone = model.clone()
    carry(clone, AudioCarrier(old.adapter, old.scale, old.masked, old.region, identity))
    return clone


def with_intensity(model: Any, change: Tensor) -> Any:
    """A clone of a Wan MODEL to whose time embedding `change` [1,C] is added (section 3.4); zeros give the
    model itself.

    ValueError if the embedding has another width or is changed by this already.
    """
    embedding = getattr(model.model.diffusion_model, "time_embedding", None)
    width = getattr(model.model.diffusion_model, "dim", None)
    if embedding is None or change.shape[-1] != width:
        raise ValueError(f"the file is for a width of {change.shape[-1]}, but model has {width}.")
    if not change.any():
        return model
    if model.get_wrappers(WrappersMP.DIFFUSION_MODEL, INTENSITY_KEY):
        raise ValueError(
            "another such node changes this model's time embedding already. Take one of them out."
        )

    def moved(executor, *arguments, **named):
        # A hook on the model that runs, for this call alone: each GPU has a model of its own.
        hook = executor.class_obj.time_embedding.register_forward_hook(
            lambda module, given, out: out + change.to(out)
        )
        try:
            return executor(*arguments, **named)
        finally:
            hook.remove()

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, INTENSITY_KEY, moved)
    return clone


def with_audio_condition(conditioning: list, tokens: Tensor) -> list:
    """A CONDITIONING whose every entry carries audio tokens [1,F,W,C]; ValueError if one carries some already."""
    if any(CONDITION in extra.get("model_conds", {}) for _, extra in conditioning):
        raise ValueError(
            "positive carries audio already. Take one of the two FantasyTalking Audio nodes out."
        )
    carried = {CONDITION: comfy.conds.CONDRegular(tokens)}
    return [
        [text, {**extra, "model_conds": {**extra.get("model_conds", {}), **carried}}]
        for text, extra in conditioning
    ]


def with_face_condition(conditioning: list, seen: Tensor, strength: float) -> list:
    """A CONDITIONING whose every entry carries a face crop's CLIP vision tokens [1,257,1280] and how strongly
    they count.

    ValueError if the tokens are of several pictures, or of a CLIP that Wan was not trained with.
    """
    if seen.ndim != 3 or seen.shape[0] != 1:
        raise ValueError(f"face is of {len(seen)} pictures; it takes one.")
    if tuple(seen.shape[1:]) != CLIP_TOKENS:
        raise ValueError(
            f"face has {seen.shape[1]} tokens of width {seen.shape[2]}, but Wan2.1 looks at 257 of 1280. "
            "Load clip_vision_h in Load CLIP Vision."
        )
    carried = {
        FACE: comfy.conds.CONDRegular(seen),
        FACE_SCALE: comfy.conds.CONDRegular(torch.full((1, 1), strength)),
    }
    return [
        [text, {**extra, "model_conds": {**extra.get("model_conds", {}), **carried}}]
        for text, extra in conditioning
    ]


def without_audio(conds: list[dict]) -> list[dict]:
    """A sampler's prepared conditions without audio, under names of their own that stay the same from step to
    step: caches such as EasyCache tell conditions apart by these."""
    return [
        {
            **cond, "uuid": uuid.uuid5(cond["uuid"], "without audio"),
            "model_conds": {key: value for key, value in cond["model_conds"].items() if key != CONDITION},
        }
        for cond in conds
    ]  # fmt: skip
