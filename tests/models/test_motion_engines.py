"""What every motion engine must do, and what those that have learnt to speak must do besides. A new engine is
one more line in ENGINES."""

import time
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models.contracts import MotionEngine, members
from talking_portrait.models.engine import MotionSettings, Speech, frame_rate
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.speech.sound import frame_count

from .engine_samples import ENGINES, HEARING, engine_pack, forgetful, kdtalker, somebody
from .film_samples import held_memory
from .motion_samples import same

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
FPS = Fraction(25)
OTHER = MotionSettings(0.5, 0.3, 60.0, 0.0, -10.0, 100.0, 1.0, 0.0, 0.0)


@pytest.fixture(scope="module", params=ENGINES)
def any_engine(request):
    return ENGINES[request.param]()


@pytest.fixture(scope="module", params=HEARING)
def engine(request):
    return HEARING[request.param]()


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


def sample(rate: int = RATE) -> Speech:
    import wave

    from scipy.signal import resample_poly

    with wave.open(str(ROOT / "samples" / "talking_portrait_speech.wav")) as file:
        wav = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    if rate != RATE:
        divisor = np.gcd(rate, RATE)
        wav = resample_poly(wav, rate // divisor, RATE // divisor).astype(np.float32)
    return Speech(torch.from_numpy(wav)[None], rate)


def cut(speech: Speech, seconds: float) -> Speech:
    return Speech(speech.waveform[:, : round(seconds * speech.sample_rate)], speech.sample_rate)


def run(engine, speech, fps=FPS, seed=0, progress=lambda done, total: None, **settings):
    return generate_motion(engine, speech, fps, seed, MotionSettings(**settings), progress, somebody())


def control(motion, name: str) -> torch.Tensor:
    return motion.controls[:, CONTROLS.index(name)]


def test_it_has_what_the_contract_names(any_engine):
    assert all(hasattr(any_engine, name) for name in members(MotionEngine))
    assert any_engine.id and any_engine.reads <= {field.name for field in fields(MotionSettings)}
    assert any_engine.native_fps is None or isinstance(any_engine.native_fps, Fraction)


@pytest.mark.parametrize("seconds", [0.04, 0.05, 0.3, 2.337])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(24000, 1001), Fraction(60), Fraction(1)])
def test_number_of_frames(any_engine, seconds, fps):
    speech = cut(sample(), seconds)
    frames = frame_count(speech.seconds, fps)
    if frames == 0:
        with pytest.raises(ValueError, match="at least"):
            run(any_engine, speech, fps)
    else:
        motion = run(any_engine, speech, fps)
        assert len(motion) == frames == int(speech.seconds * fps + Fraction(1, 2)) and motion.fps == fps
        assert torch.isfinite(motion.expression).all() and torch.isfinite(motion.controls).all()
        assert motion.source["producer"] and motion.source["licence"]


def test_the_same_seed_gives_the_same_motion_whatever_was_made_between(any_engine):
    first = run(any_engine, cut(sample(), 2), seed=3)
    run(any_engine, cut(sample(), 1), seed=9)
    assert same(run(any_engine, cut(sample(), 2), seed=3), first, 0)


@pytest.mark.slow
@pytest.mark.parametrize("setting", [field.name for field in fields(MotionSettings)])
def test_a_setting_acts_if_the_engine_reads_it_and_only_then(any_engine, setting):
    speech, busy = cut(sample(), 4), {"blink_rate": 50.0} if setting == "blink_asymmetry" else {}
    plain, other = (
        run(any_engine, speech, **busy),
        run(any_engine, speech, **{**busy, setting: getattr(OTHER, setting)}),
    )
    assert same(plain, other, 1e-6) != (setting in any_engine.reads)


def test_the_frame_rate_of_the_film_does_not_change_the_motion(any_engine):
    """Thirty frames a second show the face where twenty-five do, up to what lies between two frames."""
    slow, fast = (
        run(any_engine, cut(sample(), 4), fps, blink_rate=0.0, head_amount=0.0)
        for fps in (Fraction(25), Fraction(30))
    )
    tracks = [control(motion, "jawOpen").numpy() for motion in (slow, fast)]
    times = [
        (np.arange(len(track)) + 0.5) / float(motion.fps)
        for track, motion in zip(tracks, (slow, fast), strict=True)
    ]
    assert np.corrcoef(np.interp(times[0], times[1], tracks[1]), tracks[0])[0, 1] > 0.9


def test_same_seed_same_motion_other_seed_other_head_same_lips(engine):
    first, again, other = (run(engine, sample(), seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.expression, again.expression) and torch.equal(first.pose, again.pose)
    assert not torch.equal(first.pose, other.pose)
    assert torch.equal(control(first, "jawOpen"), control(other, "jawOpen"))


def test_numbers_are_finite_and_in_range(engine):
    motion = run(engine, sample())
    assert torch.isfinite(motion.expression).all()
    for name in CONTROLS:
        assert control(motion, name).min() >= -1.05 and control(motion, name).max() <= 1.05, name
    assert motion.pose.abs().max() < 15


def test_speech_moves_the_mouth_and_silence_does_not(engine):
    speech = sample()
    silent = Speech(torch.zeros(1, 2 * RATE), RATE)
    assert control(run(engine, speech), "jawOpen").std() > 0.05
    assert control(run(engine, silent), "jawOpen").abs().max() < 0.02
    noisy = Speech(torch.cat([speech.waveform, 0.0005 * torch.randn(1, 2 * RATE)], 1), RATE)
    tail = control(run(engine, noisy), "jawOpen")[-40:]
    assert tail.max() < 0.05, "the mouth moves in the quiet noise after the speech"


def test_progress_ticks_to_the_end_and_can_cancel(any_engine):
    seen = []
    run(any_engine, cut(sample(), 5), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1.0

    class Stop(BaseException):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        run(any_engine, sample(), progress=stop)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_sample_rate_and_stereo_say_the_same(engine, rate):
    reference, mono = run(engine, sample()), sample(rate)
    stereo = Speech(mono.waveform.repeat(2, 1), rate)
    jaw = control(run(engine, stereo), "jawOpen")
    assert torch.allclose(jaw, control(run(engine, mono), "jawOpen"), atol=1e-4)
    limit = 0.75 if rate == 8000 else 0.97
    count = min(len(jaw), len(reference))
    assert np.corrcoef(jaw[:count], control(reference, "jawOpen")[:count])[0, 1] > limit


@pytest.mark.slow
def test_long_audio_is_its_parts(engine):
    whole = torch.nn.functional.pad(sample().waveform, (0, 186 * RATE // 25 - sample().waveform.shape[1]))
    long = Speech(whole.repeat(1, 4), RATE)
    motion = run(engine, long, head_amount=0.0)
    assert len(motion) == frame_count(long.seconds, FPS)
    one = control(run(engine, sample(), head_amount=0.0), "jawOpen")
    middle = control(motion, "jawOpen")[2 * 186 + 20 : 2 * 186 + 160]
    assert np.corrcoef(middle, one[20:160])[0, 1] > 0.97


@pytest.mark.slow
@pytest.mark.parametrize("name", HEARING)
def test_long_sound_is_made_in_bounded_memory(name):
    """Memory as an hour of sound would have it, for so much less: an hour would take minutes of every test run."""
    seconds, engine = 40, forgetful(name)
    run(engine, cut(sample(), 1))  # what the first run alone takes
    long = Speech(sample().waveform.repeat(1, 490)[:, : seconds * RATE], RATE)
    before, started = held_memory(), time.process_time()
    motion = run(engine, long)
    assert len(motion) == seconds * 25
    grown = held_memory() - before
    assert grown < 10e6 + 250e3 * seconds, (
        f"{grown / 1e6:.0f} MB more for {seconds} s, whose wave alone is {seconds * 0.064:.0f} MB"
    )
    assert time.process_time() - started < seconds / 4  # Takin-ADA on the ear takes 0.18 s a second


@pytest.mark.parametrize(
    ("waveform", "reason"),
    [
        (torch.zeros(1, 0), "0.000 s long"),
        (torch.zeros(1, 160), "0.010 s long; at least 0.040 s"),
        (torch.full((1, RATE), float("nan")), "not numbers"),
        (torch.full((1, RATE), float("inf")), "not numbers"),
    ],
    ids=["nothing", "10 ms", "nan", "infinite"],
)
def test_bad_sound_is_explained(any_engine, waveform, reason):
    with pytest.raises(ValueError, match=reason):
        run(any_engine, Speech(waveform, RATE))


def test_settings_do_what_they_say(engine):
    moving = ("head_amount", "blink_rate", "mouth_amount", "brow_amount", "gaze_amount", "life_amount")
    still = run(engine, sample(), **{name: 0.0 for name in moving if name in engine.reads})
    assert still.pose.abs().max() == 0 and still.controls.abs().max() < 1e-6
    assert control(run(engine, sample(), blink_rate=0.0), "eyeBlinkLeft").abs().max() == 0
    large, small = (run(engine, sample(), head_amount=amount).pose.std(0).norm() for amount in (2.0, 0.5))
    assert large > 3.5 * small


@pytest.mark.slow
def test_blinks_come_at_the_asked_rate_from_a_random_start(engine):
    long = Speech(sample().waveform.repeat(1, 8), RATE)  # a minute
    blinks = run(engine, long, blink_rate=20.0).source["blinks"]
    assert 12 < len(blinks) < 38, f"{len(blinks)} blinks in a minute at 20 per minute (more in pauses)"
    first = [run(engine, sample(), seed=seed, blink_rate=30.0).source["blinks"][:1] for seed in range(6)]
    assert len({tuple(times) for times in first}) >= 4, "the first blink always falls at the same time"


@pytest.mark.parametrize(("given", "exact"),
[(23.976, Fraction(24000, 1001)), (25.0, Fraction(25)), (12.5, Fraction(25, 2)),
                                              (29.97, Fraction(30000, 1001)),
                                              (60.0, Fraction(60))])  # fmt: skip
def test_frame_rates_are_exact(given, exact):
    assert frame_rate(given) == exact


def test_stereo_at_any_rate_is_the_mean_of_its_channels(any_engine):
    mono = cut(sample(44100), 2)
    stereo = Speech(torch.stack([mono.waveform[0] * 1.5, mono.waveform[0] * 0.5]), 44100)
    assert same(run(any_engine, stereo), run(any_engine, mono), 1e-3)


@pytest.mark.parametrize(("given", "reason"), [
    ("text", "bad engine gave no motion but a str"),
    ({"controls": {"jaw": [0.0]}}, "bad engine gave no motion: .*no control jaw"),
    ({"controls": {"jawOpen": [0.0] * 24}}, "bad engine gave 24 frames where 25 were asked for"),
    ({"fps": 30, "controls": {"jawOpen": [0.0] * 25}}, "bad engine gave 30 frames per second where 25"),
])  # fmt: skip
def test_an_engine_that_breaks_the_contract_is_named(monkeypatch, given, reason):
    engine = engine_pack().LoudnessJaw()
    monkeypatch.setattr(engine, "id", "bad engine", raising=False)
    monkeypatch.setattr(engine, "generate", lambda *_: given, raising=False)
    with pytest.raises(ValueError, match=reason):
        run(engine, cut(sample(), 1))


def test_an_engine_is_asked_at_its_own_rate_alone(monkeypatch):
    engine, asked = kdtalker(), []
    real = engine.generate

    def watched(speech, fps, *rest):
        asked.append((fps, speech.seconds))
        return real(speech, fps, *rest)

    monkeypatch.setattr(engine, "generate", watched)
    assert len(run(engine, cut(sample(), 2.337), Fraction(60))) == 140
    assert asked == [(Fraction(25), Fraction(59, 25))], "to the end of the last frame"
