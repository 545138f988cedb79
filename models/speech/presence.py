"""Is anybody speaking? A small network that tells speech from rooms, machines and music, whatever the level.

It hears 1.5 s of the past and 0.32 s of what follows, so it tells from a live voice what it tells from the whole clip.
"""

from functools import cache

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ..weights.published import WEIGHTS, weight_path
from .features import BANDS

# kernel, dilation, frames of it that lie ahead
LAYERS = ((5, 1, 2), (5, 2, 4), (5, 4, 8), (3, 8, 8), (5, 16, 0), (5, 16, 0))
# frames around a moment whose mean is the level against which it is heard
LEVEL_BEFORE, LEVEL_AHEAD = 120, 10
AHEAD = LEVEL_AHEAD + sum(ahead for _, _, ahead in LAYERS)
BEFORE = LEVEL_BEFORE + sum((kernel - 1) * dilation - ahead for kernel, dilation, ahead in LAYERS)
RANGE, UNIT = 4.0, 4.0  # of what it hears: natural logarithm of power in this unit, clipped
BLOCK = 3000


class PresenceNet(nn.Module):
    """Residual dilated convolutions over time; [N,40,T] level-free log-mel at 100 Hz -> logits of speech [N,T]."""

    def __init__(self, width: int):
        super().__init__()
        sizes = [BANDS, *[width] * (len(LAYERS) - 1)]
        self.layers = nn.ModuleList(
            nn.Conv1d(size, width, kernel, dilation=dilation)
            for size, (kernel, dilation, _) in zip(sizes, LAYERS, strict=True)
        )
        self.leave = nn.Conv1d(width, 1, 1)

    def forward(self, mel: Tensor) -> Tensor:
        x = mel
        for number, (layer, (kernel, dilation, ahead)) in enumerate(zip(self.layers, LAYERS, strict=True)):
            found = F.gelu(layer(F.pad(x, ((kernel - 1) * dilation - ahead, ahead))))
            x = found if number == 0 else x + found
        return self.leave(x)[:, 0]


def level_free(mel: np.ndarray) -> np.ndarray:
    """Log-mel [T,40] against the mean level around each moment, so that a whisper and a shout look alike."""
    total = np.concatenate([[0.0], np.cumsum(mel.mean(1), dtype=np.float64)])
    place = np.arange(len(mel))
    first, last = np.maximum(place - LEVEL_BEFORE, 0), np.minimum(place + LEVEL_AHEAD + 1, len(mel))
    level = (total[last] - total[first]) / (last - first)
    return np.clip((mel - level[:, None]) / UNIT, -RANGE, RANGE).astype(np.float32)


@cache
def presence_net() -> PresenceNet:
    """The network that ships with the pack; ValueError if its file is missing or damaged."""
    path = weight_path(WEIGHTS["presence"])
    try:
        state = {key: value.float() for key, value in load_file(path).items()}
        network = PresenceNet(len(state["leave.weight"][0]))
        network.load_state_dict(state)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"{path} is missing or damaged ({error}). It ships with the pack: install the pack again."
        ) from None
    return network.eval()


def speech_presence(mel: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Probability [stop-start] that somebody speaks in frames start to stop - 1 of a recording's log-mel [T,40]."""
    stop, found = len(mel) if stop is None else stop, [np.zeros(0, np.float32)]
    for first in range(start, stop, BLOCK):
        last, left = min(first + BLOCK, stop), max(0, first - BEFORE)
        heard = level_free(mel[left : last + AHEAD])
        with torch.inference_mode():
            logits = presence_net()(torch.from_numpy(heard.T[None]))[0]
        found.append(logits.sigmoid().numpy()[first - left : last - left])
    return np.concatenate(found)
