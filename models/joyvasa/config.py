"""Sizes of a JoyVASA network, read from its weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..speech.hubert import layer_total

HEADS = 8  # stored nowhere; the published network has 8


@dataclass(frozen=True)
class JoyVASAConfig:
    """motion: numbers per frame (73 as published). window, context: frames made at once, frames before them (100, 10).

    width, layers, hidden: of the denoising transformer (256, 8, 1024). speech: width of the audio encoder (768).
    steps: diffusion steps of the training.
    """

    motion: int
    context: int
    window: int
    width: int
    layers: int
    hidden: int
    speech: int
    steps: int

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> "JoyVASAConfig":
        """The sizes that these weights have; KeyError where a tensor is missing."""
        width, motion = state["denoising_net.feature_proj.weight"].shape
        context = state["start_motion_feat"].shape[1]
        layers = "denoising_net.transformer.layers."
        hidden = state[f"{layers}0.linear1.weight"].shape[0]
        return cls(
            motion=motion, context=context, window=state["denoising_net.alignment_mask"].shape[0] - context,
            width=width,
            layers=layer_total(state, layers), hidden=hidden,
            speech=state["audio_feature_map.weight"].shape[1],
            steps=len(state["diffusion_sched.betas"]) - 1,
        )  # fmt: skip
