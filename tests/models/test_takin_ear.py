"""Takin-ADA on the built-in engine's ear: features, prepared films, a network of their size, and a motion by it."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.face_motion.time import joined
from talking_portrait.models.speech.ear import KIND, EarEncoder, ear_layers
from talking_portrait.models.speech.whisper_mel import log_mel, scaled
from talking_portrait.models.takin.config import TINY
from talking_portrait.models.takin.ear_engine import EarTakinEngine
from talking_portrait.models.takin.engine import TakinOptions
from talking_portrait.models.takin.network import TakinNet, build_takin
from talking_portrait.training.takin import prepare, train

from .remembering import remembering_ear
from .shipped_engines import RATE, clips

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def encoder():
    return remembering_ear()[0]


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
    name = prepare.ear_hearing().encoder
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


def random_network(name: str) -> TakinNet:
    """Of the ear's sizes and with random weights, a motion of unit size."""
    torch.manual_seed(0)
    config = replace(
        TINY,
        encoder=name, encoder_layers=5, encoder_width=384, width=32, heads=2, speech_layers=1, motion_layers=1,
        standardised=True,
    )  # fmt: skip
    return TakinNet(config).eval()


@pytest.mark.parametrize("live", [True, False])
def test_what_comes_later_than_the_look_ahead_changes_nothing(encoder, live):
    calm = 0.2 * voice(12.0)
    shouted = calm.copy()
    shouted[-RATE:] = np.clip(30 * calm[RATE : 2 * RATE], -1, 1)
    network = random_network("ear-test")
    engine = EarTakinEngine(lambda: network, lambda: encoder, "ear-test", TakinOptions(steps=1))

    def told(wave: np.ndarray) -> torch.Tensor:
        speech = Speech(torch.from_numpy(np.ascontiguousarray(wave))[None], RATE)
        if not live:
            return joined(list(engine.stream(speech, 1, MotionSettings()))).expression
        voice, parts = engine.begin(1, MotionSettings()), []
        for start in range(0, len(wave), 7777):
            piece = replace(speech, waveform=speech.waveform[:, start : start + 7777])
            parts.append(voice.push(piece, last=start + 7777 >= len(wave)))
        return joined([part for part in parts if part is not None]).expression

    with torch.inference_mode():
        one, other = told(calm), told(shouted)
    known = int((11 - engine.look_ahead) * 25)
    assert len(one) == len(other) == 300 and known > 90
    assert torch.equal(one[:known], other[:known]) and not torch.equal(one[-25:], other[-25:])


def test_a_live_voice_is_heard_alike_however_it_is_cut(encoder):
    wave, network = voice(6.0), random_network("ear-test")
    engine = EarTakinEngine(lambda: network, lambda: encoder, "ear-test", TakinOptions(steps=1))
    found = []
    with torch.inference_mode():
        for size in (len(wave), 3200, 16001):
            live, parts = engine.begin(1, MotionSettings()), []
            for start in range(0, len(wave), size):
                piece = Speech(torch.from_numpy(wave[start : start + size])[None], RATE)
                parts.append(live.branch().push(piece, last=start + size >= len(wave)))
                live.push(piece) if start + size < len(wave) else None
            found.append(joined([part for part in parts if part is not None]).expression)
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, rtol=0, atol=0.01)
