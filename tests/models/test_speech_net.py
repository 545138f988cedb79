"""Features are the same in blocks as at once; weights of another network are refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models.speech.speech_net import build_speech_net

ROOT = Path(__file__).resolve().parent.parent.parent
WEIGHTS = ROOT / "models" / "builtin" / "weights" / "speech.safetensors"


@pytest.mark.parametrize("block", [7, 12])
def test_features_in_blocks_equal_the_whole(monkeypatch, block):
    from talking_portrait.models.speech import features as features

    wave = np.random.default_rng(0).standard_normal((2, 44100 * 31)).astype(np.float32) * 0.1
    whole = features.speech_features(wave, 44100)
    monkeypatch.setattr(features, "BLOCK_SECONDS", block)
    parts = features.speech_features(wave, 44100)
    assert whole[0].shape == parts[0].shape == (3100, 40)
    assert np.abs(whole[0] - parts[0]).max() < 1e-3 and np.abs(whole[1] - parts[1]).max() < 1e-3


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="not a speech network"):
        build_speech_net({"x": torch.zeros(1)}, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
