"""What hears for the built-in engine, loaded without ComfyUI's memory manager: for trainings, measures and tests."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ...models.speech.speech_net import SpeechNet, build_speech_net
from ...models.speech.viseme_heads import VisemeHeads, build_heads
from ...models.speech.whisper_encoder import WhisperEncoder
from ...models.speech.whisper_tiny_en import build_encoder, encoder_state
from ...models.weights.int8 import in_float
from ...models.weights.published import WEIGHTS, weight_path


def ready(build: Any, state: dict[str, torch.Tensor]) -> Any:
    """A network with these weights in float32."""
    network = build(state, {}).eval().requires_grad_(False)
    network.load_state_dict({key: value.float() for key, value in state.items()})
    return network


def shipped_encoder() -> WhisperEncoder:
    """Whisper tiny.en's encoder."""
    return ready(build_encoder, encoder_state(load_file(weight_path(WEIGHTS["whisper_tiny_en"]))))


def shipped_networks(heads: Path | None = None) -> tuple[WhisperEncoder, VisemeHeads]:
    """The encoder and the viseme heads, the shipped ones or those of another file."""
    return shipped_encoder(), ready(
        build_heads, in_float(load_file(heads or weight_path(WEIGHTS["viseme_heads"])))
    )


def load_speech_net(path: Path) -> tuple[SpeechNet, dict[str, str]]:
    """The speech network that Takin-ADA hears with, in float32, and its header."""
    with safe_open(str(path), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_speech_net(state, metadata, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval(), metadata
