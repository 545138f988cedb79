"""FantasyTalking on a core Wan2.1 MODEL: a clone with patches, audio in the conditioning, nothing left behind."""

from dataclasses import dataclass
from typing import Any

import comfy.conds
import torch
from comfy.ldm.wan.model import WanI2VCrossAttention
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .attention import MARK, OPTION, AudioContext, IdentityContext, with_audio

KEY = "talking_portrait_fantasytalking"
CONDITION = "audio_embed"  # the name by which ComfyUI's context windows slice audio along with the video
FACE, FACE_SCALE = "talking_portrait_face", "talking_portrait_face_scale"
MOST_WINDOWS = 8  # whose keys and values are kept at once; about 300 MB each at 81 frames in half precision
NODE, IDENTITY_NODE, INTENSITY_NODE = "Apply FantasyTalking", "FantasyTalking Identity", "FantasyTalking Intensity"


def patched(model: Any, adapter: Any, scale: float, masked: bool, region: Tensor | None = None) -> Any:
    """A clone of a MODEL that hears `audio_embed`; `adapter` is the patcher of a FantasyTalking network, `region` a mask [H,W]
    of the picture where it hears, None everywhere.

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
    carrier = AudioCarrier(adapter, scale, masked, region)
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, carrier)
    clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, carrier.while_sampling)
    clone.set_additional_models(KEY, [adapter])
    return clone


@dataclass(frozen=True)
class Identity:
    """Who speaks: tokens [1,Q,C] of the identity branch, the patcher of the branch, and how strongly they count."""

    tokens: Tensor
    branch: Any
    scale: float


def with_identity(model: Any, identity: Identity) -> Any:
    """A clone of a patched MODEL whose blocks also see an identity; ValueError if it is not patched, or of another size."""
    carriers = model.get_wrappers(WrappersMP.DIFFUSION_MODEL, KEY)
    if not carriers:
        raise ValueError(f"{IDENTITY_NODE}: model does not come from {NODE}. Connect it after that node.")
    diffusion = model.model.diffusion_model
    blocks = identity.branch.model.blocks
    size = len(blocks), blocks[0].k_proj.weight.shape[0]
    if size != (len(diffusion.blocks), diffusion.dim):
        raise ValueError(
            f"{IDENTITY_NODE}: model has {len(diffusion.blocks)} blocks of width {diffusion.dim}, but the file's identity branch "
            f"is for {size[0]} of {size[1]}."
        )
    if identity.scale == 0:
        return model
    old = carriers[0]
    carrier = AudioCarrier(old.adapter, old.scale, old.masked, old.region, identity)
    clone = model.clone()
    for wrapper, function in ((WrappersMP.DIFFUSION_MODEL, carrier), (WrappersMP.OUTER_SAMPLE, carrier.while_sampling)):
        clone.remove_wrappers_with_key(wrapper, KEY)
        clone.add_wrapper_with_key(wrapper, KEY, function)
    clone.set_additional_models(f"{KEY}_identity", [identity.branch])
    return clone


def with_intensity(model: Any, change: Tensor) -> Any:
    """A clone of a Wan MODEL to whose time embedding `change` [1,C] is added (section 3.4); zeros give the model itself.

    ValueError if the embedding has another width or is patched already.
    """
    embedding = getattr(model.model.diffusion_model, "time_embedding", None)
    width = getattr(model.model.diffusion_model, "dim", None)
    if embedding is None or change.shape[-1] != width:
        raise ValueError(f"{INTENSITY_NODE}: the file is for a width of {change.shape[-1]}, but model has {width}.")
    if not change.any():
        return model
    name = "diffusion_model.time_embedding.forward"
    if name in model.object_patches:
        raise ValueError(f"{INTENSITY_NODE}: another node changes this model's time embedding already. Take one of them out.")
    original = embedding.forward

    def forward(waves: Tensor) -> Tensor:
        embedded = original(waves)
        return embedded + change.to(embedded)

    clone = model.clone()
    clone.add_object_patch(name, forward)
    return clone


class AudioCarrier:
    """Takes audio and face out of a call of the diffusion model and hands them to the blocks by a copy of the transformer's
    options. Keys and values of audio are kept from step to step, and let go at the end of sampling."""

    def __init__(
        self, adapter: Any, scale: float, masked: bool, region: Tensor | None = None, identity: "Identity | None" = None
    ):  # fmt: skip
        self.adapter, self.scale, self.masked, self.region, self.identity = adapter, scale, masked, region, identity
        self.kept: list[tuple[Tensor, dict]] = []
        self.identity_keys: dict = {}

    def while_sampling(self, executor, *arguments, **named):
        """Around one sampling: nothing of it stays."""
        try:
            return executor(*arguments, **named)
        finally:
            self.kept.clear()
            self.identity_keys.clear()

    def __call__(self, executor, *arguments, **named):
        tokens, face = named.pop(CONDITION, None), named.pop(FACE, None)
        strength = named.pop(FACE_SCALE, None)
        tokens = tokens if self.scale != 0 else None
        model = executor.class_obj
        if tokens is not None or face is not None or self.identity is not None:
            check_still_patched(model)
        seen = None if face is None else (model.img_emb(face), float(strength.flatten()[0]))
        keys = {} if tokens is None else self.keys_of(tokens)
        leading = int(getattr(model, "ref_conv", None) is not None and named.get("reference_latent") is not None)
        context = AudioContext(
            tokens, self.adapter.model.blocks, self.scale, self.masked, keys, seen, self.identity_context(arguments), self.region,
            leading, model,
        )  # fmt: skip
        position = next((i for i, value in enumerate(arguments) if isinstance(value, dict)), None)
        if position is None:
            named["transformer_options"] = {**named.get("transformer_options", {}), OPTION: context}
            return executor(*arguments, **named)
        arguments = list(arguments)
        arguments[position] = {**arguments[position], OPTION: context}
        return executor(*arguments, **named)

    def identity_context(self, arguments: tuple) -> IdentityContext | None:
        """The identity on the device of a call, whose first argument is the noisy video."""
        if self.identity is None:
            return None
        tokens = self.identity.tokens.to(arguments[0].device)
        return IdentityContext(tokens, self.identity.branch.model.blocks, self.identity.scale, self.identity_keys)

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
