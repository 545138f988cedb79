"""Guidance of prompt and audio apart (FantasyTalking, section 3.2), and its sigmas."""

from collections.abc import Callable
from typing import Any

import comfy.samplers
import torch
from torch import Tensor

from .patch import without_audio

SHIFT = 5.0
Scale = float | Callable[[float], float]  # a number, or a function of the sampling's progress from 0 to 1


def sigmas(steps: int, shift: float = SHIFT) -> Tensor:
    """[steps+1]: shift u / (1 + (shift - 1) u) for u from 1 towards 0 in equal steps, then 0."""
    u = torch.linspace(1, 0, steps + 1)[:-1]
    return torch.cat([shift * u / (1 + (shift - 1) * u), torch.zeros(1)])


def audio_guidance(audio_scale: Scale) -> Callable[[dict[str, Any]], list]:
    """A pre-CFG function for core's samplers: v = v_neg + p (v_pos - v_neg) + a (v_pos+audio - v_pos), p being their cfg.

    The positive condition carries audio; its pass without audio is made here. The negative one must carry none.
    """

    def guide(arguments: dict[str, Any]) -> list:
        outputs, conds, prompt_scale = arguments["conds_out"], arguments["conds"], arguments["cond_scale"]
        positive = conds[0]
        silent = without_audio(positive)
        if all(len(a["model_conds"]) == len(b["model_conds"]) for a, b in zip(positive, silent, strict=True)):
            return outputs
        options = arguments["model_options"]
        scale = audio_scale if isinstance(audio_scale, (int, float)) else audio_scale(progress(arguments))
        where = (arguments["input"], arguments["timestep"], options)
        (unheard,) = comfy.samplers.calc_cond_batch(arguments["model"], [silent], *where)
        if prompt_scale == 0:  # the positive result counts for nothing, so audio goes where core takes the negative one
            return [outputs[0], outputs[1] + scale * (outputs[0] - unheard), *outputs[2:]]
        return [unheard + scale / prompt_scale * (outputs[0] - unheard), *outputs[1:]]

    return guide


def progress(arguments: dict[str, Any]) -> float:
    """How far the sampling is, 0 at its first step and 1 at its last."""
    every = arguments["model_options"].get("transformer_options", {}).get("sample_sigmas")
    if every is None or len(every) < 3:
        return 0.0
    step = int((every[:-1] - arguments["sigma"].flatten()[0].to(every)).abs().argmin())
    return step / (len(every) - 2)
