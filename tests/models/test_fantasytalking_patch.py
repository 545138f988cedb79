"""FantasyTalking's patch on a tiny core Wan model: who hears what, what is refused, and that nothing is left behind."""

import dataclasses
from types import SimpleNamespace

import comfy.model_patcher
import comfy.ops
import comfy.samplers
import pytest
import torch
from comfy.conds import CONDRegular
from comfy.ldm.wan.model import WanModel
from talking_portrait.models.fantasytalking.attention import OPTION, AudioContext, with_audio
from talking_portrait.models.fantasytalking.carrier import CONDITION
from talking_portrait.models.fantasytalking.guidance import audio_guidance, sigmas
from talking_portrait.models.fantasytalking.keys import KeptKeys, numbered, tables_of
from talking_portrait.models.fantasytalking.network import FantasyTalking
from talking_portrait.models.fantasytalking.patch import patched, with_audio_condition, with_face_condition
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


def test_two_patched_copies_live_side_by_side_and_leave_nothing(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    forward = type(tiny.patcher.model.diffusion_model.blocks[0].cross_attn).forward
    plain = sampled(case, tiny, tiny.patcher, conditions(case, tiny, False), negative)
    quiet, loud = (patched(tiny.patcher, tiny.adapter, scale, True) for scale in (0.0, 2.0))
    first = sampled(case, tiny, loud, positive, negative)
    assert torch.allclose(sampled(case, tiny, quiet, positive, negative), plain, atol=1e-5)
    assert (
        torch.equal(sampled(case, tiny, loud, positive, negative), first)
        and (first - plain).abs().max() > 0.1
    )
    loud.unpatch_model()
    for block in tiny.patcher.model.diffusion_model.blocks:
        assert block.cross_attn.forward.__func__ is forward
    assert torch.allclose(
        sampled(case, tiny, tiny.patcher, conditions(case, tiny, False), negative), plain, atol=1e-6
    )
    assert (
        CONDITION not in positive[0][1].get("model_conds", {})
        or tiny.tokens is positive[0][1]["model_conds"][CONDITION].cond
    )


def test_a_second_patch_of_the_same_layer_is_refused(tiny):
    once = patched(tiny.patcher, tiny.adapter, 1.0, True)
    with pytest.raises(ValueError, match="has replaced the cross-attention"):
        patched(once, tiny.adapter, 1.0, True)


def attention_of_another_pack(*arguments, **named):
    """What some other node puts in place of a layer."""


@pytest.mark.parametrize("name", ["blocks.2.cross_attn.forward", "blocks.0.cross_attn"])
def test_another_packs_patch_is_refused_by_its_name(tiny, name):
    model = tiny.patcher.clone()
    model.add_object_patch(f"diffusion_model.{name}", attention_of_another_pack)
    with pytest.raises(ValueError, match=r"test_fantasytalking_patch\.attention_of_another_pack"):
        patched(model, tiny.adapter, 1.0, True)


def test_a_model_of_another_size_is_refused(tiny):
    other = comfy.model_patcher.ModelPatcher(
        FantasyTalking(6, 8, 96, 2), torch.device("cpu"), torch.device("cpu")
    )
    with pytest.raises(ValueError, match="3 blocks of width 96, but the FantasyTalking file is for 2"):
        patched(tiny.patcher, other, 1.0, True)


def test_audio_for_another_length_is_an_error(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    positive = with_audio_condition(conditions(case, tiny, False), torch.randn(1, 5, 17, 64))
    with pytest.raises(ValueError, match="the audio has 5 latent frames, but the video 3"):
        sampled(case, tiny, model, positive, conditions(case, tiny, False, "context_neg"))


def test_a_patched_model_that_hears_nothing_is_an_error(case, tiny):
    silent, negative = conditions(case, tiny, False), conditions(case, tiny, False, "context_neg")
    with pytest.raises(ValueError, match="no conditioning of the sampler carries audio"):
        sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 1.0, True), silent, negative)
    sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 0.0, True), silent, negative)


def test_context_windows_slice_the_audio_with_the_video(case, tiny):
    """In every window, at every seam, each latent frame hears the audio of its own number in the film."""
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    frames = 9
    tokens = torch.randn(1, frames, 17, 64)
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    model = WanContextWindowsManualNode.execute(
        model, context_length=13, context_overlap=5, context_schedule="standard_static", context_stride=1,
        closed_loop=False,
        fuse_method="pyramid", freenoise=False,
    ).result[0]  # fmt: skip
    _, (numbers,) = numbered([tokens])
    seen = []

    def watch(executor, x, *arguments, **named):
        shown = x[0, 16, :, 0, 0].tolist()  # the first channel beside the noise holds each frame's number
        heard = [
            next(i for i in range(frames) if torch.equal(numbers[0, i], own)) for own in named[CONDITION][0]
        ]
        seen.append((shown, heard))
        return executor(x, *arguments, **named)

    model.wrappers["diffusion_model"] = {"watch": [watch], **model.wrappers["diffusion_model"]}
    beside = torch.arange(frames).float()[None, None, :, None, None].expand(1, 20, frames, 8, 8)
    values = {"c_concat": beside, "c_crossattn": case.inputs["context"], "clip_fea": case.inputs["clip"]}
    base = [
        [case.inputs["context"], {"model_conds": {key: CONDRegular(value) for key, value in values.items()}}]
    ]
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(with_audio_condition(base, tokens), base)
    guider.set_cfg(1.0)
    noise = torch.randn(1, 16, frames, 8, 8)
    guider.sample(
        noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas(2), disable_pbar=True
    )
    assert len(seen) > 4 and all(shown == heard and len(shown) < frames for shown, heard in seen)
    assert set(range(frames)) == {number for shown, _ in seen for number in shown}


def test_a_batch_of_films_hears_the_same_audio(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    model.set_model_sampler_pre_cfg_function(audio_guidance(5.0))
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(5.0)
    noise = torch.cat([case.inputs["noise"], torch.randn_like(case.inputs["noise"])])
    both = run(case, tiny, guider, noise)
    for i in range(2):
        assert torch.allclose(both[i : i + 1], run(case, tiny, guider, noise[i : i + 1]), atol=1e-3)
    assert (both[0] - both[1]).abs().max() > 0.5


def test_a_text_to_video_model_is_refused():
    wan = WanModel(
        "t2v", dim=96, ffn_dim=96, num_heads=4, num_layers=3, operations=comfy.ops.disable_weight_init
    )
    model = comfy.model_patcher.ModelPatcher(
        SimpleNamespace(diffusion_model=wan), torch.device("cpu"), torch.device("cpu")
    )
    with pytest.raises(ValueError, match="model is not Wan2.1 image-to-video"):
        patched(model, None, 1.0, True)


def test_a_sound_for_the_whole_clip_is_heard_by_every_place(tiny):
    """Tokens [B,L,C], as the published code takes them beside windows: each frame hears all of them."""
    attention = tiny.patcher.model.diffusion_model.blocks[1].cross_attn
    x, context, tokens = torch.randn(1, 48, 96), torch.randn(1, 273, 96), torch.randn(1, 7, 64)

    def attend(given: torch.Tensor) -> torch.Tensor:
        options = {OPTION: heard_by(tiny, given), "grid_sizes": (3, 4, 4)}
        return with_audio(attention, 1)(x, context, 257, transformer_options=options)

    assert torch.allclose(attend(tokens), attend(tokens[:, None].expand(1, 3, 7, 64)), atol=1e-5)
    assert (attend(tokens) - attend(tokens[:, :4])).abs().max() > 0.01


def test_face_focus_grows_with_its_strength_and_is_nothing_at_zero(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    negative = conditions(case, tiny, False, "context_neg")
    positive = conditions(case, tiny, True)
    plain = sampled(case, tiny, model, positive, negative)
    face = torch.randn(1, 257, 1280)
    change = [
        float(
            (sampled(case, tiny, model, with_face_condition(positive, face, strength), negative) - plain)
            .abs()
            .mean()
        )
        for strength in (0.0, 0.1, 0.3)
    ]
    assert change[0] < 1e-5 < 100 * change[0] + 1e-3 < change[1] < change[2]


def test_a_lora_on_the_patched_layers_still_acts(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    attention = tiny.patcher.model.diffusion_model.blocks[0].cross_attn
    deltas = {
        layer: 0.1 * torch.randn_like(getattr(attention, layer).weight) for layer in ("q", "o", "k_img")
    }
    with_lora = patched(tiny.patcher, tiny.adapter, 1.0, True)
    keys = {
        f"diffusion_model.blocks.0.cross_attn.{layer}.weight": ("diff", (delta,))
        for layer, delta in deltas.items()
    }
    assert set(with_lora.add_patches(keys, 1.0)) == set(keys)
    plain = sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 1.0, True), positive, negative)
    adapted = sampled(case, tiny, with_lora, positive, negative)
    with_lora.unpatch_model()
    for layer, delta in deltas.items():
        getattr(attention, layer).weight.add_(delta)
    baked = sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 1.0, True), positive, negative)
    for layer, delta in deltas.items():
        getattr(attention, layer).weight.sub_(delta)
    assert torch.allclose(adapted, baked, atol=1e-4) and (adapted - plain).abs().max() > 0.05


def test_a_later_node_that_takes_the_layer_away_is_an_error(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True).clone()
    attention = tiny.patcher.model.diffusion_model.blocks[1].cross_attn
    model.add_object_patch(
        "diffusion_model.blocks.1.cross_attn.forward", type(attention).forward.__get__(attention)
    )
    negative = conditions(case, tiny, False, "context_neg")
    with pytest.raises(ValueError, match="replaced the cross-attention of block 1"):
        sampled(case, tiny, model, conditions(case, tiny, True), negative)


def heard_by(tiny, tokens: torch.Tensor | None) -> AudioContext:
    """A pass that carries these tokens."""
    distinct, (numbers,) = numbered([tiny.tokens if tokens is None else tokens])
    keys = KeptKeys(tables_of(tiny.adapter.model.blocks, distinct, torch.device("cpu")))
    return AudioContext(None if tokens is None else numbers, keys, 1.0, True)


@pytest.mark.parametrize("leading,trailing", [(0, 0), (1, 0), (0, 5), (1, 16), (0, 48)])
def test_references_beside_the_video_hear_nothing(tiny, leading, trailing):
    attention, grid = tiny.patcher.model.diffusion_model.blocks[1].cross_attn, (3, 4, 4)
    first = leading * 16
    x, context = torch.randn(1, first + 48 + trailing, 96), torch.randn(1, 273, 96)

    def attend(query: torch.Tensor, tokens: torch.Tensor | None, before: int) -> torch.Tensor:
        audio = dataclasses.replace(heard_by(tiny, tokens), leading=before)
        return with_audio(attention, 1)(
            query, context, 257, transformer_options={OPTION: audio, "grid_sizes": grid}
        )

    heard, silent = attend(x, tiny.tokens, leading), attend(x, None, leading)
    assert torch.allclose(
        heard[:, first : first + 48], attend(x[:, first : first + 48], tiny.tokens, 0), atol=1e-5
    )
    for beside in (slice(0, first), slice(first + 48, None)):
        assert torch.allclose(heard[:, beside], silent[:, beside], atol=1e-6)
    assert (heard - silent).abs().max() > 0.1


def test_a_region_shares_out_what_is_heard(tiny):
    attention, region = tiny.patcher.model.diffusion_model.blocks[1].cross_attn, torch.zeros(8, 8)
    region[:, :4] = 1.0
    region[:, 4:6] = 0.5
    x, context = torch.randn(2, 48, 96), torch.randn(2, 273, 96)

    def attend(audio: AudioContext) -> torch.Tensor:
        return with_audio(attention, 1)(
            x, context, 257, transformer_options={OPTION: audio, "grid_sizes": (3, 4, 4)}
        )

    deaf, whole = attend(heard_by(tiny, None)), attend(heard_by(tiny, tiny.tokens))
    part = attend(dataclasses.replace(heard_by(tiny, tiny.tokens), region=region))
    share = torch.tensor([1.0, 1.0, 0.5, 0.0]).repeat(12)[None, :, None]
    assert torch.allclose(part, deaf + share * (whole - deaf), atol=1e-5) and (whole - deaf).abs().max() > 0.1


def test_a_wan_model_that_names_no_frames_is_refused(tiny):
    attention = tiny.patcher.model.diffusion_model.blocks[0].cross_attn
    audio = heard_by(tiny, tiny.tokens)
    with pytest.raises(ValueError, match="this kind of Wan model"):
        with_audio(attention, 0)(
            torch.randn(1, 48, 96), torch.randn(1, 273, 96), 257, transformer_options={OPTION: audio}
        )


def test_a_clone_on_a_second_model_calls_its_own_layers(case, tiny):
    """As core clones a patched MODEL for another GPU: same patches, freshly loaded weights."""
    other = TinyWan(case).patcher.model
    for name, value in other.diffusion_model.named_parameters():
        if ".cross_attn." in name:
            value.zero_()
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    twin = model.clone(model_override=(other, ({}, {}, {}, set())))
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    deaf = patched(tiny.patcher, tiny.adapter, 0.0, True)
    deaf_twin = deaf.clone(model_override=(other, ({}, {}, {}, set())))
    first, second = (sampled(case, tiny, each, positive, negative) for each in (twin, deaf_twin))
    assert torch.allclose(first, second, atol=1e-4), "with W_o of zeros, nothing can be heard"
    assert (first - sampled(case, tiny, deaf, positive, negative)).abs().max() > 0.1
    assert (first - sampled(case, tiny, model, positive, negative)).abs().max() > 0.1
