"""Four-branch guidance in ComfyUI's samplers: nothing; picture and identity; with sound; with motion."""

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.conds
import comfy.samplers
import torch
from torch import Tensor

from .core_model import POSE, UNCONDITIONAL
from .sampling import GUIDANCE, Branch, branch_weights

Conds = list[dict[str, Any]]


def guided_denoised(
    model: Any,
    positive: Conds,
    x: Tensor,
    sigma: Tensor,
    options: dict[str, Any],
    guidance: Sequence[float] = GUIDANCE,
) -> Tensor:
    """The guided prediction of the clean latents [T,4,h,w].

    The factors add up to 1, so denoised latents and v combine alike. All branches that differ go to core
    together, which batches them as memory allows. ValueError if the conditioning is not ACTalker's.
    """
    if not positive or any(POSE not in cond for cond in positive):
        raise ValueError("ACTalker Guidance: positive was not made by ACTalker Conditioning.")
    streams = positive[0]["model_conds"]
    weights = branch_weights(guidance, "audio" in streams, "motion" in streams)
    branches = [[branch_cond(cond, branch) for cond in positive] for branch in weights]
    predictions = comfy.samplers.calc_cond_batch(model, branches, x, sigma, options)
    total = torch.zeros_like(x)
    for weight, prediction in zip(weights.values(), predictions, strict=True):
        total += weight * prediction
    return total


def branch_cond(cond: Mapping[str, Any], branch: Branch) -> dict[str, Any]:
    """A positive condition as one branch sees it."""
    seen = dict(cond["model_conds"])
    if not branch[0]:
        for name in ("c_crossattn", "c_concat"):
            seen[name] = seen[name]._copy_with(torch.zeros_like(seen[name].cond))
    for name, on in (("audio", branch[1]), ("motion", branch[2])):
        if name in seen and not on:
            seen[name] = comfy.conds.CONDRegular(cond[UNCONDITIONAL][name])
    return {**cond, "model_conds": seen}


def with_guidance(model, guidance: Sequence[float]):
    """A clone of a MODEL that is guided so in every sampler, whatever its cfg."""

    def predict(args: Mapping[str, Any]) -> list[Tensor]:
        out = guided_denoised(
            args["model"], args["conds"][0], args["input"], args["sigma"], args["model_options"], guidance
        )
        return [out, out]

    clone = model.clone()
    clone.model_options["sampler_calc_cond_batch_function"] = predict
    return clone


class ACTalkerGuider(comfy.samplers.CFGGuider):
    """The same guidance as a GUIDER, for SamplerCustomAdvanced."""

    def __init__(self, model, positive, guidance: Sequence[float]):
        super().__init__(model)
        self.guidance = tuple(guidance)
        self.inner_set_conds({"positive": positive})

    def predict_noise(self, x, timestep, model_options=None, seed=None):
        return guided_denoised(
            self.inner_model, self.conds["positive"], x, timestep, model_options or {}, self.guidance
        )
