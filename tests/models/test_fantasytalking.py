"""FantasyTalking's files, timing, sound and picture."""

from types import SimpleNamespace

import folder_paths
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.models.fantasytalking import audio, timing
from talking_portrait.models.fantasytalking.checkpoint import fantasytalking_state
from talking_portrait.models.fantasytalking.network import FantasyTalking, build_fantasytalking
from talking_portrait.models.fantasytalking.patch import with_audio_condition
from talking_portrait.models.fantasytalking.picture import prepared_picture
from talking_portrait.models.fantasytalking.windows import audio_windows
from talking_portrait.models.speech.sound import mono
from talking_portrait.models.speech.wav2vec2 import check_is_960h, check_length, normalised
from talking_portrait.nodes.fantasytalking import (
    ApplyFantasyTalking,
    FantasyTalkingAudio,
    FantasyTalkingFaceFocus,
    FantasyTalkingPicture,
    LoadFantasyTalking,
    film_frames,
    film_sound,
)  # fmt: skip
from talking_portrait.nodes.older import LoadWav2Vec2
from talking_portrait.tools.goldens import COPIES, GoldenCase


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


ADAPTER = SimpleNamespace(patcher=None, ready=None, device=None)
ENCODER = SimpleNamespace(encode_audio=None, kind="wav2vec2-base-960h", core=None)
PROMPT = [[torch.zeros(1, 4, 8), {}]]


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
        content = {
            key.replace("audio_processor.", start).replace(".processor", ""): value
            for key, value in content.items()
        }
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
        content["audio_processor"] = {
            f"wrong.{key}": value for key, value in content["audio_processor"].items()
        }
    with pytest.raises(ValueError, match="attention tensors were found"):
        fantasytalking_state(content)


def test_another_encoder_of_the_same_shapes_is_refused():
    check_is_960h({"lm_head.weight": torch.zeros(32, 768)})
    with pytest.raises(ValueError, match="such as chinese-wav2vec2-base"):
        check_is_960h({"quantizer.codevectors": torch.zeros(1)})
    with pytest.raises(ValueError, match="lm_head.weight"):
        check_is_960h({})
    other, sound = (
        SimpleNamespace(encode_audio=None),
        {"waveform": torch.zeros(1, 1, 16000), "sample_rate": 16000},
    )
    with pytest.raises(
        ValueError, match="^FantasyTalking Audio: audio_encoder comes from another loader.*wav2vec2-base-960h"
    ):
        FantasyTalkingAudio.execute(ADAPTER, other, sound, PROMPT, 0, 23.0, audio.FITS[0])


def test_batches_where_one_is_wanted_are_errors():
    two = {"waveform": torch.zeros(2, 1, 16000), "sample_rate": 16000}
    with pytest.raises(ValueError, match="FantasyTalking Audio: audio holds 2 clips"):
        FantasyTalkingAudio.execute(ADAPTER, ENCODER, two, PROMPT, 0, 23.0, audio.FITS[0])
    with pytest.raises(ValueError, match="FantasyTalking Picture: image holds 2 pictures"):
        FantasyTalkingPicture.execute(torch.zeros(2, 8, 8, 3), 512)
    with pytest.raises(ValueError, match="region holds 2 masks"):
        ApplyFantasyTalking.execute(SimpleNamespace(model=None), ADAPTER, 1.0, True, torch.ones(2, 8, 8))


def test_what_would_do_nothing_is_said():
    model, region = SimpleNamespace(model=None), torch.ones(1, 8, 8)
    with pytest.raises(ValueError, match="region is black everywhere"):
        ApplyFantasyTalking.execute(model, ADAPTER, 1.0, True, 0 * region)
    with pytest.raises(ValueError, match="audio_scale is 0, so nobody hears and region would do nothing"):
        ApplyFantasyTalking.execute(model, ADAPTER, 0.0, True, region)
    once = with_audio_condition(PROMPT, torch.randn(1, 2, 3, 4))
    with pytest.raises(ValueError, match="positive carries audio already"):
        with_audio_condition(once, torch.randn(1, 2, 3, 4))


@pytest.mark.parametrize(
    "shape, words", [((2, 257, 1280), "of 2 pictures"), ((1, 257, 1024), "257 tokens of width 1024")]
)
def test_a_face_of_another_clip_is_refused(shape, words):
    face = SimpleNamespace(penultimate_hidden_states=torch.zeros(shape))
    with pytest.raises(ValueError, match=f"^FantasyTalking Face Focus .experimental.: face .*{words}"):
        FantasyTalkingFaceFocus.execute(PROMPT, face, 0.5)


@pytest.mark.parametrize("shape", [(1, 20, 30, 1), (1, 20, 30, 4), (1, 1, 3000, 3)])
def test_every_kind_of_picture_is_brought_to_size(shape):
    picture, width, height = FantasyTalkingPicture.execute(torch.rand(shape), 512).result
    assert picture.shape == (1, height, width, 3) and max(width, height) == 512 and min(width, height) >= 16


@pytest.fixture
def menus(tmp_path, monkeypatch):
    """Folders of the loaders' menus."""
    for folder in ("model_patches", "audio_encoders"):
        monkeypatch.setitem(
            folder_paths.folder_names_and_paths, folder, ([str(tmp_path)], {".safetensors", ".ckpt", ".pt"})
        )
    folder_paths.filename_list_cache.clear()
    yield tmp_path
    folder_paths.filename_list_cache.clear()


@pytest.mark.parametrize("content, kept", [
    (torch.float16, torch.float16), (torch.bfloat16, torch.bfloat16), (torch.float32, torch.float32),
    (torch.float64, torch.float32),
])  # fmt: skip
@pytest.mark.parametrize("name", ["weights.safetensors", "weights_fp16.safetensors", "weights_fp16.ckpt"])
def test_the_precision_is_that_of_the_file_not_of_its_name(menus, name, content, kept):
    state = {key: value.to(content) for key, value in network().state_dict().items()}
    if name.endswith(".ckpt"):
        torch.save(published(state), menus / name)
    else:
        save_file(
            {
                key.replace("blocks", "audio_processor.blocks"): value
                for key, value in unnested(state).items()
            },
            menus / name,
        )
    model = LoadFantasyTalking.execute(name).result[0]
    assert {parameter.dtype for parameter in model.patcher.model.parameters()} == {kept}
    assert LoadFantasyTalking.execute(name).result[0].patcher is model.patcher


def unnested(state: dict) -> dict:
    """The flat names of the safetensors edition, without their first part."""
    flat = published(state)
    return {f"proj_model.{key}": value for key, value in flat["proj_model"].items()} | flat["audio_processor"]


def test_a_speech_encoder_is_loaded_once_and_whole(menus):
    """A file that lacked tensors was taken with random ones in their place."""
    manifest = GoldenCase(COPIES / "fantasytalking" / "ft_wav2vec2.public.golden.json").manifest(
        "wav2vec2_base_960h"
    )
    state = {key: torch.zeros(shape) for key, shape in manifest["keys"].items()} | {
        "lm_head.weight": torch.zeros(32, 768)
    }
    save_file(state, menus / "wav2vec2.safetensors")
    first, second = (LoadWav2Vec2.execute("wav2vec2.safetensors").result[0] for _ in range(2))
    assert first is second and first.kind == "wav2vec2-base-960h"
    save_file(
        {key: value for key, value in state.items() if ".layers.7." not in key}, menus / "cut.safetensors"
    )
    folder_paths.filename_list_cache.clear()
    with pytest.raises(
        ValueError,
        match="^Load Speech Encoder .float32. .older.: .*cut.safetensors cannot be used: 16 of its .*missing",
    ):
        LoadWav2Vec2.execute("cut.safetensors")
    (menus / "bad.safetensors").write_bytes(b"nothing")
    folder_paths.filename_list_cache.clear()
    with pytest.raises(ValueError, match="^Load Speech Encoder .*bad.safetensors cannot be read"):
        LoadWav2Vec2.execute("bad.safetensors")


def test_sound_longer_than_the_film_is_cut_and_shorter_is_filled_or_stretched():
    wave, samples = np.arange(1, 16001, dtype=np.float32), timing.samples_of(9)
    cut = audio.segment(wave, 9, 23.0, audio.FITS[0])
    assert np.array_equal(cut, wave[:samples]) and np.array_equal(
        cut, audio.segment(wave, 9, 23.0, audio.FITS[1])
    )
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
    """Parts of 81 frames, each from the last frame of the one before: all latent frames hear their own time
    in the whole film."""
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
    stereo = (
        torch.stack([torch.ones(44100), -torch.ones(44100)]) * torch.randn(44100) + torch.randn(44100) * 0.01
    )
    wave = mono(stereo, 44100)
    ready = normalised(wave)
    assert len(wave) == 16000 and abs(float(ready.mean())) < 1e-5 and abs(float(ready.std()) - 1) < 0.01


def test_pictures_get_sides_of_multiples_of_16():
    assert prepared_picture(torch.rand(333, 517, 4), 512).shape == (336, 512, 3)


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


def test_speech_too_long_for_the_memory_is_refused_with_what_would_fit():
    with pytest.raises(
        ValueError, match=r"audio of 60 min needs 47.2 GB.*but 8.0 GB are free. Set frames to at most 10 min"
    ):
        check_length(3600 * 16000, 8_000_000_000)
    check_length(300 * 16000, 8_000_000_000)
