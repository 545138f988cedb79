"""FantasyTalking on a tiny core Wan model: files, timing, patching that leaves nothing behind, guidance through core."""

import dataclasses
from types import SimpleNamespace

import comfy.model_patcher
import comfy.ops
import comfy.samplers
import numpy as np
import pytest
import torch
from comfy.conds import CONDRegular
from comfy.ldm.wan.model import WanModel
from comfy_extras.nodes_custom_sampler import DualCFGGuider
from talking_portrait.models.fantasytalking import audio, timing
from talking_portrait.models.fantasytalking.attention import OPTION, AudioContext, with_audio
from talking_portrait.models.fantasytalking.carrier import CONDITION
from talking_portrait.models.fantasytalking.checkpoint import fantasytalking_state
from talking_portrait.models.fantasytalking.guidance import audio_guidance, sigmas
from talking_portrait.models.fantasytalking.keys import KeptKeys, numbered, tables_of
from talking_portrait.models.fantasytalking.network import FantasyTalking, build_fantasytalking
from talking_portrait.models.fantasytalking.patch import patched, with_audio_condition, with_face_condition
from talking_portrait.models.fantasytalking.picture import prepared_picture
from talking_portrait.models.fantasytalking.speech_encoder import MARK, check_is_960h
from talking_portrait.models.fantasytalking.windows import audio_windows
from talking_portrait.models.sound import mono
from talking_portrait.nodes.fantasytalking import (
    ApplyFantasyTalking,
    FantasyTalkingAudio,
    FantasyTalkingGuidance,
    FantasyTalkingPicture,
    film_frames,
    film_sound,
)  # fmt: skip
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


def network() -> FantasyTalking:
    return FantasyTalking(6, 8, 12, 3)


def published(flat: dict) -> dict:
    """The original nesting of a network's state."""
    inner = {"proj_model": {}, "audio_processor": {}}
    for key, value in flat.items():
        if key.startswith("proj_model."):
            inner["proj_model"][key.removeprefix("proj_model.")] = value
        else:
            _, number, layer, leaf = key.split(".")
            inner["audio_processor"][f"blocks.{number}.cross_attn.processor.{layer}.{leaf}"] = value
    return inner


@pytest.mark.parametrize("edition", ["ckpt", "safetensors", "kijai", "prefixed"])
def test_every_edition_of_the_file_loads(edition):
    wanted = network().state_dict()
    content = published(wanted)
    if edition != "ckpt":
        content = {f"{outer}.{key}": value for outer, part in content.items() for key, value in part.items()}
    if edition in ("kijai", "prefixed"):
        start = "" if edition == "kijai" else "diffusion_model."
        content = {key.replace("audio_processor.", start).replace(".processor", ""): value for key, value in content.items()}
    state = fantasytalking_state(content)
    assert state.keys() == wanted.keys()
    loaded = build_fantasytalking(state, {})
    assert len(loaded.blocks) == 3 and loaded.proj_model.proj.in_features == 6


@pytest.mark.parametrize("spoil", ["missing", "left over", "prefix"])
def test_an_incomplete_file_is_counted(spoil):
    content = published(network().state_dict())
    if spoil == "missing":
        del content["audio_processor"]["blocks.1.cross_attn.processor.v_proj.weight"]
    elif spoil == "left over":
        content["identity"] = {"weight": torch.ones(1)}
    else:
        content["audio_processor"] = {f"wrong.{key}": value for key, value in content["audio_processor"].items()}
    with pytest.raises(ValueError, match="attention tensors were found"):
        fantasytalking_state(content)


def test_another_encoder_of_the_same_shapes_is_refused():
    check_is_960h({"lm_head.weight": torch.zeros(32, 768)})
    with pytest.raises(ValueError, match="such as chinese-wav2vec2-base"):
        check_is_960h({"quantizer.codevectors": torch.zeros(1)})
    with pytest.raises(ValueError, match="lm_head.weight"):
        check_is_960h({})
    with pytest.raises(ValueError, match="was not loaded by Load Speech Encoder"):
        FantasyTalkingAudio.execute(None, object(), {}, [], 0, 23.0, audio.FITS[0])


def test_batches_where_one_is_wanted_are_errors():
    encoder, two = SimpleNamespace(**{MARK: "wav2vec2-base"}), {"waveform": torch.zeros(2, 1, 16000), "sample_rate": 16000}
    with pytest.raises(ValueError, match="FantasyTalking Audio: audio holds 2 clips"):
        FantasyTalkingAudio.execute(None, encoder, two, [], 0, 23.0, audio.FITS[0])
    with pytest.raises(ValueError, match="FantasyTalking Picture: image holds 2 pictures"):
        FantasyTalkingPicture.execute(torch.zeros(2, 8, 8, 3), 512)
    with pytest.raises(ValueError, match="region holds 2 masks"):
        ApplyFantasyTalking.execute(None, None, 1.0, True, torch.ones(2, 8, 8))


def test_sound_longer_than_the_film_is_cut_and_shorter_is_filled_or_stretched():
    wave, samples = np.arange(1, 16001, dtype=np.float32), timing.samples_of(9)
    cut = audio.segment(wave, 9, 23.0, audio.FITS[0])
    assert np.array_equal(cut, wave[:samples]) and np.array_equal(cut, audio.segment(wave, 9, 23.0, audio.FITS[1]))
    filled, left = (audio.segment(wave[:4000], 9, 23.0, fit) for fit in audio.FITS)
    assert len(filled) == samples and np.array_equal(filled[:4000], wave[:4000]) and not filled[4000:].any()
    assert np.array_equal(left, wave[:4000])
    spread = audio_windows(9, timing.token_count(len(left))).ranges[-1][1] / timing.token_count(len(left))
    assert spread > 0.6, "the last frame hears the end of the short sound"


@pytest.mark.parametrize("frames", [1, 4, 6, 0, 82])
def test_frames_that_wan_cannot_make_are_an_error(frames):
    with pytest.raises(ValueError, match=f"frames is {frames}"):
        audio_windows(frames, 40)


@pytest.mark.parametrize("seconds", [0.1, 0.7, 2.0, 3.52, 7.44, 60.0])
@pytest.mark.parametrize("fps", [23.0, 16.0, 24.0])
def test_padded_timing_is_exact_everywhere(seconds, fps):
    """Every latent frame's window is centred on its own time, however long the film."""
    frames = film_frames(0, seconds, fps, audio.FITS[0])
    assert frames % 4 == 1 and 0 <= frames / fps - seconds < 5 / fps + 5 / 23
    part = audio.segment(np.zeros(round(seconds * 16000), np.float32), frames, fps, audio.FITS[0])
    tokens = timing.token_count(len(part))
    assert len(part) == timing.samples_of(frames, fps) and abs(tokens / 50 - frames / fps) < 0.03
    windows = audio_windows(frames, tokens)
    assert len(windows.ranges) == timing.latent_frames(frames)
    for number in range(1, len(windows.ranges)):
        first, last = windows.ranges[number]
        heard, shown = (first + last + 1) / 2 / 50, ((number - 1) * 4 + 1 + number * 4 + 1) / 2 / fps
        assert abs(heard - shown) < 0.06, "the lips would be late"


@pytest.mark.parametrize("fps", [23.0, 25.0])
def test_every_seam_of_a_continued_film_is_in_time(fps):
    """Parts of 81 frames, each from the last frame of the one before: all latent frames hear their own time in the whole film."""
    wave, start = np.arange(round(20 * 16000), dtype=np.float32), 0
    for _ in range(4):
        part = audio.segment(wave, 81, fps, audio.FITS[0], start)
        assert abs(float(part[0]) / 16000 - start / fps) < 1e-4 and len(part) == timing.samples_of(81, fps)
        windows = audio_windows(81, timing.token_count(len(part)))
        for number in range(1, 21):
            first, last = windows.ranges[number]
            heard = float(part[0]) / 16000 + (first + last + 1) / 2 / 50
            shown = (start + ((number - 1) * 4 + 1 + number * 4 + 1) / 2) / fps
            assert abs(heard - shown) < 0.06
        start += 80


def test_frames_of_the_artist_are_checked():
    assert film_frames(81, 9.0, 23.0, audio.FITS[0]) == 81 and film_frames(0, 9.0, 23.0, audio.FITS[1]) == 81
    with pytest.raises(ValueError, match="Take 77 or 81"):
        film_frames(80, 9.0, 23.0, audio.FITS[0])


def test_sound_lasts_as_long_as_the_film():
    sound = film_sound(torch.ones(1, 2, 44100), 44100, 0.0, 81 / 23)
    assert sound["waveform"].shape[-1] == round(81 / 23 * 44100) and sound["waveform"][0, 0, 50000] == 0


def test_preparation_averages_channels_and_normalises():
    stereo = torch.stack([torch.ones(44100), -torch.ones(44100)]) * torch.randn(44100) + torch.randn(44100) * 0.01
    wave = mono(stereo, 44100)
    ready = audio.normalised(wave)
    assert len(wave) == 16000 and abs(float(ready.mean())) < 1e-5 and abs(float(ready.std()) - 1) < 0.01


def test_pictures_get_sides_of_multiples_of_16():
    assert prepared_picture(torch.rand(333, 517, 4), 512).shape == (336, 512, 3)


def wanted(case, name: str, got: torch.Tensor) -> float:
    output = case.data["outputs"][name]
    return float((got.flatten()[torch.tensor(output["idx"])] - torch.tensor(output["values"])).abs().max())


def test_core_dual_guider_gives_the_official_result(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guider = DualCFGGuider.execute(
        model, conditions(case, tiny, True), conditions(case, tiny, False), conditions(case, tiny, False, "context_neg"), 5.0, 5.0,
        "regular",
    ).result[0]  # fmt: skip
    assert wanted(case, "p5_a5", run(case, tiny, guider)) < 5e-5


def test_two_patched_copies_live_side_by_side_and_leave_nothing(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    forward = type(tiny.patcher.model.diffusion_model.blocks[0].cross_attn).forward
    plain = sampled(case, tiny, tiny.patcher, conditions(case, tiny, False), negative)
    quiet, loud = (patched(tiny.patcher, tiny.adapter, scale, True) for scale in (0.0, 2.0))
    first = sampled(case, tiny, loud, positive, negative)
    assert torch.allclose(sampled(case, tiny, quiet, positive, negative), plain, atol=1e-5)
    assert torch.equal(sampled(case, tiny, loud, positive, negative), first) and (first - plain).abs().max() > 0.1
    loud.unpatch_model()
    for block in tiny.patcher.model.diffusion_model.blocks:
        assert block.cross_attn.forward.__func__ is forward
    assert torch.allclose(sampled(case, tiny, tiny.patcher, conditions(case, tiny, False), negative), plain, atol=1e-6)
    assert CONDITION not in positive[0][1].get("model_conds", {}) or tiny.tokens is positive[0][1]["model_conds"][CONDITION].cond


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
    with pytest.raises(ValueError, match=r"test_fantasytalking\.attention_of_another_pack"):
        patched(model, tiny.adapter, 1.0, True)


def test_a_model_of_another_size_is_refused(tiny):
    other = comfy.model_patcher.ModelPatcher(FantasyTalking(6, 8, 96, 2), torch.device("cpu"), torch.device("cpu"))
    with pytest.raises(ValueError, match="3 blocks of width 96, but the FantasyTalking file is for 2"):
        patched(tiny.patcher, other, 1.0, True)


def test_audio_for_another_length_is_an_error(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    positive = with_audio_condition(conditions(case, tiny, False), torch.randn(1, 5, 17, 64))
    with pytest.raises(ValueError, match="the audio has 5 latent frames, but the video 3"):
        sampled(case, tiny, model, positive, conditions(case, tiny, False, "context_neg"))


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
    whole = steps(FantasyTalkingGuidance.execute(model, 2.0, 8.0).result[0], levels, noise, torch.zeros_like(noise))
    latent, start = torch.zeros_like(noise), noise
    for number, scale in enumerate((2.0, 4.0, 6.0, 8.0)):
        constant = FantasyTalkingGuidance.execute(model, scale, scale).result[0]
        latent, start = steps(constant, levels[number : number + 2], start, latent), torch.zeros_like(noise)
    assert torch.allclose(latent, whole, atol=1e-3)
    other = steps(FantasyTalkingGuidance.execute(model, 5.0, 5.0).result[0], levels, noise, torch.zeros_like(noise))
    assert (other - whole).abs().max() > 0.1


def test_a_patched_model_that_hears_nothing_is_an_error(case, tiny):
    silent, negative = conditions(case, tiny, False), conditions(case, tiny, False, "context_neg")
    with pytest.raises(ValueError, match="no conditioning of the sampler carries audio"):
        sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 1.0, True), silent, negative)
    sampled(case, tiny, patched(tiny.patcher, tiny.adapter, 0.0, True), silent, negative)


def test_audio_in_the_negative_is_an_error_under_audio_guidance(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guided = model.clone()
    guided.set_model_sampler_pre_cfg_function(audio_guidance(5.0))
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, True, "context_neg")
    with pytest.raises(ValueError, match="the negative conditioning carries audio"):
        sampled(case, tiny, guided, positive, negative)
    assert wanted(case, "p5_noaudiocfg", sampled(case, tiny, model, positive, negative)) < 5e-5  # the published plain guidance


def test_each_of_the_three_passes_has_a_name_of_its_own(case, tiny):
    """Core's EasyCache keeps results by these names: shared by two passes, it would take one for the other, and no lips move."""
    model, seen = patched(tiny.patcher, tiny.adapter, 1.0, True), []
    model.set_model_sampler_pre_cfg_function(audio_guidance(5.0))

    def watch(executor, x, *arguments, **named):
        options = next(each for each in (*arguments, named.get("transformer_options")) if isinstance(each, dict))
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


def test_context_windows_slice_the_audio_with_the_video(case, tiny):
    """In every window, at every seam, each latent frame hears the audio of its own number in the film."""
    from comfy_extras.nodes_context_windows import WanContextWindowsManualNode

    frames = 9
    tokens = torch.randn(1, frames, 17, 64)
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    model = WanContextWindowsManualNode.execute(
        model, context_length=13, context_overlap=5, context_schedule="standard_static", context_stride=1, closed_loop=False,
        fuse_method="pyramid", freenoise=False,
    ).result[0]  # fmt: skip
    _, (numbers,) = numbered([tokens])
    seen = []

    def watch(executor, x, *arguments, **named):
        shown = x[0, 16, :, 0, 0].tolist()  # the first channel beside the noise holds each frame's number
        heard = [next(i for i in range(frames) if torch.equal(numbers[0, i], own)) for own in named[CONDITION][0]]
        seen.append((shown, heard))
        return executor(x, *arguments, **named)

    model.wrappers["diffusion_model"] = {"watch": [watch], **model.wrappers["diffusion_model"]}
    beside = torch.arange(frames).float()[None, None, :, None, None].expand(1, 20, frames, 8, 8)
    values = {"c_concat": beside, "c_crossattn": case.inputs["context"], "clip_fea": case.inputs["clip"]}
    base = [[case.inputs["context"], {"model_conds": {key: CONDRegular(value) for key, value in values.items()}}]]
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(with_audio_condition(base, tokens), base)
    guider.set_cfg(1.0)
    noise = torch.randn(1, 16, frames, 8, 8)
    guider.sample(noise, torch.zeros_like(noise), comfy.samplers.sampler_object("euler"), sigmas(2), disable_pbar=True)
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
    wan = WanModel("t2v", dim=96, ffn_dim=96, num_heads=4, num_layers=3, operations=comfy.ops.disable_weight_init)
    model = comfy.model_patcher.ModelPatcher(SimpleNamespace(diffusion_model=wan), torch.device("cpu"), torch.device("cpu"))
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
        float((sampled(case, tiny, model, with_face_condition(positive, face, strength), negative) - plain).abs().mean())
        for strength in (0.0, 0.1, 0.3)
    ]
    assert change[0] < 1e-5 < 100 * change[0] + 1e-3 < change[1] < change[2]


def test_a_lora_on_the_patched_layers_still_acts(case, tiny):
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    attention = tiny.patcher.model.diffusion_model.blocks[0].cross_attn
    deltas = {layer: 0.1 * torch.randn_like(getattr(attention, layer).weight) for layer in ("q", "o", "k_img")}
    with_lora = patched(tiny.patcher, tiny.adapter, 1.0, True)
    keys = {f"diffusion_model.blocks.0.cross_attn.{layer}.weight": ("diff", (delta,)) for layer, delta in deltas.items()}
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


@pytest.mark.parametrize("prompt", [0.0, 0.5])
def test_a_prompt_scale_of_nothing_still_follows_the_audio(case, tiny, prompt):
    """v_neg + p (v_pos - v_neg) + a (v_pos+audio - v_pos), the middle part gone: as core's dual guider gives it."""
    model = patched(tiny.patcher, tiny.adapter, 1.0, True)
    guided = model.clone()
    guided.set_model_sampler_pre_cfg_function(audio_guidance(5.0))
    positive, negative = conditions(case, tiny, True), conditions(case, tiny, False, "context_neg")
    guider = DualCFGGuider.execute(model, positive, conditions(case, tiny, False), negative, 5.0, prompt, "regular").result[0]
    result = sampled(case, tiny, guided, positive, negative, prompt)
    assert torch.allclose(result, run(case, tiny, guider), atol=1e-3)


def test_a_later_node_that_takes_the_layer_away_is_an_error(case, tiny):
    model = patched(tiny.patcher, tiny.adapter, 1.0, True).clone()
    attention = tiny.patcher.model.diffusion_model.blocks[1].cross_attn
    model.add_object_patch("diffusion_model.blocks.1.cross_attn.forward", type(attention).forward.__get__(attention))
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
        return with_audio(attention, 1)(query, context, 257, transformer_options={OPTION: audio, "grid_sizes": grid})

    heard, silent = attend(x, tiny.tokens, leading), attend(x, None, leading)
    assert torch.allclose(heard[:, first : first + 48], attend(x[:, first : first + 48], tiny.tokens, 0), atol=1e-5)
    for beside in (slice(0, first), slice(first + 48, None)):
        assert torch.allclose(heard[:, beside], silent[:, beside], atol=1e-6)
    assert (heard - silent).abs().max() > 0.1


def test_a_wan_model_that_names_no_frames_is_refused(tiny):
    attention = tiny.patcher.model.diffusion_model.blocks[0].cross_attn
    audio = heard_by(tiny, tiny.tokens)
    with pytest.raises(ValueError, match="this kind of Wan model"):
        with_audio(attention, 0)(torch.randn(1, 48, 96), torch.randn(1, 273, 96), 257, transformer_options={OPTION: audio})


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


@pytest.mark.parametrize("frames", [5, 81, 125])
@pytest.mark.parametrize("fps", [23.0, 24.0, 29.97])
@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_the_sound_of_a_film_makes_the_same_film_again(frames, fps, rate):
    samples = film_sound(torch.zeros(1, 1, rate), rate, 0.0, frames / fps)["waveform"].shape[-1]
    assert timing.whole_frames(samples / rate, fps) == frames


def test_two_editions_in_one_file_are_an_error():
    content = published(network().state_dict())
    content["diffusion_model"] = {"blocks.0.cross_attn.k_proj.weight": torch.ones(12, 8)}
    with pytest.raises(ValueError, match="left over are diffusion_model.blocks.0"):
        fantasytalking_state(content)
