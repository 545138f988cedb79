"""The built-in speech network in voices and recordings that it was never trained on, measured to the finished lips."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.speech import features as speech_features
from talking_portrait.models.speech import speech_net
from talking_portrait.models.speech.features import BANDS, normalise
from talking_portrait.models.speech.features import speech_features as features
from talking_portrait.models.speech.speech_net import build_speech_net, hear
from talking_portrait.models.speech.vocal_tract import loudest_excerpt, warp_bands

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHTS = ROOT / "models/builtin/weights/speech.safetensors"
CLIPS = ROOT / "tests/data/speech_clips.npz"
RATE, FPS = 16000, 25
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def network():
    with safe_open(str(WEIGHTS), "pt") as file:
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval()


@pytest.fixture(scope="module")
def clips():
    """name -> {wave [T] float32, viseme [N], jaw [N], pbm [P] seconds}; training/speech_net/test_clips.py
    wrote them."""
    with np.load(CLIPS) as file:
        arrays = {key: file[key] for key in file.files}
    found = {}
    for name in sorted({key.rsplit(".", 1)[0] for key in arrays}):
        clip = {part: arrays[f"{name}.{part}"] for part in ("wave", "viseme", "jaw", "pbm")}
        x = clip["wave"].astype(np.float32) / 255 * 2 - 1
        clip["wave"] = (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32)  # mu-law
        found[name] = clip
    return found


def heard(network, wave):
    visemes, moves = hear(network, normalise(features(wave[None], RATE)[0]), CPU)
    count = len(visemes) // 4
    return visemes[: count * 4].reshape(count, 4, -1).mean(1), moves[: count * 4].reshape(count, 4, -1).mean(
        1
    )


def scores(network, clips, voice):
    """(viseme accuracy, r of the jaw) over the clips of a voice, at 25 frames per second."""
    chosen = [clip for name, clip in clips.items() if name.startswith(voice)]
    results = [heard(network, clip["wave"]) for clip in chosen]
    guess = np.concatenate([visemes.argmax(1) for visemes, _ in results])
    jaw = np.concatenate([moves[:, 0] for _, moves in results])
    truth, target = (np.concatenate([clip[key] for clip in chosen]) for key in ("viseme", "jaw"))
    return (guess == truth).mean(), np.corrcoef(jaw, target.astype(float))[0, 1]


def closures(network, clip, wave=None):
    """For every p, b, m: whether the finished motion closes the lips within one frame of it."""
    wave = clip["wave"] if wave is None else wave
    engine = BuiltinMotionEngine(lambda: network)
    speech = Speech(torch.from_numpy(wave)[None], RATE)
    controls = engine.generate(speech, Fraction(FPS), 0, MotionSettings(), lambda done, total: None).controls
    closed = (controls[:, CONTROLS.index("mouthClose")] > 0.8) & (
        controls[:, CONTROLS.index("jawOpen")] < 0.1
    )
    return [bool(closed[max(0, int(t * FPS) - 1) : int(t * FPS) + 2].any()) for t in clip["pbm"]]


def test_the_shipped_network_never_heard_the_test_voices(clips):
    with safe_open(str(WEIGHTS), "pt") as file:
        metadata = file.metadata()
    assert set(metadata["voices"].split()).isdisjoint(name.split("_")[0] for name in clips)
    assert metadata["licence"] and metadata["seed"] and metadata["command"]


def test_a_new_voice_is_understood(network, clips):
    viseme, jaw = scores(network, clips, "rms")
    assert viseme >= 0.75 and jaw >= 0.85, (viseme, jaw)


@pytest.mark.parametrize("synthesiser,visemes,opening", [("espeak", 0.57, 0.68), ("festival", 0.72, 0.78)])
def test_other_synthesisers_are_mostly_understood(network, clips, synthesiser, visemes, opening):
    viseme, jaw = scores(network, clips, synthesiser)
    assert viseme >= visemes and jaw >= opening, (viseme, jaw)


def test_a_voice_from_a_shorter_throat_is_understood(network, clips):
    clip = clips["rms_000"]
    mel = normalise(features(clip["wave"][None], RATE)[0])
    np.testing.assert_array_equal(warp_bands(mel, 1.0, 0), mel)
    shifted = warp_bands(mel, 1.0, 3.0)
    logits = network(torch.from_numpy(shifted.T[None]))[0, :14].T.numpy()
    rate = len(clip["viseme"]) * 4
    plain = (logits[:rate].reshape(-1, 4, 14).mean(1).argmax(1) == clip["viseme"]).mean()
    fitted = (
        hear(network, shifted, CPU)[0][:rate].reshape(-1, 4, 14).mean(1).argmax(1) == clip["viseme"]
    ).mean()
    assert fitted > plain + 0.05 and fitted >= 0.75, (fitted, plain)


def test_a_voice_is_known_by_its_loudest_half_minute():
    mel = np.full((9000, BANDS), -2.0, np.float32)
    mel[5000:8000] = 1.0
    assert loudest_excerpt(mel, np.ones(9000)) == slice(5000, 8000)
    assert loudest_excerpt(mel, np.arange(9000) < 4000).stop <= 5000, "what is not spoken does not count"
    assert loudest_excerpt(mel[:40], np.ones(40)) == slice(0, 40)


def test_lips_meet_at_p_b_m(network, clips):
    met = sum((closures(network, clip) for name, clip in clips.items() if name.startswith("rms")), [])
    assert len(met) >= 20 and np.mean(met) >= 0.95, f"{sum(met)} of {len(met)}"


@pytest.mark.parametrize("harm", ["clipped", "quiet", "offset", "noise"])
def test_poor_recordings_still_move_the_mouth(network, clips, harm):
    clip = clips["rms_000"]
    wave, noise = clip["wave"], np.random.default_rng(0).standard_normal(len(clip["wave"])).astype(np.float32)
    changed = {
        "clipped": np.clip(wave / np.abs(wave).max() * 2, -1, 1), "quiet": wave * 0.01, "offset": wave + 0.3,
        "noise": wave + noise * wave.std() * 0.1,
    }[harm].astype(np.float32)  # fmt: skip
    jaw, clean = (heard(network, w)[1][:, 0] for w in (changed, wave))
    assert np.corrcoef(jaw, clean)[0, 1] > 0.85
    assert np.mean(closures(network, clip, changed)) >= 0.7


def test_the_context_covers_the_reach_of_the_network(network):
    mel = torch.zeros(1, BANDS, 601)
    changed = mel.clone()
    changed[:, :, 300] = 1.0
    touched = (network(mel) - network(changed)).abs().amax((0, 1)).nonzero()[:, 0]
    assert 300 - touched.min() <= speech_net.CONTEXT and touched.max() - 300 <= speech_net.CONTEXT


@pytest.mark.parametrize("hertz", [150, 440, 1000, 3000, 6000])
def test_a_tone_is_loudest_in_its_own_band(hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE, dtype=np.float32) * 0.5
    mel, loudness = features(tone[None], RATE)
    assert mel[50].argmax() == speech_features.mel_filters()[:, round(hertz * 512 / RATE)].argmax()
    assert loudness[50] == pytest.approx(10 * np.log10(0.125), abs=0.5)


def test_long_pauses_do_not_change_what_is_normal(clips):
    mel = features(clips["rms_000"]["wave"][None], RATE)[0]
    quiet = np.full((60 * len(mel), BANDS), mel.min(), np.float32)
    alone, among = normalise(mel), normalise(np.concatenate([quiet, mel]))[-len(mel) :]
    np.testing.assert_allclose(among, alone, atol=0.15)
