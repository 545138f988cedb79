"""Where nobody speaks the mouth rests, in both engines that ship with the pack; where somebody does, it is
heard as before."""

import numpy as np
import pytest
import torch
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.speech import presence as presence_module
from talking_portrait.models.speech.features import log_mel_block
from talking_portrait.models.speech.presence import AHEAD, speech_presence
from talking_portrait.models.speech.silence import silence_gate

from .shipped_engines import (
    JAW,
    RATE,
    ROOT,
    chords_and_drums,
    clips,
    decibels,
    jaw,
    moved,
    noise,
    sample,
    shipped_builtin,
    shipped_takin,
)

AT_REST = 0.02


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module", params=["built-in", "Takin-ADA"])
def engine(request):
    return shipped_builtin() if request.param == "built-in" else shipped_takin()


def log_mel(sound: np.ndarray) -> np.ndarray:
    return log_mel_block(sound.astype(np.float32), 0, len(sound) // 160)[0]


def empty_sounds() -> dict[str, np.ndarray]:
    time, random = np.arange(6 * RATE) / RATE, np.random.default_rng(3)
    clicks = noise(6, -70)
    clicks[random.integers(0, len(clicks), 14)] = 0.5
    return {
        **{f"room tone at {level} dB": noise(6, level, seed=-level) for level in (-70, -60, -50, -40)},
        **{f"{name} noise at -20 dB": noise(6, -20, tilt) for name,
        tilt in (("white", 0.0), ("pink", 0.5), ("brown", 1.0))},
        "hum": 0.03 * np.sin(100 * np.pi * time) + 0.01 * np.sin(300 * np.pi * time) + noise(6, -65),
        "clicks": clicks,
        "siren": 0.1 * np.sin(2 * np.pi * np.cumsum(900 + 500 * np.sin(2 * np.pi * 0.4 * time)) / RATE),
        "chords and drums": chords_and_drums(6, -25),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", empty_sounds())
def test_the_mouth_rests_where_nobody_speaks(engine, name):
    assert np.abs(jaw(engine, empty_sounds()[name])).mean() <= AT_REST


@pytest.mark.parametrize("seconds", [0.3, 1.2, 20.0])
def test_an_empty_room_of_any_length_is_at_rest_and_alive(engine, seconds):
    motion = moved(engine, noise(seconds, -50))
    assert motion.controls[:, CONTROLS.index("jawOpen")].abs().mean() <= AT_REST
    if seconds > 2:
        assert (
            motion.controls[:, CONTROLS.index("eyeBlinkLeft")].max() > 0.5 and motion.pose.std(0).max() > 0.2
        )


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [5, 40])
def test_a_few_words_in_a_long_room_tone_are_spoken_as_they_are_alone(engine, seconds):
    words = np.pad(clips("rms_000")["rms_000"]["wave"][: 3 * RATE // 2], RATE)
    tone = noise(3.5 + seconds, -50, seed=2)
    tone[: len(words)] += words
    alone, among = jaw(engine, words), jaw(engine, tone)
    assert np.abs(among[70:]).mean() <= AT_REST and np.abs(among[:22]).mean() <= AT_REST, (
        "the mouth talks in the tone"
    )
    assert np.abs(among[24:64] - alone[24:64]).mean() < 0.04 and alone[24:64].mean() > 0.1


def test_music_under_a_pause_does_not_move_the_mouth(engine):
    first, second = (clip["wave"][: 2 * RATE] for clip in list(clips("rms").values())[:2])
    sound = np.concatenate([first, np.zeros(4 * RATE, np.float32), second])
    level = 20 * np.log10(first.std()) - 19
    opened = jaw(engine, sound + chords_and_drums(8, level))
    assert np.abs(opened[60:145]).mean() <= AT_REST and opened[:50].mean() > 0.05


@pytest.mark.parametrize(
    "voice", ["rms_000", "espeak-en-us_003", "espeak-en-f3_017", "festival-ked-diphone_005"]
)
@pytest.mark.parametrize("harm", ["quiet", "noisy"])
def test_quiet_and_noisy_speech_is_still_speech(voice, harm):
    sound = clips(voice)[voice]["wave"]
    noisy = sound + noise(len(sound) / RATE, 20 * np.log10(sound.std()) - 15)
    heard = sound / sound.std() * decibels(-45) if harm == "quiet" else noisy
    gates = [silence_gate(log_mel_block(w.astype(np.float32), 0, len(w) // 160)[1], -38.0,
        speech_presence(log_mel(w)))[0]
             for w in (sound, heard)]  # fmt: skip
    loud = log_mel_block(sound, 0, len(sound) // 160)[1] > 20 * np.log10(sound.std()) - 12
    assert gates[0][loud].mean() > 0.97 and gates[1][loud].mean() > 0.95


@pytest.mark.parametrize("voice", ["rms_000", "rms_014", "espeak-en-us_003", "festival-ked-diphone_005"])
def test_no_sound_inside_a_word_is_taken_for_silence(voice):
    clip = clips(voice)[voice]
    mel, loudness = log_mel_block(clip["wave"], 0, len(clip["wave"]) // 160)
    gate = silence_gate(loudness, -38.0, speech_presence(mel))[0]
    frames = gate[: len(gate) // 4 * 4].reshape(-1, 4).mean(1)[: len(clip["viseme"])]
    spoken = clip["viseme"][: len(frames)] > 0
    inside = spoken & np.roll(spoken, 2) & np.roll(spoken, -2)
    assert np.mean(frames[inside] > 0.9) > 0.985


def test_the_artist_s_threshold_still_decides_what_is_too_quiet(engine):
    loud, soft = (clip["wave"][: 2 * RATE] for clip in list(clips("rms").values())[:2])
    sound = np.concatenate([loud, soft * decibels(-25)])
    usual, strict = (
        moved(engine, sound, silence_threshold=level).controls[55:, JAW].abs().mean()
        for level in (-38.0, -15.0)
    )
    assert usual > 0.05 and strict < AT_REST


def test_what_is_told_of_a_moment_needs_a_third_of_a_second_of_what_follows():
    first, later = sample()[: 4 * RATE], sample()[: 4 * RATE].copy()
    later[3 * RATE :] += noise(1.0, -10)
    told, changed = speech_presence(log_mel(first)), speech_presence(log_mel(later))
    np.testing.assert_allclose(told[: 298 - AHEAD], changed[: 298 - AHEAD], atol=1e-6)
    assert np.abs(told - changed).max() > 0.1 and AHEAD <= 32
    np.testing.assert_allclose(speech_presence(log_mel(first), 150, 230), told[150:230], atol=1e-5)


@pytest.mark.parametrize("gain", [-50, -20, 6])
def test_whether_it_is_speech_does_not_hang_on_how_loud_it_is(gain):
    sound = clips("rms_007")["rms_007"]["wave"]
    usual, other = (speech_presence(log_mel(w)) for w in (sound, sound * decibels(gain)))
    assert np.mean((usual > 0.5) == (other > 0.5)) > 0.95


@pytest.mark.parametrize("spoil", ["missing", "truncated", "other"])
def test_a_damaged_file_is_named(tmp_path, monkeypatch, spoil):
    path = tmp_path / "presence.safetensors"
    if spoil != "missing":
        shipped = (
            ROOT
            / "models/builtin/weights"
            / ("speech.safetensors" if spoil == "other" else "presence.safetensors")
        )
        path.write_bytes(shipped.read_bytes()[: 9000 if spoil == "truncated" else None])
    monkeypatch.setattr(presence_module, "weight_path", lambda weight: path)
    with pytest.raises(ValueError, match="presence.safetensors is missing or damaged"):
        presence_module.presence_net.__wrapped__()
