"""ACTalker as a core MODEL: core's sampler, windows and guidance give the official pipeline's numbers."""

import dataclasses

import comfy.sample
import comfy.samplers
import comfy.sd
import latent_preview
import pytest
import torch
from comfy.cli_args import LatentPreviewMethod, args
from talking_portrait.models.actalker import sampling
from talking_portrait.models.actalker.checkpoint import unet_state
from talking_portrait.models.actalker.conditioning import (
    Gate,
    Scene,
    Stream,
    conditioning,
    film_frames,
    padded,
)
from talking_portrait.models.actalker.context import ShiftedWindows, with_windows
from talking_portrait.models.actalker.core_model import AS_TRAINED, Liveliness, core_state, load_core_model
from talking_portrait.models.actalker.guidance import ACTalkerGuider, with_guidance
from talking_portrait.models.actalker.projectors import IdentityProjector, PoseGuider
from talking_portrait.models.actalker.regions import Regions
from talking_portrait.models.actalker.unet import time_id_embedding
from talking_portrait.models.face_motion.curve import Curve
from talking_portrait.tools.golden_cases.actalker import loaded, tiny_vae, weights
from talking_portrait.tools.golden_cases.actalker_pipeline import LATENT_SCALE
from talking_portrait.tools.goldens import COPIES, GoldenCase

PATH = COPIES / "actalker" / "pipeline_tiny.public.golden.json"


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def case():
    return GoldenCase(PATH)


@pytest.fixture(scope="module")
def model(case):
    """The golden's tiny UNet as core loads models."""
    config = case.data["config"]["unet"]
    with torch.inference_mode():
        return load_core_model(
            unet_state(weights(case, "unet")),
            torch.float32,
            config["block_out_channels"][0] // config["num_attention_heads"][0],
        )


@pytest.fixture(scope="module")
def scene(case):
    given = case.inputs
    with torch.inference_mode():
        encoder, _ = tiny_vae(weights(case, "vae"))
        identity, guider = weights(case, "id_proj_model"), weights(case, "pose_guider")
        projector = loaded(
            IdentityProjector(512, identity["proj1.bias"].numel(), identity["proj3.bias"].numel()), identity
        )
        pose = loaded(PoseGuider(guider["conv_out.bias"].numel()), guider)(given["pose"][None])
        return Scene(encoder(2 * given["ref_img"] - 1)[:, :4], projector(given["id_embed"])[0], pose)


def film(case, scene, mode: str, liveliness: Liveliness = AS_TRAINED):
    """Positive, negative and latent of one mode of the golden."""
    padding = case.data["config"]["frames_per_batch"]
    given, count = case.inputs, case.data["config"]["num_frames"]
    heard, seen = (
        Stream(given["audio"], given["audio_uncond"]),
        Stream(given["motion"], given["motion_uncond"]),
    )
    face, nothing = given["pose"][None, :1], torch.zeros_like(given["pose"][None, :1])
    gates = Gate(), Gate()
    if mode == "mode0_audio":
        return conditioning(scene, count, heard, None, gates, Regions(face, nothing), padding, liveliness)
    if mode == "mode1_motion":
        return conditioning(scene, count, None, seen, gates, Regions(nothing, face), padding, liveliness)
    return conditioning(scene, count, heard, seen, gates, Regions(), padding, liveliness)


def check(case, mode: str, latents: torch.Tensor) -> None:
    wanted = case.data["outputs"][f"{mode}_latents"]
    values = torch.tensor(wanted["values"])
    got = (latents * LATENT_SCALE).flatten()[torch.tensor(wanted["idx"])]
    assert (got - values).abs().max() <= 1e-4 * values.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "mode"), [("model option", "mode0_audio"), ("guider", "mode1_motion"), ("guider", "mode2_both")]
)
def test_core_samples_the_official_film(case, model, scene, mode, way):
    config = case.data["config"]
    positive, negative, latent = film(case, scene, mode)
    windowed = with_windows(model, config["frames_per_batch"], config["overlap"], config["shift_offset"])
    noise, steps, sampler = case.inputs["latents"][0], config["steps"], comfy.samplers.sampler_object("euler")
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "karras", steps)
    if way == "guider":
        guider = ACTalkerGuider(windowed, positive, config["guidance"])
        result = guider.sample(noise, latent, sampler, sigmas, seed=0)
    else:
        guided = with_guidance(windowed, config["guidance"])
        result = comfy.sample.sample(
            guided,
            noise,
            steps,
            1.0,
            "euler",
            "karras",
            positive,
            negative,
            latent,
            seed=0,
            disable_pbar=True,
        )
    check(case, mode, result)


@pytest.mark.slow
def test_liveliness_reaches_the_network(case, model, scene):
    """The trained numbers give the golden's film; each other number gives another, in both branches of plain
    guidance."""

    def sampled(liveliness: Liveliness) -> torch.Tensor:
        positive, negative, latent = film(case, scene, "mode2_both", liveliness)
        noise = case.inputs["latents"][0]
        return comfy.sample.sample(
            model, noise, 1, 2.0, "euler", "karras", positive, negative, latent, seed=0, disable_pbar=True
        )  # fmt: skip

    trained = sampled(AS_TRAINED)
    assert torch.equal(sampled(Liveliness(12.0, 20.0, 1.25)), trained)
    for name, value in (("motion_bucket", 30), ("expression_bucket", 40), ("adapter_scale", 0.0)):
        changed = sampled(dataclasses.replace(AS_TRAINED, **{name: value}))
        assert (changed - trained).abs().max() > 1e-3 * trained.abs().max(), name


def test_without_adapters_sound_acts_through_the_mamba_layers_alone(model, case):
    """Scale 0 equals streams that the attention does not hear, while the mamba layers still do."""
    given = small_call(case.data["config"]["unet"])
    plain, halved, none = (
        model.model.apply_model(**given, adapter_scale=scale) for scale in (1.25, 0.6, 0.0)
    )
    assert (plain - halved).abs().max() > 1e-4 and (halved - none).abs().max() > 1e-4
    closed = model.model.apply_model(
        **{key: value for key, value in given.items() if key not in ("audio", "motion")}
    )
    assert (none - closed).abs().max() > 1e-4


def test_windows_are_core_s_handler():
    handler = ShiftedWindows(25, 0, 7)
    handler._step = 3
    found = handler._indices(60, handler, {})
    assert found == list(sampling.windows(60, 3)) and not handler.causal_window_fix
    with pytest.raises(ValueError, match="overlap is 25"):
        ShiftedWindows(25, 25)


def test_a_latent_of_another_film_is_refused(case, model, scene):
    positive, negative, latent = film(case, scene, "mode2_both")
    guided = with_guidance(model, (2.0, 7.5, 3.0))

    def sample(given, condition=positive):
        comfy.sample.sample(
            guided,
            torch.zeros_like(given),
            1,
            1.0,
            "euler",
            "karras",
            condition,
            negative,
            given,
            seed=0,
            disable_pbar=True,
        )

    with pytest.raises(ValueError, match="holds 5 frames of 64x64 pixels, but the conditioning 7 of 64x64"):
        sample(latent[:5])
    with pytest.raises(ValueError, match="ACTalker Conditioning"):
        sample(latent, [[torch.zeros(1, 1, 48), {}]])


LORA_KEYS = (  # Stable Video Diffusion's own, and ACTalker's
    "input_blocks.1.1.transformer_blocks.0.attn1.to_q", "output_blocks.5.1.time_stack.0.attn2.to_v",
    "input_blocks.4.1.mamba_blocks.0.in_proj1",
    "input_blocks.2.1.transformer_blocks.0.attn2.processor.to_v_ip.0",
)  # fmt: skip


def lora(state: dict[str, torch.Tensor], rank: int = 2) -> dict[str, torch.Tensor]:
    make = torch.Generator().manual_seed(0)
    made = {}
    for key in LORA_KEYS:
        outputs, inputs = state[f"{key}.weight"].shape
        made[f"diffusion_model.{key}.lora_up.weight"] = torch.randn(outputs, rank, generator=make)
        made[f"diffusion_model.{key}.lora_down.weight"] = torch.randn(rank, inputs, generator=make)
    return made


def small_call(config: dict) -> dict[str, torch.Tensor]:
    """Random conditions of three frames, as core hands them to the model."""
    make = torch.Generator().manual_seed(1)
    context, width = config["cross_attention_dim"], config["block_out_channels"][0]
    shapes = {
        "x": (3, 4, 8, 8), "c_crossattn": (3, 1, context), "c_concat": (3, 4, 8, 8),
        "audio": (3, 32, context),
        "motion": (3, 1, context), "pose": (1, width, 8, 8),
    }  # fmt: skip
    given = {name: torch.randn(shape, generator=make) for name, shape in shapes.items()}
    y = time_id_embedding(config["addition_time_embed_dim"]).expand(3, -1)
    return {**given, "t": torch.full((3,), 3.0), "y": y, "num_video_frames": 3}


@pytest.mark.slow
def test_offloading_changes_nothing_and_a_lora_acts_on_every_part(case):
    """All in memory, or every layer that core can offload brought in when it is needed: with a LoRA on top,
    the same numbers."""
    state = unet_state(weights(case, "unet"))
    config = case.data["config"]["unet"]

    def denoised(loras: dict, memory: int) -> torch.Tensor:
        model = load_core_model(
            dict(state), torch.float32, config["block_out_channels"][0] // config["num_attention_heads"][0]
        )
        patched, _ = comfy.sd.load_lora_for_models(model, None, loras, 0.1, 0.0)
        assert set(patched.patches) == (
            {f"diffusion_model.{key}.weight" for key in LORA_KEYS} if loras else set()
        )
        patched.load(patched.load_device, lowvram_model_memory=memory)
        assert patched.model.model_lowvram == (memory == 1)
        assert patched.model.lowvram_patch_counter == (len(loras) // 2 if memory == 1 else 0)
        return patched.model.apply_model(**small_call(config))

    plain, whole, offloaded = denoised({}, 10**12), denoised(lora(state), 10**12), denoised(lora(state), 1)
    assert (whole - plain).abs().max() > 1e-2
    assert torch.allclose(offloaded, whole, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float16, 3e-3), (torch.bfloat16, 3e-2), (torch.float8_e4m3fn, 0.3)]
)
def test_every_precision_of_the_loader_runs(case, model, dtype, limit):
    config = case.data["config"]["unet"]
    state = unet_state(weights(case, "unet"))
    small = load_core_model(state, dtype, config["block_out_channels"][0] // config["num_attention_heads"][0])
    assert small.model.diffusion_model.input_blocks[0][0].weight.dtype == dtype
    wanted, got = (patcher.model.apply_model(**small_call(config)) for patcher in (model, small))
    assert 0 < (got - wanted).norm() / wanted.norm() < limit


def test_core_s_sampler_can_show_previews(case, model, scene, monkeypatch):
    positive, negative, latent = film(case, scene, "mode0_audio")
    shown = []
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    comfy.sample.sample(
        model, case.inputs["latents"][0], 2, 1.0, "euler", "karras", positive, negative, latent, seed=0,
        disable_pbar=True,
        callback=lambda step, x0, x, steps: shown.append(previewer.decode_latent_to_preview(x0)),
    )  # fmt: skip
    assert [picture.size for picture in shown] == [tuple(latent.shape[-2:])] * 2


def test_gates_change_over_the_film_and_close():
    tokens = torch.ones(5, 2, 3)
    moved, none = padded(Stream(tokens, torch.full((2, 3), 0.5)), Gate(0.0, 1.0), 5, 25)
    assert moved.shape == (30, 2, 3) and moved[:5, 0, 0].tolist() == [0, 0.25, 0.5, 0.75, 1.0]
    assert (moved[5:] == 0.5).all() and none[:5, 0, 0].tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert Gate(0, 0).closed and not Gate(0, 0.1).closed


def test_a_gate_follows_a_curve_over_seconds_and_the_padding_its_end():
    opened = Gate(0.5, 0.5, Curve(((0.08, 0.0), (0.16, 1.0))))
    moved, none = padded(Stream(torch.ones(4, 2, 3), torch.ones(2, 3)), opened, 4, 25)
    assert (
        moved[:4, 0, 0].tolist() == pytest.approx([0, 0, 0.5, 0.5])
        and (moved[4:] == 0.5).all()
        and (none == moved).all()
    )
    assert Gate(1, 1, Curve.constant(0)).closed and not opened.closed


def test_the_film_is_as_long_as_all_that_drives_it():
    long, short = (
        Stream(torch.zeros(9, 1, 2), torch.zeros(1, 2)),
        Stream(torch.zeros(4, 1, 2), torch.zeros(1, 2)),
    )
    assert film_frames([long, short], 0) == 4 and film_frames([long], 3) == 3 and film_frames([], 6) == 6
    with pytest.raises(ValueError, match="frames is 5, but audio and motion last 9 and 4 frames"):
        film_frames([long, short], 5)
    with pytest.raises(ValueError, match="neither audio nor motion"):
        film_frames([], 0)


def test_other_files_are_refused_by_what_they_are(case):
    state = unet_state(weights(case, "unet"))
    saved = {f"model.diffusion_model.{key}": value for key, value in state.items()}
    assert core_state(saved).keys() == state.keys()
    plain = {key: value for key, value in state.items() if "mamba" not in key and "processor" not in key}
    with pytest.raises(ValueError, match="plain Stable Video Diffusion"):
        core_state(plain)
    with pytest.raises(ValueError, match="no tensor of ACTalker"):
        core_state({"encoder.weight": torch.zeros(1)})
    lacking = {key: value for key, value in state.items() if "input_blocks.4.1.mamba_blocks" not in key}
    with pytest.raises(ValueError, match="of its tensors are missing, such as input_blocks.4.1.mamba_blocks"):
        load_core_model(lacking, torch.float32, 16)
