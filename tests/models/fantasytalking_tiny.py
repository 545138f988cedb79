"""What FantasyTalking's tests share: conditions for the tiny Wan of the golden data, and a run of core's
sampler with them."""

from pathlib import Path

import comfy.samplers
import torch
from comfy.conds import CONDRegular
from talking_portrait.models.fantasytalking.guidance import sigmas
from talking_portrait.models.fantasytalking.patch import with_audio_condition

GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens" / "fantasytalking"


def conditions(case, tiny, heard: bool, context: str = "context") -> list:
    """A CONDITIONING of the golden's text and picture, with or without its audio."""
    values = {
        "c_concat": case.inputs["y"],
        "c_crossattn": case.inputs[context],
        "clip_fea": case.inputs["clip"],
    }
    base = [
        [case.inputs[context], {"model_conds": {key: CONDRegular(value) for key, value in values.items()}}]
    ]
    return with_audio_condition(base, tiny.tokens) if heard else base


def sampled(case, tiny, model, positive, negative, cfg=5.0) -> torch.Tensor:
    """Four steps of core's euler with plain guidance."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    return run(case, tiny, guider)


def run(case, tiny, guider, noise: torch.Tensor | None = None) -> torch.Tensor:
    """Four steps of core's euler with any guider."""
    noise = case.inputs["noise"] if noise is None else noise
    result = guider.sample(
        noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas(4), disable_pbar=True
    )
    return tiny.patcher.model.process_latent_in(result)
