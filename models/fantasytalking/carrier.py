"""What carries audio through one sampling by core's samplers: from the conditioning to the blocks of Wan."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from comfy.conds import CONDRegular
from torch import Tensor

from .attention import MARK, OPTION, AudioContext, IdentityContext
from .keys import KeptKeys, kept_keys, numbered, tables_of

CONDITION = "audio_embed"  # the name by which ComfyUI's context windows slice audio along with the video
FACE, FACE_SCALE = "talking_portrait_face", "talking_portrait_face_scale"
NODE = "Apply FantasyTalking"


@dataclass(frozen=True)
class Identity:
    """Who speaks: tokens [1,Q,C] of the identity branch, the patcher of the branch, and how strongly they count."""

    tokens: Tensor
    branch: Any
    scale: float


class AudioCarrier:
    """Takes audio and face out of a call of the diffusion model and hands them to the blocks by a copy of the
    transformer's options. While a sampler runs, the conditioning holds numbers of tokens, whose keys and
    values were computed before."""

    def __init__(
        self,
        adapter: Any,
        scale: float,
        masked: bool,
        region: Tensor | None = None,
        identity: Identity | None = None,
    ):
        self.adapter, self.scale, self.masked, self.region, self.identity = (
            adapter,
            scale,
            masked,
            region,
            identity,
        )
        self.keys: KeptKeys | None = None
        self.identity_keys: KeptKeys | None = None

    def while_sampling(self, executor, *arguments, **named):
        """Around one sampling (OUTER_SAMPLE): nothing of it stays."""
        try:
            return executor(*arguments, **named)
        finally:
            self.keys = self.identity_keys = None

    def before_loading(self, executor, model, noise_shape, conds: dict[str, list[dict]], *arguments, **named):
        """Around core's loading of the models of a sampling (PREPARE_SAMPLING): keys and values become one of them."""
        heard = [cond for cond in every(conds) if CONDITION in cond["model_conds"]] if self.scale != 0 else []
        self.check_heard(conds, heard)
        dtype, kept, numbers = model.model.get_dtype_inference(), [], {}
        if heard:
            tokens, places = numbered([cond["model_conds"][CONDITION].cond for cond in heard])
            kept.append(kept_keys(self.adapter, tokens, dtype))
            self.keys = kept[-1].model
            numbers = {id(cond): place for cond, place in zip(heard, places, strict=True)}
        if self.identity is not None:
            kept.append(kept_keys(self.identity.branch, self.identity.tokens.flatten(0, 1), dtype))
            self.identity_keys = kept[-1].model
        conds = {
            name: [prepared(cond, numbers.get(id(cond)), kept) for cond in group]
            for name, group in conds.items()
        }
        return executor(model, noise_shape, conds, *arguments, **named)

    def check_heard(self, conds: dict[str, list[dict]], heard: list[dict]) -> None:
        """ValueError if the patched model was given nothing to hear: the film would be made, and nobody would
        speak in it."""
        seen = self.identity is not None or any(FACE in cond["model_conds"] for cond in every(conds))
        if self.scale != 0 and not heard and not seen:
            raise ValueError(
                f"{NODE}: no conditioning of the sampler carries audio, so nobody would speak. Put "
                "FantasyTalking Audio between the positive prompt and the sampler, or set audio_scale to 0 "
                "to sample without audio."
            )

    def __call__(self, executor, *arguments, **named):
        """Around every call of the diffusion model (DIFFUSION_MODEL)."""
        audio, face, strength = (named.pop(name, None) for name in (CONDITION, FACE, FACE_SCALE))
        audio, model = audio if self.scale != 0 else None, executor.class_obj
        if audio is not None or face is not None or self.identity is not None:
            check_still_patched(model)
        numbers, keys = self.numbers_and_keys(audio, arguments[0])
        context = AudioContext(
            numbers, keys, self.scale, self.masked,
            face=None if face is None else (model.img_emb(face), float(strength.flatten()[0])),
            identity=self.identity_context(arguments[0]),
            region=self.region,
            leading=int(getattr(model, "ref_conv",
            None) is not None and named.get("reference_latent") is not None),
            model=model,
        )  # fmt: skip
        position = next((i for i, value in enumerate(arguments) if isinstance(value, dict)), None)
        if position is None:
            named["transformer_options"] = {**named.get("transformer_options", {}), OPTION: context}
            return executor(*arguments, **named)
        arguments = list(arguments)
        arguments[position] = {**arguments[position], OPTION: context}
        return executor(*arguments, **named)

    def numbers_and_keys(self, audio: Tensor | None, video: Tensor) -> tuple[Tensor | None, KeptKeys | None]:
        """What the condition holds: numbers of kept tokens, or, where no core sampler runs, tokens themselves."""
        if audio is None or not audio.is_floating_point():
            return audio, self.keys
        tokens, (numbers,) = numbered([audio])
        return numbers, made_now(self.adapter, tokens, video)

    def identity_context(self, video: Tensor) -> IdentityContext | None:
        """The identity's keys and values for a call with this noisy video."""
        if self.identity is None:
            return None
        tokens = self.identity.tokens.flatten(0, 1)
        keys = self.identity_keys or made_now(self.identity.branch, tokens, video)
        numbers = torch.arange(1, 1 + len(tokens), device=video.device)[None]
        return IdentityContext(lambda block: keys(block, numbers), self.identity.scale)


def every(conds: dict[str, list[dict]]) -> Iterator[dict]:
    """All conditions of a sampler, positive and negative."""
    return (cond for group in conds.values() for cond in group)


def prepared(cond: dict, numbers: Tensor | None, kept: list) -> dict:
    """A sampler's condition with numbers of tokens in place of tokens, and kept keys among the models that it needs."""
    cond = {**cond, "additional_models": [*cond.get("additional_models", []), *kept]}
    if numbers is not None:
        cond["model_conds"] = {**cond["model_conds"], CONDITION: CONDRegular(numbers)}
    return cond


def made_now(adapter: Any, tokens: Tensor, video: Tensor) -> KeptKeys:
    """Keys and values for one call outside of core's samplers."""
    return KeptKeys(tables_of(adapter.model.blocks, tokens.to(video), video.device))


def check_still_patched(model: Any) -> None:
    """ValueError if another node has put its own cross-attention over this pack's: the video would silently
    hear nothing."""
    for number, block in enumerate(model.blocks):
        if getattr(block.cross_attn.forward, MARK, None) != number:
            raise ValueError(
                f"{NODE}: a node after it has replaced the cross-attention of block {number}, so the video "
                f"would not hear the audio: {name_of(block.cross_attn.forward)}. Take that node out."
            )


def name_of(function: Any) -> str:
    """A function by its file and name, so that an artist can tell which pack it comes from."""
    function = getattr(function, "__func__", getattr(function, "func", function))
    return (
        f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', type(function).__name__)}"
    )
