"""ACTalker's networks and sampling: what must hold for any weights (for the published numbers see test_goldens)."""

import json
from fractions import Fraction
from pathlib import Path

import comfy.ops
import numpy as np
import pytest
import torch
from talking_portrait.models.actalker import geometry, pictures, sampling
from talking_portrait.models.actalker.attention import OPTION, ControlledTransformer, Streams
from talking_portrait.models.actalker.checkpoint import unet_key, unet_state
from talking_portrait.models.actalker.parallel_control_mamba import ParallelControlMamba
from talking_portrait.models.actalker.regions import Regions, level_region
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config
from talking_portrait.models.face import boxes
from talking_portrait.models.speech.whisper import log_mel
from talking_portrait.tools import goldens
from talking_portrait.tools.golden_cases import actalker_pipeline as published
from talking_portrait.tools.golden_cases.actalker import tiny_vae
from talking_portrait.tools.golden_cases.actalker_vae import vae_state

GOLDENS = Path(__file__).resolve().parent.parent / "data" / "goldens"
FOLDER = GOLDENS / "actalker"
CPU = torch.device("cpu")


FILL = goldens.helper(GOLDENS, "fill")


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def filled(network: torch.nn.Module) -> torch.nn.Module:
    """Weights by name, as in the goldens, with a long memory."""
    state = FILL.state_dict({key: value.shape for key, value in network.state_dict().items()}, "any")
    for key, value in state.items():
        state[key] = (
            value - 4 if key.endswith("A_logs") else 6 * value if key.endswith("x_proj_weight") else value
        )
    network.load_state_dict(state)
    return network.eval()


def tokens(rows: int = 2, length: int = 40):
    return (
        torch.randn(rows, length, 32),
        torch.randn(rows, 1, 48),
        torch.randn(rows, 32, 48),
        torch.randn(rows, 1, 48),
    )


def test_a_closed_gate_is_an_empty_mask_and_changes_nothing():
    layer = filled(ParallelControlMamba(32, 48))
    x, identity, audio, motion = tokens()
    none = torch.empty(0, dtype=torch.long)
    closed = layer(x, identity, None, None)
    assert torch.equal(closed, layer(x, identity, audio, motion, none, none))
    plain = layer.in_proj1(x) + layer.in_proj2(x)
    assert torch.equal(closed, layer.out_proj(layer.out_norm(plain)))


def test_sound_reaches_only_the_tokens_of_its_mask():
    layer = filled(ParallelControlMamba(32, 48))
    x, identity, audio, motion = tokens()
    mouth = torch.arange(20, 35)
    change = layer(x, identity, audio, motion, mouth, None) - layer(
        x, identity, audio + 1, motion, mouth, None
    )
    moved = change.abs().amax((0, 2)) > 0
    assert moved[20:35].all() and not moved[:20].any() and not moved[35:].any()


def test_frames_do_not_see_each_other_in_the_mamba_layer():
    layer = filled(ParallelControlMamba(32, 48))
    given = tokens(3)
    alone = layer(*(value[1:2] for value in given))
    assert torch.allclose(layer(*given)[1:2], alone, atol=1e-6)


def test_many_rows_are_scanned_in_parts_with_the_same_result(monkeypatch):
    layer = filled(ParallelControlMamba(32, 48))
    given = tokens(5)
    whole = layer(*given)
    monkeypatch.setattr("talking_portrait.models.actalker.parallel_control_mamba.ROWS_ON_CPU", 1)
    assert torch.allclose(layer(*given), whole, atol=1e-6)


def test_comfyui_casts_half_precision_weights_to_the_input():
    exact = filled(ParallelControlMamba(32, 48))
    halved = ParallelControlMamba(32, 48, dtype=torch.float16, operations=comfy.ops.manual_cast)
    halved.load_state_dict(exact.state_dict())
    assert halved.audio_unit.A_logs.dtype == torch.float32 and halved.in_proj1.weight.dtype == torch.float16
    given = tokens()
    out = halved(*given)
    assert out.dtype == torch.float32
    assert (out - exact(*given)).abs().max() < 2e-2
    native = filled(ParallelControlMamba(32, 48)).to(torch.bfloat16)
    assert native(*(value.bfloat16() for value in given)).dtype == torch.bfloat16


def test_time_attention_takes_its_context_from_the_whole_clip():
    layer = filled(ControlledTransformer(32, 2, 16, 48, mamba=False))
    x, identity, audio, motion = torch.randn(6, 32, 4, 4), *(torch.randn(6, n, 48) for n in (1, 32, 1))

    def mixed(audio, motion):
        return layer(x, identity, timesteps=3, transformer_options={OPTION: Streams(audio, motion)})

    swapped = audio[[1, 0, 2, 3, 4, 5]]
    change = (mixed(audio, motion) - mixed(swapped, motion)).abs().amax((1, 2, 3))
    assert (change[:2] > 1e-4).all() and (change[3:] == 0).all()
    assert torch.allclose(
        mixed(torch.zeros_like(audio), torch.zeros_like(motion)), mixed(None, None), atol=1e-5
    )


def test_a_mask_selects_only_what_reaches_one():
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 13:55, 11:52] = 1
    region = level_region(mask, 8, 8)
    assert region.tokens.tolist() == [8 * y + x for y in range(2, 7) for x in range(1, 6)]
    assert region.weight.min() < 0 and region.weight.max() > 1 and not region.closed
    middle = 8 * 4 + 3  # where nothing overshoots
    assert middle not in level_region(0.99 * mask, 8, 8).tokens.tolist()
    assert level_region(torch.zeros_like(mask), 8, 8).closed


@pytest.mark.parametrize("size", [(72, 72), (9, 16), (7, 11), (40, 23)])
def test_a_mask_of_ones_is_the_whole_picture_at_any_size(size):
    region = level_region(torch.ones(1, 1, 8 * 72, 8 * 72), *size)
    assert region.tokens is None and region.weight is None and not region.closed


def test_regions_are_computed_once_per_level():
    regions = Regions(torch.ones(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))
    audio, motion = regions.at(8, 8, CPU)
    assert regions.at(8, 8, CPU)[0] is audio and motion.closed and motion.tokens.numel() == 0


def shapes(name: str) -> dict[str, list[int]]:
    return json.loads((FOLDER / f"{name}.manifest.json").read_text())["keys"]


def test_the_published_unet_fits_tensor_for_tensor():
    published = shapes("unet")
    network = ACTalkerUNet(**unet_config(), device="meta")
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert {unet_key(key): shape for key, shape in published.items()} == own
    assert sum(value.numel() for value in network.state_dict().values()) == 1_775_460_842


def test_epsilons_are_those_of_the_published_network():
    network = ACTalkerUNet(**unet_config(), device="meta")
    found = {}
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.GroupNorm):
            found.setdefault(module.eps, set()).add(
                name.rsplit(".in_layers", 1)[0].rsplit(".out_layers", 1)[0]
            )
    assert found[1e-5] == {
        *(f"input_blocks.{i}.0{part}" for i in (10, 11) for part in ("", ".time_stack")),
        *(f"middle_block.{i}{part}" for i in (0, 2) for part in ("", ".time_stack")), "out.0",
    }  # fmt: skip


def tiny_call(network: ACTalkerUNet, **options) -> torch.Tensor:
    make = torch.Generator().manual_seed(1)
    x, pose, *streams = (
        torch.randn(shape, generator=make)
        for shape in ((4, 8, 16, 16), (1, 32, 16, 16), (4, 1, 48), (4, 32, 48), (4, 1, 48))
    )
    y = time_id_embedding(32).expand(4, -1)
    return network(
        x,
        torch.full((4,), 0.3),
        streams[0],
        y,
        audio=streams[1],
        motion=streams[2],
        pose=pose,
        num_video_frames=2,
        **options,
    )


def test_the_unet_runs_with_comfyui_casting_and_its_patches():
    settings = unet_config(32, 48, 16, 96)
    exact = filled(ACTalkerUNet(**settings))
    halved = ACTalkerUNet(**settings, dtype=torch.float16, operations=comfy.ops.manual_cast)
    halved.load_state_dict(exact.state_dict())
    wanted, seen = tiny_call(exact), []

    def look(n, context, value, options):
        seen.append((n.shape[0], context.shape[1]))
        return n, context, value

    options = {"patches": {"attn2_patch": [look], "input_block_patch": [lambda h, options: h]}}
    assert (tiny_call(halved) - wanted).norm() / wanted.norm() < 2e-2
    assert torch.equal(tiny_call(exact, transformer_options=options), wanted)
    assert len(seen) == 32 and OPTION not in options and len(options["patches"]["input_block_patch"]) == 1


def test_wrapped_names_are_understood():
    empty = torch.empty(0)
    names = list(shapes("unet"))
    assert (
        unet_state({f"module.{key}": empty for key in names}).keys()
        == unet_state({key: empty for key in names}).keys()
    )
    with pytest.raises(KeyError, match="no tensor of ACTalker"):
        unet_state({"text_model.embeddings.weight": empty})


def test_the_convolution_after_the_vae_encoder_is_folded_into_it():
    case = goldens.GoldenCase(FOLDER / "pipeline_tiny.public.golden.json")
    state = case.weights(case.data["weights"]["vae"])
    encoder, _ = tiny_vae(state)
    picture = torch.randn(1, 3, 64, 64)
    folded = encoder(picture)
    state["quant_conv.weight"], state["quant_conv.bias"] = torch.eye(8)[:, :, None, None], torch.zeros(8)
    plain, _ = tiny_vae(state)
    again = goldens.GoldenCase(FOLDER / "pipeline_tiny.public.golden.json").weights(
        case.data["weights"]["vae"]
    )
    wanted = torch.nn.functional.conv2d(plain(picture), again["quant_conv.weight"], again["quant_conv.bias"])
    assert torch.allclose(folded, wanted, atol=1e-4)
    assert not any("quant_conv" in key for key in vae_state(state))


def test_guidance_computes_each_different_branch_once():
    u, a, b, c = sampling.BRANCHES
    four = sampling.branch_weights((2.0, 7.5, 3.0))
    assert four == {u: -1.0, a: -5.5, b: 4.5, c: 3.0}
    assert sampling.branch_weights((2.0, 7.5, 3.0), motion=False) == {u: -1.0, a: -5.5, b: 7.5}
    heard = sampling.branch_weights((2.0, 7.5, 3.0), audio=False)
    assert heard == {u: -1.0, a: -1.0, (True, False, True): 3.0}
    assert sampling.branch_weights((1.0, 1.0, 1.0)) == {c: 1.0}
    for guidance in ((2.0, 7.5, 3.0), (1.0, 4.0, 4.0), (0.0, 0.0, 0.0)):
        for audio in (True, False):
            for motion in (True, False):
                assert sum(sampling.branch_weights(guidance, audio, motion).values()) == pytest.approx(1)


def test_dropping_equal_branches_is_exact():
    class Linear(torch.nn.Module):
        """Stands for the UNet: depends on everything that a branch sees."""

        def forward(self, x, timesteps, context, y, audio, motion, regions, pose, num_video_frames):
            seen = sum(tokens.mean((1, 2)) for tokens in (context, audio, motion) if tokens is not None)
            return x[:, :4] * 2 + x[:, 4:] + seen[:, None, None, None]

    audio, none = torch.randn(3, 32, 8), torch.randn(32, 8)
    same = {
        "picture": torch.randn(1, 4, 2, 2),
        "identity": torch.randn(1, 8),
        "audio": audio,
        "audio_none": none,
    }
    silent = {"motion": torch.zeros(3, 1, 8), "motion_none": torch.zeros(1, 8)}
    latents, sigma, frames = torch.randn(4, 4, 2, 2), torch.tensor(2.0), [1, 2, 3, 0]
    three = published.predict(Linear(), published.Conditions(**same), latents, sigma, frames)
    four = published.predict(Linear(), published.Conditions(**same, **silent), latents, sigma, frames)
    assert torch.allclose(three, four, atol=1e-5)
    assert not torch.allclose(three[0], three[2])  # frame 3 is padding: it hears nothing


@pytest.mark.parametrize(
    ("total", "length", "overlap", "shift"), [(60, 25, 0, 7), (26, 25, 6, 7), (7, 4, 1, 3), (25, 25, 24, 1)]
)
def test_windows_visit_every_frame_at_every_step(total, length, overlap, shift):
    for step in range(30):
        found = list(sampling.windows(total, step, length, overlap, shift))
        assert {frame for window in found for frame in window} == set(range(total))
        assert all(len(window) == length for window in found)


def test_an_overlap_without_a_way_forward_is_refused():
    with pytest.raises(ValueError, match="overlap is 25 frames"):
        list(sampling.windows(50, 0, 25, 25))


def test_only_asked_frames_are_decoded_in_chunks_from_the_first():
    seen = []

    def decoder(latents):
        seen.append(len(latents))
        return latents.repeat_interleave(8, -1).repeat_interleave(8, -2)[:, :3] * published.LATENT_SCALE

    latents = torch.randn(37, 4, 2, 2)
    frames = published.decode(decoder, latents, 12)
    assert seen == [10, 10] and frames.shape == (12, 3, 16, 16)
    assert torch.allclose(frames[:, :, ::8, ::8], latents[:12, :3])


def test_time_ids_are_said_as_they_are():
    said = time_id_embedding(256)
    assert said.shape == (1, 768)
    first = torch.tensor([12.5, 12.0, 20.0])
    assert torch.allclose(said.reshape(3, 256)[:, 0], first.cos()) and torch.allclose(
        said.reshape(3, 256)[:, 128], first.sin()
    )


def test_speech_windows_are_centred_on_their_frame():
    hidden = torch.arange(1.0, 101.0)[:, None, None].expand(-1, 5, 2)
    found = published.speech_windows(hidden, 20)[..., 0, 0]
    assert found[0].tolist() == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert found[3].tolist() == list(range(9, 19))
    assert found[-1].tolist() == [33, 34, 35, 36, 37, 38, 39, 40, 0, 0]
    assert published.speech_windows(hidden, 21).shape == (11, 10, 5, 2)
    with pytest.raises(ValueError, match="too few for 60 frames"):
        published.speech_windows(hidden, 60)


def test_log_mel_is_that_of_whisper():
    transformers = pytest.importorskip("transformers")
    wave = torch.randn(50_000) * torch.linspace(0, 1, 50_000)
    wanted = transformers.WhisperFeatureExtractor(feature_size=80)(
        wave.numpy(), sampling_rate=16000, return_tensors="pt"
    )
    got = log_mel(wave)
    assert got.shape == (1, 80, 3000)
    assert (got - wanted.input_features).abs().max() < 1e-3
    assert log_mel(torch.randn(480_001)).shape == (2, 80, 3000)


def test_driving_frames_come_at_their_own_times():
    """A film whose second half has half the frames: by its mean rate the lips would be late by up to a
    quarter of it."""
    for count, fps in ((75, 25), (76, 25), (40, 12.5), (100, 50)):
        assert pictures.frames_shown(np.arange(count) / fps) == pytest.approx(
            pictures.frames_at(count, Fraction(fps)), abs=1
        )
    times = np.concatenate([np.arange(50) / 25, 2 + np.arange(25) / 12.5])
    chosen = pictures.frames_shown(times)
    assert len(chosen) == 50 and all(abs(times[index] - k / 12.5) < 0.05 for k, index in enumerate(chosen))


def test_boxes_stay_in_the_picture():
    assert boxes.grown_box((0, 0, 100, 100), 90, 80) == (0, 0, 90, 80)
    assert geometry.working_size(1000, 500) == (1152, 576)
    for box in ((0, 0, 30, 90), (600, 5, 640, 100), (100, 200, 500, 360)):
        x1, y1, x2, y2 = boxes.square_box(box, 0.9, 360, 640)
        assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360 and abs((x2 - x1) - (y2 - y1)) <= 1
        for aspect in ("1:1", "16:9", "9:16"):
            x1, y1, x2, y2 = published.box_of_aspect(box, aspect, 640, 360)
            assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360
    with pytest.raises(ValueError, match="4:3"):
        published.box_of_aspect((0, 0, 1, 1), "4:3", 640, 360)
