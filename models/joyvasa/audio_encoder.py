"""The audio encoder inside JoyVASA's checkpoint: a HuBERT whose transformer was trained further, so no other
HuBERT will do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from ..speech import hubert

if TYPE_CHECKING:
    from transformers import HubertConfig

PREFIX = "audio_encoder."
NEW_NAMES = {PREFIX + old: PREFIX + new for old, new in hubert.NEW_NAMES.items()}
EDGE = 20  # samples that are mirrored on either side, twice


def hubert_config(state: Mapping[str, Tensor]) -> "HubertConfig":
    """Sizes of the encoder in a state dict with JoyVASA's names; KeyError where a tensor is missing."""
    return hubert.hubert_config(state, PREFIX)


def padded_window(wave: Tensor) -> Tensor:
    """[B,T] -> [B,T+80], so that T / 320 frames come out."""
    for _ in range(2):
        wave = F.pad(wave[:, None], (EDGE, EDGE), mode="reflect")[:, 0]
    return wave
