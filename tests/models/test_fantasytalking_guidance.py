"""FantasyTalking's guidance through core's samplers: both ways, curves over the steps, and what else keeps
passes apart."""

import math

import comfy.samplers
import pytest
import torch
from comfy_extras.nodes_custom_sampler import DualCFGGuider
from talking_portrait.models.fantasytalking.carrier import CONDITION
from talking_portrait.models.fantasytalking.guidance import Share, audio_guidance, sigmas, with_audio_guidance
from talking_portrait.models.fantasytalking.patch import patched, with_face_condition
from talking_portrait.nodes.fantasytalking import FantasyTalkingGuidance
from talking_portrait.tools.golden_cases.fantasytalking import TinyWan
from talking_portrait.tools.goldens import GoldenCase

from .fantasytalking_tiny import GOLDENS, conditions, run, sampled


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def case():
    return GoldenCase(GOLDENS / "ft_cfg.public.golden.json")


@pytest.fixture(scope="module")
def tiny(case):
    with torch.inference_mode():
        return TinyWan(case)


def wanted(case, name: str, got: torch.Tensor) -> float:
    output = case.data["outputs"][name]
    return float((got.flatten()[torch.tensor(output["idx"])] - torch.tensor(output["values"])).abs().max())


def test_core_dual_guider_gives_the_official_result(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guider = DualCFGGuider.execute(
        model, conditions(case, tiny, True), conditions(case, tiny, False),
        conditions(case, tiny, False, "context_neg"), 5.0, 5.0,
        "regular",
    ).result[0]  # fmt: skip
    assert wanted(case, "p5_a5", run(case, tiny, guider)) < 5e-5


def test_a_guidance_curve_that_is_flat_is_the_constant(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    results, seen = [], []

    def curve(part: float) -> float:
        seen.append(part)
        return 5.0

    for scale in (5.0, curve):
        model = patched(tiny.patcher, tiny.adapter, 1.0, True)
        model.set_model_sampler_pre_cfg_function(audio_guidance(scale))
        results.append(sampled(case, tiny, model, positive, negative))
    assert torch.allclose(*results) and seen == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_guidance_curve_acts_step_by_step(case, tiny):
    """Each step of a rising curve is that step alone with the curve's number there."""
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    levels, noise = sigmas(4), case.inputs["noise"]

    def steps(model, part: torch.Tensor, start: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(5.0)
        return guider.sample(start, latent, comfy.samplers.sampler_object("euler"), part, disable_pbar=True)

    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    whole = steps(
        FantasyTalkingGuidance.execute(model, 2.0, 8.0).result[0], levels, noise, torch.zeros_like(noise)
    )
    latent, start = torch.zeros_like(noise), noise
    for number, scale in enumerate((2.0, 4.0, 6.0, 8.0)):
        constant = FantasyTalkingGuidance.execute(model, scale, scale).result[0]
        latent, start = steps(constant, levels[number : number + 2], start, latent), torch.zeros_like(noise)
    assert torch.allclose(latent, whole, atol=1e-3)
    other = steps(
        FantasyTalkingGuidance.execute(model, 5.0, 5.0).result[0], levels, noise, torch.zeros_like(noise)
    )
    assert (other - whole).abs().max() > 0.1


def heard_steps(tiny, model, watch_into: list) -> None:
    """Notes of each pass of the network its noise level, and whether it heard audio."""

    def watch(executor, x, timestep, *arguments, **named):
        watch_into.append((round(float(timestep.flatten()[0]), 3), CONDITION in named, len(x)))
        return executor(x, timestep, *arguments, **named)

    model.wrappers["diffusion_model"] = {"watch": [watch], **model.wrappers["diffusion_model"]}


@pytest.mark.parametrize(
    "start, end, guided", [(0, 0.5, [0, 1]), (0.5, 1, [2, 3]), (0.25, 0.75, [1, 2]), (0, 1, [0, 1, 2, 3])]
)
def test_audio_guides_a_share_of_the_steps_and_saves_its_pass_in_the_others(case, tiny, start, end, guided):
    """Each step is that step alone: with guidance by audio inside of the share, by the prompt alone and deaf
    outside."""
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    deaf, levels, noise = conditions(case, tiny, False), sigmas(4), case.inputs["noise"]

    def steps(model, heard, part, first, latent):
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(heard, negative)
        guider.set_cfg(5.0)
        return guider.sample(first, latent, comfy.samplers.sampler_object("euler"), part, disable_pbar=True)

    model, passes = patched(tiny.patcher, tiny.adapter, 1.0, True), []
    share = FantasyTalkingGuidance.execute(model, 4.0, 4.0, start, end).result[0]
    heard_steps(tiny, share, passes)
    whole = steps(share, positive, levels, noise, torch.zeros_like(noise))
    latent, first = torch.zeros_like(noise), noise
    full = FantasyTalkingGuidance.execute(model, 4.0, 4.0).result[0]
    for number in range(4):
        own, heard = (full, positive) if number in guided else (tiny.patcher, deaf)
        latent, first = steps(own, heard, levels[number : number + 2], first, latent), torch.zeros_like(noise)
    assert torch.allclose(latent, whole, atol=1e-3)
    for number, level in enumerate(sorted({level for level, _, _ in passes}, reverse=True)):
        at = [(audio, rows) for each, audio, rows in passes if each == level]
        assert sum(rows for _, rows in at) == (3 if number in guided else 2)
        assert any(audio for audio, _ in at) == (number in guided)


def test_a_curve_runs_over_the_guided_steps(case, tiny):
    seen = []
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guided = with_audio_guidance(model, lambda part: seen.append(part) or 3.0, Share(0.25, 1.0))
    sampled(case, tiny, guided, conditions(case, tiny, True), conditions(case, tiny, False, "context_neg"))
    assert seen == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize("steps", [30, 20, 7])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.7, 0.8])
def test_a_share_counts_steps_exactly(steps, part):
    levels = sigmas(steps)
    options = {"transformer_options": {"sample_sigmas": levels}}
    inside = [Share(0.0, part).progress(options, level) is not None for level in levels[:-1]]
    beyond = [Share(part, 1.0).progress(options, level) is not None for level in levels[:-1]]
    assert sum(inside) == math.ceil(round(part * steps, 6)) and inside == [not each for each in beyond]


def test_guidance_that_could_do_nothing_is_said(case, tiny):
    hears = patched(tiny.patcher, tiny.adapter, 1.0, True)
    run_node = FantasyTalkingGuidance.execute
    with pytest.raises(
        ValueError, match="^FantasyTalking Guidance: model does not come from Apply FantasyTalking"
    ):
        run_node(tiny.patcher, 4.5, 4.5)
    with pytest.raises(
        ValueError, match="start_percent is 0.7 and end_percent 0.5; the start must come before"
    ):
        run_node(hears, 4.5, 4.5, 0.7, 0.5)
    guided = run_node(hears, 4.5, 4.5).result[0]
    with pytest.raises(ValueError, match="guides this model by audio already"):
        run_node(guided, 4.5, 4.5)
    silent, negative = conditions(case, tiny, False), conditions(case, tiny, False, "context_neg")
    with pytest.raises(ValueError, match="no conditioning of the sampler carries audio"):
        sampled(case, tiny, guided, silent, negative)
    with pytest.raises(ValueError, match="the positive conditioning carries no audio"):
        sampled(case, tiny, guided, with_face_condition(silent, torch.zeros(1, 257, 1280), 0.5), negative)
    narrow = run_node(hears, 4.5, 4.5, 0.3, 0.45).result[0]
    with pytest.raises(
        ValueError, match="between start_percent 0.3 and end_percent 0.45 lies none of the 4 steps"
    ):
        sampled(case, tiny, narrow, conditions(case, tiny, True), negative)


def test_old_prompts_know_nothing_of_shares():
    given = FantasyTalkingGuidance.GET_NODE_INFO_V1()["input"]
    assert list(given["required"]) == ["model", "audio_cfg", "audio_cfg_end"]
    assert {name: entry[1]["default"] for name, entry in given["optional"].items()} == {
        "start_percent": 0.0,
        "end_percent": 1.0,
    }


def test_audio_in_the_negative_is_an_error_under_audio_guidance(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guided = model.clone()
    guided.set_model_sampler_pre_cfg_function(audio_guidance(5.0))
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, True, "context_neg")
    with pytest.raises(ValueError, match="the negative conditioning carries audio"):
        sampled(case, tiny, guided, positive, negative)
    # the published plain guidance
    assert wanted(case, "p5_noaudiocfg", sampled(case, tiny, model, positive, negative)) < 5e-5


def test_each_of_the_three_passes_has_a_name_of_its_own(case, tiny):
    """Core's EasyCache keeps results by these names: shared by two passes, it would take one for the other,
    and no lips move."""
    model, seen = patched(tiny.patcher, tiny.adapter, 1.0, True), []
    model.set_model_sampler_pre_cfg_function(audio_guidance(5.0))

    def watch(executor, x, *arguments, **named):
        options = next(
            each for each in (*arguments, named.get("transformer_options")) if isinstance(each, dict)
        )
        seen.append((tuple(options["uuids"]), CONDITION in named))
        return executor(x, *arguments, **named)

    model.wrappers["diffusion_model"] = {"watch": [watch], **model.wrappers["diffusion_model"]}
    sampled(case, tiny, model, conditions(case, tiny, True), conditions(case, tiny, False, "context_neg"))
    heard = {name for names, audio in seen if audio for name in names}
    others = {name for names, audio in seen if not audio for name in names}
    assert len(heard) == 1 and len(others) == 2 and not heard & others


def test_easycache_keeps_the_audio(case, tiny):
    """With results kept wherever it may, audio guidance acts about as strongly as without a cache."""
    from comfy_extras.nodes_easycache import EasyCacheNode

    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    effect = []
    for cached in (False, True):
        films = []
        for scale in (1.0, 9.0):
            model = patched(tiny.patcher, tiny.adapter, 1.0, True)
            model.set_model_sampler_pre_cfg_function(audio_guidance(scale))
            model = EasyCacheNode.execute(model, 1e9, 0.0, 1.0, False).result[0] if cached else model
            films.append(sampled(case, tiny, model, positive, negative))
        effect.append(float((films[1] - films[0]).std()))
    assert effect[1] > 0.5 * effect[0] and effect[1] != effect[0]


@pytest.mark.parametrize("prompt", [0.0, 0.5])
def test_a_prompt_scale_of_nothing_still_follows_the_audio(case, tiny, prompt):
    """v_neg + p (v_pos - v_neg) + a (v_pos+audio - v_pos), the middle part gone: as core's dual guider gives it."""
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guided = model.clone()
    guided.set_model_sampler_pre_cfg_function(audio_guidance(5.0))
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    guider = DualCFGGuider.execute(
        model, positive, conditions(case, tiny, False), negative, 5.0, prompt, "regular"
    ).result[0]
    result = sampled(case, tiny, guided, positive, negative, prompt)
    assert torch.allclose(result, run(case, tiny, guider), atol=1e-3)
