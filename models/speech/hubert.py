"""HuBERT speech encoders in transformers' layout: their sizes from a state dict, and the network without weights.

transformers is imported when one is built: its models take seconds, which those who build none need not wait.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import HubertConfig, HubertModel

HEAD_WIDTH = 64
STRIDES = (5, 2, 2, 2, 2, 2, 2)  # samples of 16 kHz to frames of 20 ms
POSITIONS = "encoder.pos_conv_embed.conv."
NEW_NAMES = {  # torch's two ways to store a weight norm
    f"{POSITIONS}weight_g": f"{POSITIONS}parametrizations.weight.original0",
    f"{POSITIONS}weight_v": f"{POSITIONS}parametrizations.weight.original1",
}


def layer_total(state: Mapping[str, Any], prefix: str) -> int:
    """How many numbered layers there are under a prefix; KeyError for the first that is missing, if one is."""
    numbers = {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}
    for number in range(max(len(numbers), 1)):
        if str(number) not in numbers:
            raise KeyError(f"{prefix}{number}")
    return len(numbers)


def hubert_config(state: Mapping[str, Tensor], prefix: str = "") -> "HubertConfig":
    """Sizes of the encoder whose tensors' names start with `prefix`; KeyError where a tensor is missing.

    Large HuBERTs have a layer norm behind every convolution, and their transformer's norms come first; base
    ones have neither.
    """
    from transformers import HubertConfig

    convolutions = [
        state[f"{prefix}feature_extractor.conv_layers.{i}.conv.weight"] for i in range(len(STRIDES))
    ]
    positions = state[f"{prefix}{POSITIONS}parametrizations.weight.original1"]
    layers = f"{prefix}encoder.layers."
    width, large = len(positions), f"{prefix}feature_extractor.conv_layers.1.layer_norm.weight" in state
    masked: dict[str, Any] = (
        {} if f"{prefix}masked_spec_embed" in state else {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    )
    return HubertConfig(
        hidden_size=width, num_attention_heads=max(1, width // HEAD_WIDTH),
        num_hidden_layers=layer_total(state, layers),
        intermediate_size=len(state[f"{layers}0.feed_forward.intermediate_dense.weight"]),
        conv_dim=tuple(len(weight) for weight in convolutions),
        conv_kernel=tuple(weight.shape[-1] for weight in convolutions),
        conv_stride=STRIDES, num_conv_pos_embeddings=positions.shape[-1],
        num_conv_pos_embedding_groups=width // positions.shape[1],
        feat_extract_norm="layer" if large else "group",
        conv_bias=f"{prefix}feature_extractor.conv_layers.0.conv.bias" in state, do_stable_layer_norm=large,
        **masked,
    )  # fmt: skip


def build_hubert(config: "HubertConfig", device=None, dtype=torch.float32) -> "HubertModel":
    """The network without weights."""
    from transformers import HubertModel

    with torch.device("meta"):
        network = HubertModel(config)
    network = cast(nn.Module, network).to(dtype).to_empty(device=device or "cpu")  # its `to` is not typed
    return cast("HubertModel", network.eval())
