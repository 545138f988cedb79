"""All layers of a HuBERT as Takin-ADA reads them (section 3.2: HuBERT-large, 25 layers), for sound of any length."""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .hubert import NEW_NAMES, build_hubert, hubert_config

if TYPE_CHECKING:
    from transformers import HubertModel

FEATURE_RATE = 50  # frames per second
HOP, REACH = 320, 400  # samples at 16 kHz from one frame to the next, and that a frame hears
# frames that are heard at once, and around them: attention sees all of these
BLOCK, CONTEXT = 20 * FEATURE_RATE, FEATURE_RATE
SHORTEST = REACH
SIGNATURE = "feature_projection.projection.weight"
OWN = "hubert."  # in front of the names here, and in editions with a head
PREFIXES = (OWN, "wav2vec2.", "module.", "")


def hubert_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """An encoder file's content as the network's state dict; ValueError if it is another network.

    A head for recognising words, which some editions have, is left out.
    """
    state = {
        key: value
        for key, value in content.items()
        if isinstance(value, Tensor) and not key.startswith("lm_head.")
    }
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}{SIGNATURE}" in state), "")
    state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    state = {OWN + NEW_NAMES.get(key, key): value for key, value in state.items()}
    try:
        hubert_config(state, OWN)
    except KeyError as error:
        raise ValueError(
            f"it is no HuBERT speech encoder in transformers' layout: {error} is not in it"
        ) from None
    except (ValueError, IndexError, ArithmeticError):
        raise ValueError("it is no HuBERT speech encoder: its tensors have other sizes") from None
    return state


def hubert_name(state: Mapping[str, Tensor]) -> str:
    """The name of these very weights, in whatever precision they are stored: trained further, it is another encoder.

    What is hashed are the signs of the weights, which rounding leaves as they are.
    """
    config, digest = hubert_config(state, OWN), hashlib.sha256()
    for key in sorted(key for key, value in state.items() if value.ndim >= 2):
        digest.update(np.packbits(torch.signbit(state[key]).flatten().cpu().numpy()).tobytes())
    return f"hubert-{config.num_hidden_layers}x{config.hidden_size}-{digest.hexdigest()[:12]}"


class SpeechEncoder(nn.Module):
    """A HuBERT and its name. A module of its own, since ComfyUI sets a model's `device`, which transformers forbids."""

    def __init__(self, hubert: "HubertModel", name: str):
        super().__init__()
        self.hubert, self.encoder_name = hubert, name

    @property
    def hears_normalised(self) -> bool:
        """Whether it was trained on sound of mean 0 and variance 1, as large ones are."""
        return self.hubert.config.do_stable_layer_norm

    def forward(self, wave: Tensor) -> Tensor:
        """[1,T] at 16 kHz -> all layers [L,M,D]: what goes into the transformer, then what each of its layers says."""
        return torch.cat(self.hubert(wave, output_hidden_states=True).hidden_states)


def build_speech_encoder(
    state: Mapping[str, Tensor], metadata: Any, device=None, dtype=torch.float32, operations=None
) -> SpeechEncoder:
    """For the loader: a HuBERT of the size that the weights have."""
    return SpeechEncoder(build_hubert(hubert_config(state, OWN), device, dtype), hubert_name(state))


class HubertHearing:
    """Layers of one clip, heard block by block where they are asked for; the same ones however they are asked for."""

    def __init__(self, network: SpeechEncoder, wave: np.ndarray, device: torch.device | None = None):
        """wave [T]: mono at 16 kHz."""
        self.network, self.device = network, device or torch.device("cpu")
        wave = np.asarray(wave, np.float32)
        self.wave = np.pad(wave, (0, max(0, SHORTEST - len(wave))))
        self.total = (len(self.wave) - REACH) // HOP + 1
        self.block: tuple[int, Tensor] | None = None  # the last one heard, and its number

    def between(self, start: int, stop: int) -> Tensor:
        """[L,stop-start,D] float32 on the CPU: frames at 50 Hz; behind the clip's end the last one is repeated."""
        found = []
        for number in range(start // BLOCK, max(start, stop - 1) // BLOCK + 1):
            first, last = max(start, number * BLOCK), min(stop, (number + 1) * BLOCK)
            index = torch.arange(first, last).clamp(max=self.total - 1)
            found += [self._block(int(index[0]) // BLOCK)[:, index % BLOCK]] if len(index) else []
        return torch.cat(found, 1)

    @torch.inference_mode()
    def _block(self, number: int) -> Tensor:
        if self.block is None or self.block[0] != number:
            left = max(0, number * BLOCK - CONTEXT)
            right = min(self.total, (number + 1) * BLOCK + CONTEXT)
            piece = self.wave[
                left * HOP : len(self.wave) if right == self.total else (right - 1) * HOP + REACH
            ]
            # a block by itself: how loud the rest of the clip is, is not known yet
            if self.network.hears_normalised:
                piece = (piece - piece.mean()) / np.sqrt(piece.var() + 1e-7)
            lead = number * BLOCK - left
            self.block = (
                number,
                self.network(torch.from_numpy(piece)[None].to(self.device))[:, lead : lead + BLOCK]
                .float()
                .cpu(),
            )
        return self.block[1]
