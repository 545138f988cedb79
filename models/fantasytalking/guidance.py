"""Guidance of prompt and audio apart (FantasyTalking, section 3.2), over all steps or a share of them, and
its sigmas."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .carrier import CONDITION
from .patch import KEY, without_audio

SHIFT = 5.0
NODE = "FantasyTalking Guidance"
MARK = "talking_portrait_audio_guidance"  # on a pre-CFG function: it is this one
ROUNDING = 1e-6  # of a step: 0.7 of 30 steps are 21
Scale = float | Callable[[float], float]  # a number, or a function of the guided steps from 0 to 1


def sigmas(steps: int, shift: float = SHIFT) -> Tensor:
    """[steps+1]: shift u / (1 + (shift - 1) u) for u from 1 towards 0 in equal steps, then 0."""
    u = torch.linspace(1, 0, steps + 1)[:-1]
    return torch.cat([shift * u / (1 + (shift - 1) * u), torch.zeros(1)])


@dataclass(frozen=True)
class Share:
    """The part of a sampling's steps in which audio guides: from `start` up to `end`, 0 to 1."""

    start: float = 0.0
    end: float = 1.0

    def progress(self, options: Mapping[str, Any], sigma: Tensor) -> float | None:
        """Where among the guided steps the step of this noise level is, 0 to 1; None outside of them.

        ValueError if none of the sampling's steps is among them.
        """
        step, steps = step_of(options, sigma)
        first, last = ceil(self.start * steps - ROUNDING), ceil(self.end * steps - ROUNDING) - 1
        if last < first:
            raise ValueError(
                f"{NODE}: between start_percent {self.start:g} and end_percent {self.end:g} lies none of the "
                f"{steps} steps. Move them apart."
            )
        return (step - first) / max(last - first, 1) if first <= step <= last else None


def step_of(options: Mapping[str, Any], sigma: Tensor) -> tuple[int, int]:
    """The number of the sampling's step at a noise level, and of how many; (0, 1) where the sampler does not say."""
    every = options.get("transformer_options", {}).get("sample_sigmas")
    if every is None or len(every) < 2:
        return 0, 1
    return int((every[:-1] - sigma.flatten()[0].to(every)).abs().argmin()), len(every) - 1


def with_audio_guidance(model: Any, scale: Scale, share: Share = Share()) -> Any:
    """A clone of a MODEL that is guided by audio in a share of the steps; in the others it hears nothing and
    saves that pass.

    ValueError if audio could do nothing: the model does not hear, or the share holds no step.
    """
    carriers = model.get_wrappers(WrappersMP.DIFFUSION_MODEL, KEY)
    if not carriers:
        raise ValueError(
            "model does not come from Apply FantasyTalking, so it hears nothing. Connect it after that node."
        )
    if any(
        getattr(function, MARK, False) for function in model.model_options.get("sampler_pre_cfg_function", ())
    ):
        raise ValueError("another such node guides this model by audio already. Take one of them out.")
    if share.start >= share.end:
        raise ValueError(
            f"start_percent is {share.start:g} and end_percent {share.end:g}; the start must come before the end."
        )
    clone = model.clone()
    clone.set_model_sampler_pre_cfg_function(audio_guidance(scale, share))
    if share != Share():
        clone.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, KEY, silent_outside(share))
    return clone


def silent_outside(share: Share) -> Callable[..., Any]:
    """Around every evaluation of conditions: outside of the share none of them carries audio."""

    def evaluate(executor, model, conds, x, timestep, model_options):
        if share.progress(model_options, timestep) is None:
            conds = [cond and without_audio(cond) for cond in conds]
        return executor(model, conds, x, timestep, model_options)

    return evaluate


def audio_guidance(audio_scale: Scale, share: Share = Share()) -> Callable[[dict[str, Any]], list]:
    """A pre-CFG function for core's samplers: v = v_neg + p (v_pos - v_neg) + a (v_pos+audio - v_pos), p
    being their cfg.

    The positive condition carries audio; its pass without audio is made here. ValueError if it carries none,
    or if the negative
    one carries some: the published guidance has none there (its plain guidance, without this function, has it in both).
    """

    def guide(arguments: dict[str, Any]) -> list:
        outputs, conds, prompt_scale = arguments["conds_out"], arguments["conds"], arguments["cond_scale"]
        check_audio(conds)
        options = arguments["model_options"]
        progress = share.progress(options, arguments["sigma"])
        if progress is None:
            return outputs
        scale = audio_scale if isinstance(audio_scale, (int, float)) else audio_scale(progress)
        where = (arguments["input"], arguments["timestep"], options)
        (unheard,) = comfy.samplers.calc_cond_batch(arguments["model"], [without_audio(conds[0])], *where)
        # the positive result counts for nothing, so audio goes where core takes the negative one
        if prompt_scale == 0:
            return [outputs[0], outputs[1] + scale * (outputs[0] - unheard), *outputs[2:]]
        return [unheard + scale / prompt_scale * (outputs[0] - unheard), *outputs[1:]]

    setattr(guide, MARK, True)
    return guide


def check_audio(conds: list[list[dict] | None]) -> None:
    """ValueError unless the positive conditions carry audio, and no others."""
    if any(carries_audio(other) for other in conds[1:]):
        raise ValueError(
            f"{NODE}: the negative conditioning carries audio, so the lips would be guided away from it. "
            "Connect the negative prompt without FantasyTalking Audio, or take this node out to guide by "
            "the prompt alone with audio in both."
        )
    if not carries_audio(conds[0]):
        raise ValueError(
            f"{NODE}: the positive conditioning carries no audio, so audio_cfg would do nothing. Put "
            "FantasyTalking Audio between the positive prompt and the sampler, or take this node out."
        )


def carries_audio(conds: list[dict] | None) -> bool:
    """Whether any of a sampler's prepared conditions holds audio."""
    return any(CONDITION in cond["model_conds"] for cond in conds or ())
