"""KDTalker as an engine: lengths, windows, seeds, amounts, bad statistics. Weights are random and small in effect."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings, Speech, mono_wave
from talking_portrait.models.face_motion import GROUPS
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.kdtalker.motion import read_statistics
from talking_portrait.models.kdtalker.network import position_buckets
from talking_portrait.models.kdtalker.sampling import sample_motion, timesteps
from talking_portrait.models.speech.wav2lip import encode_speech
from talking_portrait.models.speech.wav2lip_mel import mel_frames, mel_spectrogram, mel_total
from talking_portrait.tools.random_weights import statistics

from .engine_samples import kdtalker, somebody


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def engine():
    return kdtalker()


def speech(seconds: float, rate: int = 16000) -> Speech:
    t = torch.arange(round(seconds * rate)) / rate
    return Speech((0.3 * torch.sin(2 * torch.pi * 180 * t) * torch.sin(2 * torch.pi * 3 * t))[None], rate)


def run(engine, clip, fps=Fraction(25), seed=0, progress=lambda done, total: None, **settings):
    return generate_motion(engine, clip, fps, seed, MotionSettings(**settings), progress, somebody())


@pytest.mark.parametrize(("seconds", "frames"),
[(0.04, 1), (0.05, 1), (0.06, 2), (0.84, 21), (1.24, 31), (1.28, 32),
                                                 (2.56, 64), (2.6, 65), (7.44, 186)])  # fmt: skip
def test_any_length_gives_exactly_its_frames(engine, seconds, frames):
    motion = run(engine, speech(seconds))
    assert len(motion) == frames and torch.isfinite(motion.expression).all()


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30), Fraction(25, 2)])
def test_other_frame_rates_are_resampled(engine, fps):
    motion = run(engine, speech(2.0), fps)
    assert motion.fps == fps and len(motion) == round(2 * fps)


def test_too_short_audio_is_an_error(engine):
    with pytest.raises(ValueError, match="audio is 0.015 s long"):
        run(engine, speech(0.015))


def test_silence_and_stereo_at_44100(engine):
    assert len(run(engine, Speech(torch.zeros(2, 88200), 44100))) == 50


def test_the_portrait_is_asked_for(engine):
    with pytest.raises(ValueError, match="portrait is empty"):
        engine.generate(speech(1), Fraction(25), 0, MotionSettings(), lambda done, total: None)


def test_motion_is_absolute_about_the_portraits_own(engine):
    motion = run(engine, speech(1))
    assert motion.absolute == frozenset(GROUPS) and motion.reference.pose[0] == 3
    assert torch.allclose(motion.scale, torch.full((25,), 1.4)), "as published, the face keeps its size"
    assert "NC" in motion.source["licence"]


def test_a_seed_gives_the_same_motion_and_another_seed_another(engine):
    first, again, other = (
        run(engine, speech(3), seed=4),
        run(engine, speech(3), seed=4),
        run(engine, speech(3), seed=5),
    )
    assert torch.equal(first.expression, again.expression) and not torch.equal(
        first.expression, other.expression
    )


def test_amounts_of_zero_hold_lips_and_head(engine):
    motion = run(engine, speech(2), mouth_amount=0.0, head_amount=0.0)
    own = motion.reference
    assert torch.allclose(motion.pose, own.pose.expand_as(motion.pose), atol=1e-3)
    lips = [12, 14, 17, 19, 20]
    free = run(engine, speech(2))
    moved, moved_freely = ((m.expression - own.expression)[:, lips].abs().mean() for m in (motion, free))
    assert moved < 0.1 * moved_freely, "the rig's other controls move lips a little, no more"


def test_progress_reaches_the_end_and_can_cancel(engine):
    seen = []
    run(engine, speech(4), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 4

    class Stop(BaseException):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        run(engine, speech(1), progress=stop)


def test_windows_start_from_the_last_frame_before_them():
    references = []

    def denoiser(noisy, step, reference, canonical, features):
        references.append(reference.clone())
        return noisy * 0.5

    motion = sample_motion(denoiser, torch.randn(130, 512), torch.full((1, 70), 7.0), torch.zeros(1, 63),
                           lambda number: torch.randn(1, 64, 70), 1)  # fmt: skip
    assert len(motion) == 130 and len(references) == 3
    assert torch.equal(references[0], torch.full((1, 70), 7.0))
    assert torch.equal(references[1][0], motion[63]) and torch.equal(references[2][0], motion[127])


def test_steps_out_of_range_are_an_error():
    assert timesteps(50)[:2] == [980, 960] and timesteps(1) == [0] and len(timesteps(1000)) == 1000
    with pytest.raises(ValueError, match="steps is 0"):
        timesteps(0)


def test_blocks_of_a_long_sound_equal_the_whole():
    wave = speech(30).waveform[0].numpy()
    whole = mel_spectrogram(wave)
    assert whole.shape == (80, mel_total(len(wave)))
    parts = np.concatenate(
        [mel_frames(wave, a, min(a + 700, whole.shape[1])) for a in range(0, whole.shape[1], 700)], 1
    )
    assert np.abs(parts - whole).max() < 1e-5


def test_features_do_not_depend_on_the_block(engine, monkeypatch):
    wave = mono_wave(speech(3), 16000, 75 * 640)
    whole = encode_speech(engine.audio_encoder(), wave, torch.device("cpu"))
    monkeypatch.setattr("talking_portrait.models.speech.wav2lip.BLOCK", 7)
    assert torch.allclose(whole, encode_speech(engine.audio_encoder(), wave, torch.device("cpu")), atol=1e-4)


def test_buckets_are_those_of_the_published_table():
    import json
    from pathlib import Path

    folder = Path(__file__).resolve().parent.parent / "data" / "goldens" / "kdtalker"
    table = json.loads((folder / "kd_denoiser.public.golden.json").read_text())["rel_pos_bucket_of_k_minus_q"]
    buckets = position_buckets(66)
    for q in range(66):
        for k in range(66):
            assert buckets[q, k] == table[str(k - q)]


@pytest.mark.parametrize("spoil", ["missing key", "wrong size", "zero deviation", "text", "pickle"])
def test_damaged_statistics_are_named(tmp_path, spoil):
    arrays, path = statistics(), tmp_path / "norm.npz"
    if spoil == "missing key":
        del arrays["kp_std"]
    elif spoil == "wrong size":
        arrays["exp_mean"] = arrays["exp_mean"][:5]
    elif spoil == "zero deviation":
        arrays["yaw_std"][0] = 0
    elif spoil == "pickle":
        arrays["t_mean"] = np.array([{}], dtype=object)
    np.savez(path, **arrays)
    if spoil == "text":
        path.write_text("404: Not Found")
    with pytest.raises(ValueError, match="norm.npz"):
        read_statistics(path, "Load Motion Engine")
