"""What every motion engine must do. A new engine is one more line in ENGINES."""

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.builtin.speech_net import build_speech_net
from talking_portrait.models.engine import MotionSettings, Speech, frame_count, frame_rate
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.generation import generate_motion
from talking_portrait.models.takin.engine import TakinEngine, TakinOptions
from talking_portrait.models.takin.features import builtin_encoder_name
from talking_portrait.models.takin.network import build_takin

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
FPS = Fraction(25)


def builtin() -> BuiltinMotionEngine:
    state = {k: v.float() for k, v in load_file(ROOT / "models/builtin/weights/speech.safetensors").items()}
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return BuiltinMotionEngine(lambda: network.eval())


def takin() -> TakinEngine:
    path = ROOT / "models/takin/weights/takin_tiny.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = {k: v.float() for k, v in load_file(path).items()}
    network = build_takin(state, metadata)
    network.load_state_dict(state)
    hearing, name = builtin().network, builtin_encoder_name(ROOT / "models/builtin/weights/speech.safetensors")
    return TakinEngine(lambda: network.eval(), hearing, name, TakinOptions(steps=2))


ENGINES = {"built-in": builtin, "Takin-ADA": takin}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    return ENGINES[request.param]()


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
    return generate_motion(engine, speech, fps, seed, MotionSettings(**settings), progress)


def control(motion, name: str) -> torch.Tensor:
    return motion.controls[:, CONTROLS.index(name)]


@pytest.mark.parametrize("seconds", [0.04, 0.05, 0.3, 1.0, 2.337, 7.44])
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(24000, 1001), Fraction(60), Fraction(1)])
def test_number_of_frames(engine, seconds, fps):
    speech = cut(sample(), seconds)
    frames = frame_count(speech.seconds, fps)
    if frames == 0:
        with pytest.raises(ValueError, match="at least"):
            run(engine, speech, fps)
    else:
        motion = run(engine, speech, fps)
        assert len(motion) == frames == int(speech.seconds * fps + Fraction(1, 2)) and motion.fps == fps


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


def test_progress_ticks_to_the_end_and_can_cancel(engine):
    seen = []
    run(engine, sample(), progress=lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[-1] == 1.0

    class Stop(BaseException):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        run(engine, sample(), progress=stop)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_sample_rate_and_stereo_say_the_same(engine, rate):
    reference, mono = run(engine, sample()), sample(rate)
    stereo = Speech(mono.waveform.repeat(2, 1), rate)
    jaw = control(run(engine, stereo), "jawOpen")
    assert torch.allclose(jaw, control(run(engine, mono), "jawOpen"), atol=1e-4)
    limit = 0.75 if rate == 8000 else 0.97
    count = min(len(jaw), len(reference))
    assert np.corrcoef(jaw[:count], control(reference, "jawOpen")[:count])[0, 1] > limit


def test_long_audio_is_its_parts(engine):
    whole = torch.nn.functional.pad(sample().waveform, (0, 186 * RATE // 25 - sample().waveform.shape[1]))
    minute = Speech(whole.repeat(1, 9), RATE)
    motion = run(engine, minute, head_amount=0.0)
    assert len(motion) == frame_count(minute.seconds, FPS)
    one = control(run(engine, sample(), head_amount=0.0), "jawOpen")
    middle = control(motion, "jawOpen")[4 * 186 + 20 : 4 * 186 + 160]
    assert np.corrcoef(middle, one[20:160])[0, 1] > 0.97


def test_an_hour_is_made_in_bounded_memory(engine):
    """Of diffusion a quarter of an hour, in a quarter of the memory: the whole would take minutes of every test run."""
    import psutil

    seconds = 3600 if engine.id == "built-in" else 900
    long = Speech(sample().waveform.repeat(1, 490)[:, : seconds * RATE], RATE)
    before, started = psutil.Process().memory_info().rss, time.process_time()
    motion = run(engine, long)
    assert len(motion) == seconds * 25
    grown = psutil.Process().memory_info().rss - before
    assert grown < 250e3 * seconds, f"{grown / 1e6:.0f} MB more for {seconds} s, whose wave alone is {seconds * 0.064:.0f} MB"
    assert time.process_time() - started < seconds / 6


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
def test_bad_sound_is_explained(engine, waveform, reason):
    with pytest.raises(ValueError, match=reason):
        run(engine, Speech(waveform, RATE))


def test_settings_do_what_they_say(engine):
    still = run(engine, sample(), head_amount=0.0, blink_rate=0.0, mouth_amount=0.0, brow_amount=0.0)
    assert still.pose.abs().max() == 0 and still.controls.abs().max() < 1e-6
    assert control(run(engine, sample(), blink_rate=0.0), "eyeBlinkLeft").abs().max() == 0
    large, small = (run(engine, sample(), head_amount=amount).pose.std(0).norm() for amount in (2.0, 0.5))
    assert large > 3.5 * small


def test_blinks_come_at_the_asked_rate_from_a_random_start(engine):
    long = Speech(sample().waveform.repeat(1, 40), RATE)  # five minutes
    blinks = run(engine, long, blink_rate=20.0).source["blinks"]
    assert 60 < len(blinks) < 190, f"{len(blinks)} blinks in 5 minutes at 20 per minute (more in pauses)"
    first = [run(engine, sample(), seed=seed, blink_rate=30.0).source["blinks"][:1] for seed in range(6)]
    assert len({tuple(times) for times in first}) >= 4, "the first blink always falls at the same time"


@pytest.mark.parametrize(("given", "exact"), [(23.976, Fraction(24000, 1001)), (25.0, Fraction(25)), (12.5, Fraction(25, 2)),
                                              (29.97, Fraction(30000, 1001)), (60.0, Fraction(60))])  # fmt: skip
def test_frame_rates_are_exact(given, exact):
    assert frame_rate(given) == exact
