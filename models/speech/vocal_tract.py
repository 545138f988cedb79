"""Voices differ in the length of the throat: find the shifts of the mel bands under which a speaker is best understood.

Vocal tract length normalisation (Lee and Rose 1998) without labels: the network itself says how sure it is of what it
hears, and the shifts of which it is surest are heard together.
"""

from itertools import product

import numpy as np
import torch
from torch import nn

from .features import BANDS, SOFTEST

STRETCHES, SHIFTS = (0.92, 1.0, 1.08), (-2, -1, 0, 1, 2)
WARPS = tuple(product(STRETCHES, SHIFTS))  # (stretch about the middle band, shift in bands)
HEARD_TOGETHER = 3
EXCERPT = 3000  # frames, 30 s: enough to know a voice by, however long the speech is


def warp_bands(mel: np.ndarray, stretch: float, shift: float) -> np.ndarray:
    """Log-mel [T,40] read at bands 20 + (band - 20) * stretch + shift, linear between bands, the edge held beyond."""
    place = np.clip(BANDS // 2 + (np.arange(BANDS) - BANDS // 2) * stretch + shift, 0, BANDS - 1)
    low = np.minimum(place.astype(int), BANDS - 2)
    part = (place - low).astype(np.float32)
    return mel[:, low] * (1 - part) + mel[:, low + 1] * part


def loudest_excerpt(mel: np.ndarray, spoken: np.ndarray) -> slice:
    """The 30 s of a normalised log-mel [T,40] with the most energy where `spoken` [T] is 1; all of it where
    it is shorter."""
    if len(mel) <= EXCERPT:
        return slice(0, len(mel))
    energy = (mel.mean(1) - SOFTEST) * spoken
    total = np.concatenate([[0.0], np.cumsum(energy, dtype=np.float64)])
    first = int((total[EXCERPT:] - total[:-EXCERPT]).argmax())
    return slice(first, first + EXCERPT)


def fitting_warps(
    network: nn.Module, mel: np.ndarray, spoken: np.ndarray, classes: int, device: torch.device
) -> list[tuple[float, float]]:
    """The three (stretch, shift) under which the network, whose first channels are `classes` logits, is surest of
    what is spoken."""
    excerpt = loudest_excerpt(mel, spoken)
    mel, said = mel[excerpt], spoken[excerpt] > 0
    counted = torch.from_numpy(said) if said.any() else slice(None)
    sureness = [
        network(torch.from_numpy(warp_bands(mel, *warp).T[None]).to(device))[0, :classes]
        .float().log_softmax(0).amax(0).cpu()[counted].mean().item()
        for warp in WARPS
    ]  # fmt: skip
    order = np.argsort(-np.array(sureness), kind="stable")[:HEARD_TOGETHER]
    return [WARPS[index] for index in order]
