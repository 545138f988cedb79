"""JoyVASA as an engine: lengths, time, windows, seeds, guidance, amounts. Weights are random and small."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import GROUPS, KEYPOINTS, FaceFrame, resolve
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.joyvasa.features import published_frames, sound_windows, window_total
from talking_portrait.models.joyvasa.hearing import heard
from talking_portrait.models.joyvasa.motion import smooth_head
from talking_portrait.models.joyvasa.sampling import (
    alpha_bars,
    chosen_steps,
    cosine_betas,
    guided,
    sample_windows,
    schedule,
)
from talking_portrait.models.sampling import DDPM
from talking_portrait.tools.random_joyvasa import SMALL

from .engine_samples import TEMPLATE, joyvasa, joyvasa_network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network():
    return joyvasa_network()


@pytest.fixture(scope="module")
def engine():
    return joyvasa()


def speech(seconds: float, rate: int = 16000) -> Speech:
    t = torch.arange(round(seconds * rate)) / rate
    return Speech((0.3 * torch.sin(2 * torch.pi * 180 * t) * torch.sin(2 * torch.pi * 3 * t))[None], rate)


def run(engine, clip, fps=Fraction(25), seed=0, progress=lambda done, total: None, **settings):
    return generate_motion(engine, clip, fps, seed, MotionSettings(**settings), progress)


@pytest.mark.parametrize(("seconds", "frames"),
[(0.04, 1), (0.05, 1), (0.06, 2), (3.84, 96), (3.88, 97), (3.92, 98), (4.0, 100),
                                                 (4.04, 101), (7.44, 186), (7.92, 198)])  # fmt: skip
@pytest.mark.parametrize("official", [False, True])
def test_any_length_gives_exactly_its_frames(seconds, frames, official):
    motion = run(joyvasa(steps=1, official_timing=official), speech(seconds))
    assert len(motion) == frames and torch.isfinite(motion.expression).all()


@pytest.mark.parametrize(
    "fps", [Fraction(24000, 1001), Fraction(30), Fraction(60), Fraction(25, 2), Fraction(1)]
)
def test_other_frame_rates_are_resampled(engine, fps):
    motion = run(engine, speech(2.0), fps)
    assert motion.fps == fps and len(motion) == round(2 * fps)


@pytest.mark.parametrize(("clip", "reason"), [
    (speech(0.015), "audio is 0.015 s long"),
    (Speech(torch.zeros(1, 0), 16000), "0.000 s long"),
    (Speech(torch.full((1, 16000), float("nan")), 16000), "not numbers"),
], ids=["15 ms", "nothing", "nan"])  # fmt: skip
def test_bad_sound_is_explained(engine, clip, reason):
    with pytest.raises(ValueError, match=reason):
        run(engine, clip)


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_any_sample_rate_and_stereo_say_about_the_same(engine, rate):
    mono = speech(2, rate)
    stereo = run(engine, Speech(mono.waveform.repeat(2, 1), rate))
    assert torch.allclose(stereo.expression, run(engine, mono).expression, atol=1e-5)
    assert torch.allclose(stereo.expression, run(engine, speech(2)).expression, atol=2e-3)


def test_the_motion_is_in_time_unless_asked_otherwise(network):
    motions = [run(joyvasa(official_timing=late), speech(5))
               for late in (False, True)]  # fmt: skip
    assert torch.equal(motions[0].expression[:-2], motions[1].expression[2:]), "two frames of 40 ms"


def test_frame_zero_starts_from_the_portrait_and_lips_are_absolute(engine):
    motion = run(engine, speech(1))
    assert motion.absolute == frozenset(GROUPS) and motion.source["producer"] == "JoyVASA"
    own = FaceFrame(
        0.01 * torch.randn(21, 3), torch.tensor([4.0, -6.0, 2.0]), torch.tensor([0.1, 0.2, 0.0]), 1.7
    )
    resolved = resolve(motion, own)
    rest = [*KEYPOINTS["eyes"], *KEYPOINTS["rest"]]
    assert torch.allclose(resolved.expression[0, rest], own.expression[rest], atol=1e-6)
    assert torch.equal(resolved.expression[:, KEYPOINTS["lips"]], motion.expression[:, KEYPOINTS["lips"]])
    assert resolved.pose_delta[0].abs().max() < 1e-3 and abs(float(resolved.scale[0]) - 1.7) < 1e-6
    assert resolved.pose_delta[1:].abs().max() > 0.1


def test_the_voice_and_the_seed_change_the_motion_and_nothing_else_does(engine):
    first, again, other = (
        run(engine, speech(3), seed=4),
        run(engine, speech(3), seed=4),
        run(engine, speech(3), seed=5),
    )
    silent = run(engine, Speech(torch.zeros(1, 48000), 16000), seed=4)
    assert torch.equal(first.expression, again.expression)
    assert (first.expression - other.expression).abs().mean() > 1e-4
    assert (first.expression - silent.expression).abs().mean() > 1e-4


def test_amounts_of_zero_hold_lips_and_head(engine):
    motion, free = run(engine, speech(2), mouth_amount=0.0, head_amount=0.0), run(engine, speech(2))
    assert torch.allclose(motion.pose, motion.reference.pose.expand_as(motion.pose), atol=1e-3)
    lips = [12, 14, 17, 19, 20]
    held, moved = ((m.expression - m.reference.expression)[:, lips].abs().mean() for m in (motion, free))
    assert held < 0.1 * moved


def test_progress_reaches_the_end_and_can_cancel(engine):
    seen = []
    run(engine, speech(9), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1 and len(seen) == 3 * 3 + 1

    class Stop(BaseException):
        pass

    def stop_after(ticks: int) -> list:
        seen = []

        def progress(done, total):
            if len(seen) == ticks:
                raise Stop
            seen.append(done)

        with pytest.raises(Stop):
            run(engine, speech(9), progress=progress)
        return seen

    assert [len(stop_after(ticks)) for ticks in (0, 1, 4, 9)] == [0, 1, 4, 9]


def test_one_window_after_another_is_encoded_and_sampled(network, monkeypatch):
    events, encode = [], network.encode
    monkeypatch.setattr(network, "encode", lambda wave: (events.append("encode"), encode(wave))[1])
    features = heard(network, speech(11).waveform[0].numpy(), CPU)
    for _ in sample_windows(
        network, features, torch.zeros(1, 100, 73), lambda w, s: torch.zeros(1, 100, 73), 1, 1.0
    ):
        events.append("sample")
    assert events == ["encode", "sample"] * 3


def test_windows_know_the_frames_before_them(network):
    class Spy:
        config, diffusion_sched, start = network.config, network.diffusion_sched, network.start
        seen: list = []

        def __call__(self, motion, features, before, steps):
            self.seen.append((motion, *before))
            return network(motion, features, before, steps)

    features = [torch.randn(1, 100, 32) for _ in range(2)]
    noise = torch.randn(1, 100, 73)
    windows = list(sample_windows(Spy(), features, noise, lambda w, s: torch.randn(1, 100, 73), 1, 1.0))
    (first, *learned), (second, *carried) = Spy.seen
    assert torch.equal(first, noise) and torch.equal(second, noise), (
        "as published, all windows start from the same noise"
    )
    assert torch.equal(learned[0], network.start_motion_feat) and torch.equal(
        learned[1], network.start_audio_feat
    )
    assert torch.equal(carried[0], windows[0][:, -10:]) and torch.equal(carried[1], features[0][:, -10:])


def test_guidance_goes_from_silence_through_speech(network):
    features, latent = torch.randn(1, 100, 32), torch.randn(1, 100, 73)
    before = network.start(latent)
    spoken, silent = (
        guided(network, f, before, 1.0)(latent, 3) for f in (features, network.silence(features))
    )
    assert torch.allclose(
        guided(network, features, before, 2.5)(latent, 3), silent + 2.5 * (spoken - silent), atol=1e-5
    )
    assert (spoken - silent).abs().mean() > 1e-2


def test_steps_are_all_of_the_file_or_evenly_fewer(network):
    assert chosen_steps(50, 0) == chosen_steps(50, 50) == list(range(50, 0, -1))
    assert chosen_steps(50, 5) == [50, 40, 30, 20, 10] and chosen_steps(50, 1) == [50]
    assert len(set(chosen_steps(50, 37))) == 37
    with pytest.raises(ValueError, match="steps is 51, but this JoyVASA file was trained with 50"):
        chosen_steps(50, 51)
    with pytest.raises(ValueError, match="steps is 7, .* trained with 6"):
        run(joyvasa(steps=7), speech(1))


@pytest.mark.parametrize("steps", [50, 10, 3])
def test_a_perfect_denoiser_is_reached_and_the_noise_has_its_size(steps):
    clean, bars = torch.tensor(2.0), alpha_bars(cosine_betas(50))
    spread = {}
    reached = iter([*chosen_steps(50, steps)[1:], 0])
    last = DDPM().sample(
        lambda latent, step: clean, bars[50] ** 0.5 * clean + (1 - bars[50]) ** 0.5 * torch.randn(20000),
        schedule(cosine_betas(50), steps), lambda done: torch.randn(20000),
        lambda latent: spread.__setitem__(next(reached), (latent.mean(), latent.var())),
    )  # fmt: skip
    assert torch.allclose(last, clean)
    for step, (mean, variance) in spread.items():
        assert abs(mean - bars[step] ** 0.5 * clean) < 0.03 and abs(variance - (1 - bars[step])) < 0.03, step


def test_the_cosine_schedule_falls_to_noise():
    bars = alpha_bars(cosine_betas(50))
    assert len(bars) == 51 and bars[0] == 1 and (bars.diff() < 0).all() and bars[-1] < 1e-4


def test_sound_is_cut_without_loss():
    wave = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    windows = torch.cat(list(sound_windows(wave, 100)), 1)[0].numpy()
    assert len(windows) == window_total(100_000, 100) * 64_000 == 128_000 and published_frames(100_000) == 159
    assert (
        not windows[:1280].any()
        and np.array_equal(windows[1280:101_280], wave)
        and not windows[101_280:].any()
    )


def test_head_smoothing_follows_its_recursion():
    parts = TEMPLATE.parts(torch.randn(20, 73))
    smooth = smooth_head(parts, 0.9)
    for name in ("scale", "t", "pitch", "yaw", "roll"):
        value = parts[name][0]
        for frame in range(20):
            value = 0.1 * parts[name][frame] + 0.9 * value
            assert torch.allclose(smooth[name][frame], value, atol=1e-4), (name, frame)
    assert torch.equal(smooth["exp"], parts["exp"])
    with pytest.raises(ValueError, match="head_smoothing is 1"):
        smooth_head(parts, 1.0)


def test_every_frame_hears_its_own_speech_only(network):
    motion, features = torch.randn(1, 100, 73), torch.randn(1, 100, 32)
    other = features.clone()
    other[:, 40] += 1
    layer = network.denoising_net.transformer["layers"][0].multihead_attn
    x, mask = torch.randn(1, 110, 32), network.denoising_net.alignment_mask
    pad = torch.zeros(1, 10, 32)
    change = (
        (layer(x, torch.cat([pad, features], 1), mask) - layer(x, torch.cat([pad, other], 1), mask))
        .abs()
        .amax(-1)[0]
    )
    assert change[50] > 1e-3 and change[torch.arange(110) != 50].max() < 1e-6
    assert network(motion, features, network.start(motion), torch.tensor([2])).shape == (1, 110, 73)


def test_the_transformer_is_torchs_decoder(network):
    inner, config = network.denoising_net, SMALL[0]
    layer = torch.nn.TransformerDecoderLayer(config.width, 8, config.hidden, 0.0, "gelu", batch_first=True)
    torchs = torch.nn.TransformerDecoder(layer, config.layers).eval()
    torchs.load_state_dict(inner.transformer.state_dict())
    motion, speech, steps = torch.randn(2, 110, 73), torch.randn(2, 110, 32), torch.tensor([1, 6])
    wanted = inner.motion_dec(torchs(inner.tokens(motion, steps), speech, memory_mask=inner.alignment_mask))
    assert torch.allclose(inner(motion, speech, steps), wanted, atol=1e-5)
