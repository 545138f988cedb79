"""The audio encoder inside JoyVASA's checkpoint: a HuBERT whose transformer was trained further, so no other HuBERT will do."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import HubertConfig, HubertModel

from .config import layer_total

PREFIX = "audio_encoder."
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # samples of 16 kHz to frames of 20 ms
HEAD_WIDTH = 64
POSITIONS = "encoder.pos_conv_embed.conv."
NEW_NAMES = {  # torch's two ways to store a weight norm
    f"{PREFIX}{POSITIONS}weight_g": f"{PREFIX}{POSITIONS}parametrizations.weight.original0",
    f"{PREFIX}{POSITIONS}weight_v": f"{PREFIX}{POSITIONS}parametrizations.weight.original1",
}
EDGE = 20  # samples that are mirrored on either side, twice


def hubert_config(state: Mapping[str, Tensor]) -> HubertConfig:
    """Sizes of the encoder in a state dict with JoyVASA's names; KeyError where a tensor is missing."""
    convolutions = [state[f"{PREFIX}feature_extractor.conv_layers.{i}.conv.weight"] for i in range(len(STRIDES))]
    positions = state[f"{PREFIX}{POSITIONS}parametrizations.weight.original1"]
    layers = f"{PREFIX}encoder.layers."
    width = len(positions)
    return HubertConfig(
        hidden_size=width, num_attention_heads=width // HEAD_WIDTH,
        num_hidden_layers=layer_total(state, layers),
        intermediate_size=len(state[f"{layers}0.feed_forward.intermediate_dense.weight"]),
        conv_dim=tuple(len(weight) for weight in convolutions), conv_kernel=tuple(weight.shape[-1] for weight in convolutions),
        conv_stride=STRIDES, num_conv_pos_embeddings=positions.shape[-1],
        num_conv_pos_embedding_groups=width // positions.shape[1],
    )  # fmt: skip


def build_hubert(config: HubertConfig, device=None, dtype=torch.float32) -> HubertModel:
    """The network without weights."""
    with torch.device("meta"):
        network = HubertModel(config)
    return network.to(dtype).to_empty(device=device or "cpu").eval()


def padded_window(wave: Tensor) -> Tensor:
    """[B,T] -> [B,T+80], so that T / 320 frames come out."""
    for _ in range(2):
        wave = F.pad(wave[:, None], (EDGE, EDGE), mode="reflect")[:, 0]
    return wave
