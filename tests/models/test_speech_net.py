"""Features and network give the same in blocks as at once; weights of another network are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from talking_portrait.models.speech.speech_net import build_speech_net

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHTS = ROOT / "models" / "builtin" / "weights" / "speech.safetensors"


@pytest.fixture(scope="module")
def network():
    with safe_open(str(WEIGHTS), "pt") as file:
        state = {key: file.get_tensor(key).float() for key in file.keys()}
    net = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    net.load_state_dict(state)
    return net.eval()


@pytest.mark.parametrize("block", [7, 12])
def test_features_in_blocks_equal_the_whole(monkeypatch, block):
    from talking_portrait.models.speech import features as features

    wave = np.random.default_rng(0).standard_normal((2, 44100 * 31)).astype(np.float32) * 0.1
    whole = features.speech_features(wave, 44100)
    monkeypatch.setattr(features, "BLOCK_SECONDS", block)
    parts = features.speech_features(wave, 44100)
    assert whole[0].shape == parts[0].shape == (3100, 40)
    assert np.abs(whole[0] - parts[0]).max() < 1e-3 and np.abs(whole[1] - parts[1]).max() < 1e-3


@pytest.mark.slow
def test_the_network_in_blocks_equals_the_whole(network, monkeypatch):
    from talking_portrait.models.speech import speech_net

    mel = np.random.default_rng(0).standard_normal((2500, 40)).astype(np.float32)
    with torch.inference_mode():
        whole = speech_net.hear(network, mel, torch.device("cpu"))
        monkeypatch.setattr(speech_net, "BLOCK", 333)
        parts = speech_net.hear(network, mel, torch.device("cpu"))
    assert all(np.abs(a - b).max() < 1e-4 for a, b in zip(whole, parts, strict=True))


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not a speech network"):
        build_speech_net({"x": torch.zeros(1)}, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
