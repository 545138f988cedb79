"""The built-in engine's hearing of voices and recordings that it never trained on, measured to the finished lips."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors import safe_open
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion import CONTROLS
from talking_portrait.models.speech import features as speech_features
from talking_portrait.models.speech.features import BANDS, normalise
from talking_portrait.models.speech.features import speech_features as features
from talking_portrait.models.speech.viseme_heads import build_heads
from talking_portrait.models.speech.viseme_hearing import (
    OVERLAP,
    WINDOW,
    hear_recording,
    hear_visemes,
    windows,
)
from talking_portrait.models.speech.visemes import SILENCE, VISEMES, articulation
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.training.speech_net.labels import label_tracks

from . import shipped_engines
from .remembering import remembering_ear

RATE, FPS = 16000, 25
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def networks():
    return remembering_ear()


@pytest.fixture(scope="module")
def clips():
    """name -> {wave [T] float32, viseme [N], jaw [N], pbm [P] seconds}."""
    return shipped_engines.clips()


def heard(networks, wave):
    """Viseme probabilities and articulation at 25 frames per second."""
    visemes = hear_recording(networks, wave[None], RATE, CPU)[0]
    count = len(visemes) // 4
    return [track[: count * 4].reshape(count, 4, -1).mean(1) for track in (visemes, articulation(visemes))]


def scores(networks, clips, voice):
    """(viseme accuracy, r of the jaw) over the clips of a voice, at 25 frames per second."""
    chosen = [clip for name, clip in clips.items() if name.startswith(voice)]
    results = [heard(networks, clip["wave"]) for clip in chosen]
    guess = np.concatenate([visemes.argmax(1) for visemes, _ in results])
    jaw = np.concatenate([moves[:, 0] for _, moves in results])
    truth, target = (np.concatenate([clip[key] for clip in chosen]) for key in ("viseme", "jaw"))
    return (guess == truth).mean(), np.corrcoef(jaw, target.astype(float))[0, 1]


def closures(networks, clip, wave=None):
    """For every p, b, m: whether the finished motion closes the lips within one frame of it."""
    wave = clip["wave"] if wave is None else wave
    engine = BuiltinMotionEngine(lambda: networks)
    speech = Speech(torch.from_numpy(wave)[None], RATE)
    controls = engine.generate(speech, Fraction(FPS), 0, MotionSettings(), lambda done, total: None).controls
    closed = (controls[:, CONTROLS.index("mouthClose")] > 0.8) & (
        controls[:, CONTROLS.index("jawOpen")] < 0.1
    )
    return [bool(closed[max(0, int(t * FPS) - 1) : int(t * FPS) + 2].any()) for t in clip["pbm"]]


def test_the_heads_never_heard_the_test_voices():
    """They hear flite but for rms, espeak-ng's other voices, and nothing of festival."""
    with safe_open(str(weight_path(WEIGHTS["viseme_heads"])), "pt") as file:
        metadata = file.metadata()
    assert "--without rms" in metadata["command"] and "festival" not in metadata["command"]
    assert metadata["licence"] == "Apache-2.0" and metadata["seed"]


def test_a_new_voice_is_understood(networks, clips):
    viseme, jaw = scores(networks, clips, "rms")
    assert viseme >= 0.75 and jaw >= 0.85, (viseme, jaw)


@pytest.mark.parametrize("synthesiser,visemes,opening", [("espeak", 0.57, 0.68), ("festival", 0.72, 0.78)])
def test_other_synthesisers_are_mostly_understood(networks, clips, synthesiser, visemes, opening):
    viseme, jaw = scores(networks, clips, synthesiser)
    assert viseme >= visemes and jaw >= opening, (viseme, jaw)


def test_lips_meet_at_p_b_m(networks, clips):
    met = sum((closures(networks, clip) for name, clip in clips.items() if name.startswith("rms")), [])
    assert len(met) >= 20 and np.mean(met) >= 0.95, f"{sum(met)} of {len(met)}"


@pytest.mark.parametrize("harm", ["clipped", "quiet", "offset", "noise"])
def test_poor_recordings_still_move_the_mouth(networks, clips, harm):
    clip = clips["rms_000"]
    wave, noise = clip["wave"], np.random.default_rng(0).standard_normal(len(clip["wave"])).astype(np.float32)
    changed = {
        "clipped": np.clip(wave / np.abs(wave).max() * 2, -1, 1), "quiet": wave * 0.01, "offset": wave + 0.3,
        "noise": wave + noise * wave.std() * 0.1,
    }[harm].astype(np.float32)  # fmt: skip
    jaw, clean = (heard(networks, w)[1][:, 0] for w in (changed, wave))
    assert np.corrcoef(jaw, clean)[0, 1] > 0.85
    assert np.mean(closures(networks, clip, changed)) >= 0.7


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


def test_windows_share_two_seconds_and_reach_the_end():
    for frames in (1, WINDOW, WINDOW + 1, 5 * WINDOW + 37):
        found = list(windows(frames))
        assert found[0][0] == 0 and found[-1][1] == frames
        assert all(last - start <= WINDOW and start % 2 == 0 for start, last in found)
        assert all(last - start == OVERLAP for (_, last), (start, _) in zip(found, found[1:], strict=False))


def test_where_the_windows_lie_hardly_matters(networks, clips):
    wave = np.concatenate([clip["wave"] for clip in clips.values()])[: 24 * RATE]
    early = hear_visemes(networks, wave, CPU)
    late = hear_visemes(networks, np.pad(wave, (3 * RATE, 0)), CPU)[300:]
    assert (early.argmax(1) == late.argmax(1)).mean() > 0.93
    assert np.abs(articulation(early) - articulation(late)).mean() < 0.02


def test_silence_is_what_both_heads_take_for_it(networks):
    """Whisper's later layers leave out what its first ones hear."""
    encoder, heads = networks
    levels = encoder.levels(torch.randn(1, 80, 200))
    said = heads(levels)[0]
    alone = torch.stack([
        (head(levels) + odds * torch.eye(len(VISEMES))[SILENCE][:, None]).softmax(1)[0, SILENCE]
        for head, odds in zip((heads.all, heads.first), heads.silence_odds, strict=True)
    ])  # fmt: skip
    torch.testing.assert_close(said[:, SILENCE], alone.amin(0), atol=1e-5, rtol=0)
    torch.testing.assert_close(said.sum(1), torch.ones(200), atol=1e-4, rtol=0)


def test_sure_visemes_move_the_mouth_as_the_labels_say():
    """Probabilities move the mouth by the labels' own rule, with a Gaussian in the place of its kernel."""
    parts = [
        ("sil", 0.0, 0.3),
        ("PP", 0.3, 0.4),
        ("AA", 0.4, 0.6),
        ("OU", 0.6, 0.8),
        ("SS", 0.8, 0.9),
        ("sil", 0.9, 1.2),
    ]
    classes, target = label_tracks(parts, 120)
    moves = articulation(np.eye(len(VISEMES), dtype=np.float32)[classes])
    for ours, wanted in zip(moves.T, target.T, strict=True):
        assert wanted.std() == 0 or np.corrcoef(ours, wanted)[0, 1] > 0.9


def test_heads_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not hold the viseme heads"):
        build_heads({"x": torch.zeros(1)}, {})
