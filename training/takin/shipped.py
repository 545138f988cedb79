"""Takin-ADA's tiny network with what it hears by, loaded without ComfyUI's memory manager: for measures and tests."""

from pathlib import Path

import torch
from safetensors import safe_open

from ...models.speech.ear import NAME
from ...models.takin.ear_engine import EarTakinEngine
from ...models.takin.engine import TakinEngine, TakinOptions
from ...models.takin.network import TakinNet, build_takin
from ...models.weights.published import WEIGHTS, weight_path
from ..speech_net.shipped import load_speech_net, shipped_encoder


def load(path: Path) -> tuple[TakinNet, dict[str, str]]:
    """The network in fp32 and its header."""
    with safe_open(str(path), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_takin(state, metadata)
    network.load_state_dict(state)
    return network.eval(), metadata


def hears_by_ear(network: TakinNet) -> bool:
    """Whether it was trained on the built-in engine's ear."""
    return network.config.encoder.startswith(NAME)


def speech_encoder_of(network: TakinNet) -> torch.nn.Module:
    """The built-in speech encoder that it was trained on."""
    return shipped_encoder() if hears_by_ear(network) else load_speech_net(weight_path(WEIGHTS["speech"]))[0]


def engine_of(
    network: TakinNet, encoder: torch.nn.Module, options: TakinOptions | None = None, name: str = "",
    device: torch.device | None = None,
) -> TakinEngine:  # fmt: skip
    """The engine of a network and the encoder that it was trained on; another `name` for the encoder to be refused."""
    kind = EarTakinEngine if hears_by_ear(network) else TakinEngine
    return kind(lambda: network, lambda: encoder, name or network.config.encoder, options, device)


def shipped_takin(options: TakinOptions | None = None) -> TakinEngine:
    """The engine that ships."""
    network, _ = load(weight_path(WEIGHTS["takin.motion"]))
    return engine_of(network, speech_encoder_of(network), options)
