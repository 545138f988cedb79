"""The encoder that ships in 8 bits is Whisper tiny.en's: transformers' own says the same, within the rounding."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from talking_portrait.models.speech.whisper_mel import log_mel, scaled
from talking_portrait.models.speech.whisper_tiny_en import build_encoder, encoder_state, sinusoids
from talking_portrait.models.weights.int8 import in_float

from .shipped_engines import ROOT, sample

WEIGHTS = ROOT / "models/builtin/weights/whisper_tiny_en.safetensors"


@pytest.fixture(autouse=True)
def inference():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return encoder_state(load_file(WEIGHTS))


@pytest.fixture(scope="module")
def encoder(state) -> torch.nn.Module:
    network = build_encoder(state, {}).eval()
    network.load_state_dict(state)
    return network


def voice(seconds: int) -> torch.Tensor:
    return torch.from_numpy(sample()[: seconds * 16000].copy())


def test_it_is_transformers_encoder_with_the_same_weights(encoder, state):
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536
    )
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    theirs.load_state_dict(state)
    wave = torch.nn.functional.pad(voice(5), (0, 25 * 16000))
    extracted = transformers.WhisperFeatureExtractor()(wave.numpy(), sampling_rate=16000, return_tensors="pt")
    mel = scaled(log_mel(wave))[None]
    assert torch.equal(mel, extracted.input_features)
    wanted = theirs(mel, output_hidden_states=True).hidden_states
    for ours, level in zip(encoder(mel), wanted, strict=True):
        assert (ours - level).abs().max() < 1e-3


def test_rounding_to_8_bits_is_as_small_as_the_converter_found():
    """It compared what every level says of the sample voice with what the published weights say."""
    with safe_open(str(WEIGHTS), "pt") as file:
        errors = torch.tensor([float(part) for part in file.metadata()["error"].strip("[]").split(",")])
    assert len(errors) == 5 and 0 < errors.max() < 0.025


def test_a_window_of_any_length_is_heard(encoder):
    """Positions are cut to the window: ComfyUI's own encoder takes 30 s alone."""
    for frames in (1, 2, 333, 3000):
        levels = encoder.levels(torch.zeros(1, 80, frames))
        assert [tuple(level.shape) for level in levels] == [(1, -(-frames // 2), 384)] * 5


def test_rows_of_whole_numbers_become_their_steps():
    kept = {"w": torch.tensor([[127, -127], [1, 0]], dtype=torch.int8), "w.scale": torch.tensor([0.5, 2.0]).half(),
            "b": torch.tensor([0.25]).half()}  # fmt: skip
    found = in_float(kept)
    assert found["w"].tolist() == [[63.5, -63.5], [2.0, 0.0]] and found["b"].tolist() == [0.25]
    assert set(found) == {"w", "b"}


def test_positions_are_those_of_the_published_file():
    """Two of its rows, as OpenAI's file holds them in fp16."""
    rows = sinusoids(1500, 384)
    assert rows[0, :192].abs().max() == 0 and (rows[0, 192:] - 1).abs().max() == 0
    assert rows[1, 0] == pytest.approx(0.8415, abs=1e-3) and rows[1, 192] == pytest.approx(0.5403, abs=1e-3)


def test_the_file_leaves_room_in_the_budget_of_nine_megabytes():
    assert Path(WEIGHTS).stat().st_size < 8_000_000
