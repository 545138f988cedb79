"""Takin-ADA on the built-in engine's ear: features, prepared films, a network of their size, and a motion by it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.speech.ear import KIND, EarEncoder, ear_layers
from talking_portrait.models.speech.whisper_mel import log_mel, scaled
from talking_portrait.models.takin.ear_engine import EarTakinEngine
from talking_portrait.models.takin.engine import TakinOptions
from talking_portrait.models.takin.network import build_takin
from talking_portrait.training.speech_net.shipped import shipped_encoder
from talking_portrait.training.takin import prepare, train

from .shipped_engines import RATE, clips

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder():
    return shipped_encoder()


def voice(seconds: float) -> np.ndarray:
    return np.tile(clips("rms_000")["rms_000"]["wave"], 5)[: int(seconds * RATE)]


def test_a_short_clip_is_heard_at_once_and_a_long_one_in_windows(encoder):
    wave = voice(14.03)
    with torch.inference_mode():
        short, long = ear_layers(encoder, wave[: 3 * RATE], CPU), ear_layers(encoder, wave, CPU)
        piece = torch.from_numpy(wave[: 3 * RATE])
        whole = torch.cat(encoder.levels(scaled(log_mel(piece - piece.mean()))[None]))
    torch.testing.assert_close(short, whole, rtol=0, atol=1e-5)
    assert short.shape == (5, 150, 384) and long.shape == (5, 702, 384)
    assert torch.isfinite(long).all() and long[4, 690:].std() > 0.1


@pytest.mark.slow
def test_films_are_prepared_trained_on_and_spoken_with(tmp_path, monkeypatch, encoder):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(6):
        ends = np.linspace(0.1, 2.0, 20)
        phones = ["pau", *("m", "aa", "f", "iy", "b", "uw", "s", "eh", "p") * 2, "pau"]
        wave = (voice(2.0) * 32767).astype(np.int16)
        np.savez(corpus / f"train_x_{number:03d}.npz", wave=wave, phones=phones, ends=ends, espeak=False)
    films, out = tmp_path / "films.safetensors", tmp_path / "takin.safetensors"
    monkeypatch.setattr(sys, "argv", ["prepare", str(corpus), str(films), "--ear", "--clips", "3"])
    prepare.main()
    features = load_file(films)["features"]
    assert features.shape[1:] == (5, 384) and features.dtype == torch.float16
    monkeypatch.setattr(sys, "argv", ["train", str(out), str(films), "--steps", "2"])
    train.main()
    name = prepare.ear_hearing()[1]
    with safe_open(str(out), "pt") as file:
        header, state = file.metadata(), {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_takin(state, header, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    assert network.config.encoder == name and network.config.encoder_width == 384
    engine = EarTakinEngine(lambda: network.eval(), lambda: encoder, name, TakinOptions(steps=1))
    speech = Speech(torch.from_numpy(voice(1.0))[None], RATE)
    with torch.inference_mode():
        (motion,) = engine.stream(speech, 1, MotionSettings())
        told = EarEncoder(lambda: encoder, name).encode(speech.waveform, RATE)
        (again,) = engine.stream(replace(speech, encoded=told), 1, MotionSettings())
    assert told.kind == KIND and len(motion) == 25 and torch.isfinite(motion.expression).all()
    torch.testing.assert_close(motion.expression, again.expression, rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="needs the whole sound"):
        engine.begin(1, MotionSettings())
