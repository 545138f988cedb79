"""The small network that hears which way a mouth moves: log-mel -> visemes and articulation."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .features import BANDS
from .vocal_tract import fitting_warps, warp_bands

VISEMES = ("sil", "PP", "FF", "TH", "DD", "SS", "KK", "CH", "RR", "AA", "EH", "II", "OH", "OU")
ARTICULATION = ("jaw", "close", "round", "wide", "tuck", "teeth")
KERNEL = 5
DILATIONS = (1, 2, 4, 8, 16, 1)
BLOCK, CONTEXT = 3000, 128  # frames at once; frames of context, more than the network's reach of 66


class SpeechNet(nn.Module):
    """Residual dilated convolutions over time; [N,40,T] normalised log-mel at 100 Hz -> [N,20,T].

    The first 14 channels are viseme logits, the last 6 articulation in 0..1 before a sigmoid. Reach: 66 frames each
    way.
    """

    def __init__(self, width: int, *, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        options = {"padding": "same", "device": device, "dtype": dtype}
        self.enter = operations.Conv1d(BANDS, width, KERNEL, **options)
        self.blocks = nn.ModuleList(
            operations.Conv1d(width, width, KERNEL, dilation=d, **options) for d in DILATIONS
        )
        self.leave = operations.Conv1d(width, len(VISEMES) + len(ARTICULATION), 1, **options)

    def hidden(self, mel: Tensor) -> list[Tensor]:
        """What each of the 7 layers hears, [N,width,T] each."""
        layers = [nn.functional.gelu(self.enter(mel))]
        for block in self.blocks:
            layers.append(layers[-1] + nn.functional.gelu(block(layers[-1])))
        return layers

    def forward(self, mel: Tensor) -> Tensor:
        return self.leave(self.hidden(mel)[-1])


def build_speech_net(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], *, device: Any, dtype: Any, operations: Any
) -> SpeechNet:
    """A network of the size that the weights have; ValueError if they are of another network."""
    entry = state.get("enter.weight")
    if entry is None or entry.ndim != 3 or entry.shape[1] != BANDS:
        raise ValueError("the file is not a speech network of this pack (no fitting enter.weight).")
    return SpeechNet(entry.shape[0], device=device, dtype=dtype, operations=operations)


def hear(
    network: nn.Module, mel: np.ndarray, device: torch.device,
    progress: Callable[[int, int], None] = lambda done, total: None, spoken: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Run the network over normalised log-mel [T,40] in blocks: viseme probabilities [T,14], articulation [T,6].

    The speaker is heard under the band shifts that fit best (see vocal_tract), and what they say is averaged.
    spoken [T]: 0 where nobody speaks; without it all counts as speech.
    """
    warps = fitting_warps(network, mel, np.ones(len(mel)) if spoken is None else spoken, len(VISEMES), device)
    visemes, articulation = [], []
    for start in range(0, len(mel), BLOCK):
        left = max(0, start - CONTEXT)
        block = mel[left : start + BLOCK + CONTEXT]
        heard = np.stack([warp_bands(block, *warp).T for warp in warps])
        raw = (
            network(torch.from_numpy(heard).to(device))[..., start - left : start - left + BLOCK]
            .float()
            .cpu()
        )
        logits, moves = raw.split([len(VISEMES), len(ARTICULATION)], 1)
        visemes.append(logits.softmax(1).mean(0).T.numpy())
        articulation.append(moves.sigmoid().mean(0).T.numpy())
        progress(min(start + BLOCK, len(mel)), len(mel))
    return np.concatenate(visemes), np.concatenate(articulation)
