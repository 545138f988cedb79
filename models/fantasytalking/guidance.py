"""Guidance of prompt and audio apart (FantasyTalking, section 3.2), and its sigmas."""

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from .carrier import CONDITION
from .patch import without_audio

SHIFT = 5.0
NODE = "FantasyTalking Guidance"
Scale = float | Callable[[float], float]  # a number, or a function of the sampling's progress from 0 to 1


def sigmas(steps: int, shift: float = SHIFT) -> Tensor:
    """[steps+1]: shift u / (1 + (shift - 1) u) for u from 1 towards 0 in equal steps, then 0."""
    u = torch.linspace(1, 0, steps + 1)[:-1]
    return torch.cat([shift * u / (1 + (shift - 1) * u), torch.zeros(1)])


def audio_guidance(audio_scale: Scale) -> Callable[[dict[str, Any]], list]:
    """A pre-CFG function for core's samplers: v = v_neg + p (v_pos - v_neg) + a (v_pos+audio - v_pos), p being their cfg.

    The positive condition carries audio; its pass without audio is made here. ValueError if the negative one carries some: the
    published guidance has none there (its plain guidance, without this function, has it in both).
    """

    def guide(arguments: dict[str, Any]) -> list:
        outputs, conds, prompt_scale = arguments["conds_out"], arguments["conds"], arguments["cond_scale"]
        positive, silent = conds[0], without_audio(conds[0])
        if any(carries_audio(other) for other in conds[1:]):
            raise ValueError(
                f"{NODE}: the negative conditioning carries audio, so the lips would be guided away from it. Connect the negative "
                "prompt without FantasyTalking Audio, or take this node out to guide by the prompt alone with audio in both."
            )
        if not carries_audio(positive):
            return outputs
        options = arguments["model_options"]
        scale = audio_scale if isinstance(audio_scale, (int, float)) else audio_scale(progress(arguments))
        where = (arguments["input"], arguments["timestep"], options)
        (unheard,) = comfy.samplers.calc_cond_batch(arguments["model"], [silent], *where)
        if prompt_scale == 0:  # the positive result counts for nothing, so audio goes where core takes the negative one
            return [outputs[0], outputs[1] + scale * (outputs[0] - unheard), *outputs[2:]]
        return [unheard + scale / prompt_scale * (outputs[0] - unheard), *outputs[1:]]

    return guide


def carries_audio(conds: list[dict] | None) -> bool:
    """Whether any of a sampler's prepared conditions holds audio."""
    return any(CONDITION in cond["model_conds"] for cond in conds or ())


def progress(arguments: dict[str, Any]) -> float:
    """How far the sampling is, 0 at its first step and 1 at its last."""
    every = arguments["model_options"].get("transformer_options", {}).get("sample_sigmas")
    if every is None or len(every) < 3:
        return 0.0
    step = int((every[:-1] - arguments["sigma"].flatten()[0].to(every)).abs().argmin())
    return step / (len(every) - 2)
