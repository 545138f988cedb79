"""Whisper's encoder of any size (Radford et al. 2022, section 2.2), with the keys of the published files.

ComfyUI's own takes 30 s and nothing shorter: comfy/audio_encoders/whisper.py cuts the positions along the channels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 64  # channels of one head in every size of Whisper


class Attention(nn.Module):
    """Self-attention [n,T,d]; the keys have no bias."""

    def __init__(self, width: int, options: dict[str, Any], operations: Any):
        super().__init__()
        self.q_proj = operations.Linear(width, width, **options)
        self.k_proj = operations.Linear(width, width, bias=False, **options)
        self.v_proj = operations.Linear(width, width, **options)
        self.out_proj = operations.Linear(width, width, **options)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            projection(x).unflatten(-1, (-1, HEAD)).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention and two linear layers, each added to what enters it after a norm; [n,T,d]."""

    def __init__(self, width: int, options: dict[str, Any], operations: Any):
        super().__init__()
        self.self_attn = Attention(width, options, operations)
        self.self_attn_layer_norm = operations.LayerNorm(width, **options)
        self.fc1 = operations.Linear(width, 4 * width, **options)
        self.fc2 = operations.Linear(4 * width, width, **options)
        self.final_layer_norm = operations.LayerNorm(width, **options)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class WhisperEncoder(nn.Module):
    """Log-mel [n,mels,T] at 100 Hz to hidden states [n,T/2,d] at 50 Hz; T up to twice `positions`."""

    def __init__(
        self, mels: int, width: int, layers: int, positions: int = 1500, *, device: Any = None, dtype: Any = None,
        operations: Any = nn,
    ):  # fmt: skip
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.conv1 = operations.Conv1d(mels, width, 3, padding=1, **options)
        self.conv2 = operations.Conv1d(width, width, 3, stride=2, padding=1, **options)
        self.embed_positions = operations.Embedding(positions, width, **options)
        self.layers = nn.ModuleList(Layer(width, options, operations) for _ in range(layers))
        self.layer_norm = operations.LayerNorm(width, **options)

    def levels(self, mel: Tensor) -> list[Tensor]:
        """What enters the first layer and what leaves each, [n,ceil(T/2),d] each, the last without the final norm."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        found = [x + self.embed_positions(torch.arange(x.shape[1], device=x.device))]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found

    def forward(self, mel: Tensor) -> list[Tensor]:
        """The levels, the last one after the final norm: transformers' hidden states."""
        *levels, last = self.levels(mel)
        return [*levels, self.layer_norm(last)]
