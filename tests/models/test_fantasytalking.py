"""FantasyTalking's files, timing, sound and picture."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from talking_portrait.models.fantasytalking import audio, timing
from talking_portrait.models.fantasytalking.checkpoint import fantasytalking_state
from talking_portrait.models.fantasytalking.network import FantasyTalking, build_fantasytalking
from talking_portrait.models.fantasytalking.picture import prepared_picture
from talking_portrait.models.fantasytalking.speech_encoder import MARK, check_is_960h
from talking_portrait.models.fantasytalking.windows import audio_windows
from talking_portrait.models.sound import mono
from talking_portrait.nodes.fantasytalking import (
    ApplyFantasyTalking,
    FantasyTalkingAudio,
    FantasyTalkingPicture,
    film_frames,
    film_sound,
)  # fmt: skip


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


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
