"""The generator with state: however speech is cut, the motion is the same; what it was told of, it keeps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from talking_portrait.models.speech.builtin_layers import builtin_layers_between, heard_layers
from talking_portrait.models.speech.feature_stream import FeatureStream
from talking_portrait.models.speech.features import normalise, speech_features, voiced_mean
from talking_portrait.models.speech.listening import Listener
from talking_portrait.models.speech.speech_net import build_speech_net
from talking_portrait.models.takin.config import FPS, TINY
from talking_portrait.models.takin.features import SpeechLayers
from talking_portrait.models.takin.generator import LIVE, Feeling, MotionGenerator, Sampling, pose_command
from talking_portrait.models.takin.live import Hear, LiveTakin
from talking_portrait.models.takin.network import TakinNet

ROOT = Path(__file__).resolve().parent.parent.parent
ENCODER = "builtin-speech-test"
CONFIG = replace(TINY, encoder=ENCODER, width=16, heads=2, speech_layers=1, motion_layers=2)


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network() -> TakinNet:
    torch.manual_seed(0)
    made = TakinNet(CONFIG).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.25)
        made.motion_mean.normal_()
        made.motion_deviation.uniform_(0.5, 2)
    return made


@pytest.fixture(scope="module")
def hearing() -> torch.nn.Module:
    state = {k: v.float() for k, v in load_file(ROOT / "models/builtin/weights/speech.safetensors").items()}
    made = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    made.load_state_dict(state)
    return made.eval()


def speech(frames: int, seed: int = 1) -> SpeechLayers:
    return SpeechLayers(
        torch.randn(8, 2 * frames, 112, generator=torch.Generator().manual_seed(seed)), ENCODER
    )


def in_pieces(generator: MotionGenerator, whole: SpeechLayers, cuts: list[int]) -> torch.Tensor:
    parts = [generator.push(SpeechLayers(piece, ENCODER)) for piece in whole.layers.tensor_split(cuts, 1)]
    return torch.cat([*parts, generator.finish()], 1)


@pytest.mark.slow
@pytest.mark.parametrize("sampling",
[Sampling(steps=2), replace(LIVE, steps=2), Sampling(window=30, overlap=0, steps=2)],
                         ids=["offline", "live", "no overlap"])  # fmt: skip
@pytest.mark.parametrize("frames", [1, 5, 24, 25, 125, 126, 145, 146, 250, 333])
def test_pieces_give_the_motion_of_the_whole(network, sampling, frames):
    whole = in_pieces(MotionGenerator(network, sampling), speech(frames), [])
    assert whole.shape == (1, frames, 70) and torch.isfinite(whole).all()
    cuts = sorted(np.random.default_rng(frames).integers(0, 2 * frames + 1, 9).tolist())
    assert torch.equal(whole, in_pieces(MotionGenerator(network, sampling), speech(frames), cuts))
    single = in_pieces(MotionGenerator(network, sampling), speech(frames), list(range(1, 2 * frames)))
    assert torch.equal(whole, single)


def test_frames_come_as_soon_as_their_window_is_full_and_never_change(network):
    generator, whole = MotionGenerator(network, replace(LIVE, steps=1)), speech(100)
    counts = [
        generator.push(SpeechLayers(whole.layers[:, 2 * k : 2 * k + 2], ENCODER)).shape[1] for k in range(100)
    ]
    assert [k for k, count in enumerate(counts) if count] == [24, 41, 58, 75, 92] and set(counts) == {0, 17}
    assert generator.latency == pytest.approx(1.0) and generator.waiting == 15
    assert generator.finish().shape[1] == 15 and generator.finish().shape[1] == 0


def test_later_sound_does_not_change_frames_that_were_given_out(network):
    first, second = speech(150).layers, speech(150).layers.clone()
    second[:, 260:] += 3
    early = [
        MotionGenerator(network, Sampling(steps=2)).push(SpeechLayers(layers, ENCODER))
        for layers in (first, second)
    ]
    assert early[0].shape[1] == 105 and torch.equal(*early)


def test_windows_continue_the_frames_before_them(network):
    sampling = Sampling(window=25, overlap=5, steps=1)
    seen = []
    generator = MotionGenerator(network, sampling)
    drawn = generator._window
    generator._window = lambda *size: (seen.append(generator.previous.clone()), drawn(*size))[1]
    motion = in_pieces(generator, speech(65), [])
    assert seen[0].abs().max() == 0, "before the clip nothing is known"
    known = network.normalised(motion[:, 10:20])
    assert torch.allclose(seen[1][..., :70], known, atol=1e-4) and (seen[1][..., 70] == 1).all()


def test_overlaps_are_faded(network):
    """A network that gives its window's number everywhere: the seam must be a ramp."""

    class Steps(TakinNet):
        calls = 0

        def forward(self, noisy, steps, given, hear=None, feel=None, dropout=0.0):
            Steps.calls += 1
            return torch.full_like(noisy, float(Steps.calls))

    flat = Steps(CONFIG)
    from talking_portrait.models.takin.sampling import Guidance

    sampling = Sampling(window=25, overlap=5, steps=1, guidance=Guidance(1.0, 1.0))
    motion = in_pieces(MotionGenerator(flat, sampling), speech(45), [])[0, :, 0]
    assert torch.allclose(motion[:20], torch.ones(20)) and torch.allclose(
        motion[25:40], torch.full((15,), 2.0)
    )
    assert torch.allclose(motion[20:25], 1 + torch.arange(1, 6) / 6)


def test_same_seed_same_motion_and_a_take_without_noise_has_none(network):
    sampling = Sampling(steps=2, temperatures=(0.0, 1.0))
    first, again, other = (
        in_pieces(MotionGenerator(network, replace(sampling, seed=seed)), speech(130), [])
        for seed in (1, 1, 2)
    )
    assert (
        torch.equal(first, again) and torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])
    )


def test_features_of_another_encoder_are_refused_by_name(network):
    generator = MotionGenerator(network)
    with pytest.raises(
        ValueError, match="'hubert-large', but this Takin-ADA network was trained on 'builtin-speech-test'"
    ):
        generator.push(replace(speech(5), encoder="hubert-large"))
    with pytest.raises(ValueError, match=r"\(8, 10, 90\); \[8, frames, 112\]"):
        generator.push(SpeechLayers(torch.zeros(8, 10, 90), ENCODER))


def test_feeling_and_commands_reach_the_network(network):
    plain = in_pieces(MotionGenerator(network, Sampling(steps=1)), speech(30), [])
    happy = torch.zeros(8)
    happy[3] = 1
    turned = torch.tensor([1.0, 0, 0, 0, 0, 15, 0])
    feelings = [Feeling(happy), Feeling(exemplar=torch.full((63,), 2.0)), Feeling(reference=turned)]
    found = [
        in_pieces(MotionGenerator(network, Sampling(steps=1), feeling), speech(30), [])
        for feeling in feelings
    ]
    told = pose_command(network, turned.expand(30, -1), torch.ones(7), torch.ones(30))[None]
    commanded = MotionGenerator(network, Sampling(steps=1), command=lambda start, stop: told[:, start:stop])
    found.append(in_pieces(commanded, speech(30), []))
    for changed in found:
        assert (changed - plain).abs().max() > 1e-3


def test_a_command_is_normalised_and_masked(network):
    pose = network.motion_mean[63:] + 2 * network.motion_deviation[63:]
    told = pose_command(
        network, pose.expand(4, -1), torch.tensor([0, 0, 0, 0, 0, 1.0, 0]), torch.tensor([0, 0.5, 1, 0])
    )
    assert told.shape == (4, 16)
    assert (
        torch.allclose(told[:, 5], torch.full((4,), 2.0), atol=1e-4)
        and (told[:, [0, 1, 2, 3, 4, 6]] == 0).all()
    )
    assert torch.equal(told[:, 7], torch.tensor([0, 0.5, 1, 0])) and told[0, 8:].tolist() == [
        0,
        0,
        0,
        0,
        0,
        1,
        0,
        1,
    ]


def test_overlap_must_fit_the_window():
    with pytest.raises(ValueError, match="overlap is 25"):
        Sampling(window=25, overlap=25)


def sound(seconds: float) -> np.ndarray:
    import wave

    with wave.open(str(ROOT / "samples" / "talking_portrait_speech.wav")) as file:
        wav = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return wav[: round(seconds * 16000)]


def hears(hearing: torch.nn.Module) -> Hear:
    return lambda heard: SpeechLayers(heard_layers(hearing, heard, torch.device("cpu")), ENCODER)


def listened(hearing: torch.nn.Module, mean: np.ndarray, wave: np.ndarray, size: int) -> torch.Tensor:
    features, listener = FeatureStream(), Listener(-38.0, mean=mean)
    blocks = [
        block
        for k in range(0, len(wave), size)
        for block in listener.push(*features.push(wave[k : k + size]))
    ]
    blocks += listener.push(*features.finish(), last=True)
    return torch.cat([hears(hearing)(block).layers for block in blocks], 1)


@pytest.mark.parametrize("seconds", [0.01, 0.2, 1.0, 2.3337])
def test_live_layers_are_those_of_the_whole_clip(hearing, seconds):
    wave = sound(seconds)
    mel, _ = speech_features(wave[None], 16000)
    count = -(-len(mel) // 2)
    whole = builtin_layers_between(hearing, normalise(mel), 0, count, torch.device("cpu"))
    for size in (160, 777, 5000, len(wave)):
        found = listened(hearing, voiced_mean(mel), wave, size)
        assert found.shape == whole.shape and torch.allclose(found, whole, atol=2e-4)


def test_layers_of_a_part_are_those_of_the_whole(hearing):
    mel = normalise(speech_features(sound(3)[None], 16000)[0])
    whole = builtin_layers_between(hearing, mel, 0, 150, torch.device("cpu"))
    part = builtin_layers_between(hearing, mel, 60, 90, torch.device("cpu"))
    assert torch.allclose(part, whole[:, 60:90], atol=1e-4)
    beyond = builtin_layers_between(hearing, mel, 140, 160, torch.device("cpu"))
    assert beyond.shape == (8, 20, 112)
    last = torch.from_numpy(mel[-1]).repeat(2)
    assert torch.allclose(beyond[0, 10:, :80], last.expand(10, -1)), (
        "behind the end the last frame is repeated"
    )


def lived(network: TakinNet, hearing: torch.nn.Module, mean: np.ndarray | None = None) -> LiveTakin:
    return LiveTakin(
        Listener(-38.0, mean=mean), hears(hearing), MotionGenerator(network, replace(LIVE, steps=1))
    )


@pytest.mark.parametrize("known", [True, False], ids=["known recording", "measured on the way"])
def test_live_motion_does_not_depend_on_how_the_sound_is_cut(network, hearing, known):
    wave = sound(4.1)
    mean = voiced_mean(speech_features(wave[None], 16000)[0]) if known else None

    def run(size: int) -> torch.Tensor:
        live, features = lived(network, hearing, mean), FeatureStream()
        parts = [live.push(*features.push(wave[k : k + size])) for k in range(0, len(wave), size)]
        return torch.cat([*parts, live.push(*features.finish(), last=True)], 1)

    whole = run(len(wave))
    assert whole.shape[1] == -(-4.1 * FPS // 1)
    for size in (1600, 4001):
        assert torch.allclose(run(size), whole, atol=1e-3)


def test_live_latency_is_kept(network, hearing):
    live, features = lived(network, hearing), FeatureStream()
    wave, frames, waits = sound(6), 0, []
    for k in range(0, len(wave), 160):
        found = live.push(*features.push(wave[k : k + 160])).shape[1]
        if found:
            waits.append((k + 160) / 16000 - frames / FPS)
        frames += found
    latency = live.look_ahead + features.look_ahead
    assert len(waits) >= 3 and max(waits) <= latency + 0.011 and max(waits) > latency - 0.25


@pytest.mark.slow
def test_an_endless_stream_keeps_nothing_but_its_memory(network, hearing):
    live, features = lived(network, hearing), FeatureStream()
    wave = np.tile(sound(7), 10)
    for k in range(0, len(wave), 16000):
        live.push(*features.push(wave[k : k + 16000]))
        live.gate = live.gate[-100:]
    assert len(live.listener.mel) <= 700 and len(live.listener.spoken) <= 700 and len(features.wave) < 2000
    assert live.generator.layers.shape[1] < 100 and live.generator.noise.shape[1] <= 25


def test_live_sound_must_be_one_finite_row():
    with pytest.raises(ValueError, match="one row of finite samples"):
        FeatureStream().push(np.zeros((2, 100)))
