"""The built-in engine's hearing before Whisper's encoder: log-mel, a small network, band shifts that fit the throat.

benchmarks/hearing.py measures it beside today's. Takin-ADA still hears with this network, without the band shifts.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch
from talking_portrait.models.speech.features import BANDS, SOFTEST, normalise, speech_features, voiced_mean
from talking_portrait.models.speech.presence import speech_presence
from talking_portrait.models.speech.silence import DOUBT, within
from talking_portrait.models.speech.visemes import ARTICULATION, VISEMES
from torch import nn

BLOCK, CONTEXT = 3000, 128  # frames at once; frames of context, more than the network's reach of 66
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


def former_hearing(
    network: nn.Module, wave: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Wave [T] at 16 kHz -> visemes [N,14], articulation [N,6], how much is speech [N] and loudness [N]."""
    mel, loudness = speech_features(wave[None], 16000)
    spoken = within(speech_presence(mel), *DOUBT)
    voice = mel[spoken > 0.5] if (spoken > 0.5).any() else mel
    visemes, moves = hear(network, normalise(mel, voiced_mean(voice)), torch.device("cpu"), spoken=spoken)
    return visemes, moves, spoken, loudness
