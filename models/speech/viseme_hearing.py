"""Hear which visemes a voice speaks: Whisper's encoder over windows of a recording, and the heads on top of it."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..progress import Progress, silent
from .features import FRAME_RATE, framed, loudness_of, resampled_blocks
from .viseme_heads import VisemeHeads
from .visemes import VISEMES
from .whisper_encoder import WhisperEncoder
from .whisper_mel import HOP, log_mel, scaled

WINDOW, OVERLAP = 10 * FRAME_RATE, 2 * FRAME_RATE  # frames that are heard at once; that two windows share
SHORTEST = 2 * FRAME_RATE
Networks = Callable[[], tuple[WhisperEncoder, VisemeHeads]]


def hear_recording(
    networks: tuple[WhisperEncoder, VisemeHeads], waveform: np.ndarray, sample_rate: int, device: torch.device,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Viseme probabilities [T,14] and loudness [T] (dB of full scale) at 100 Hz of sound [C,samples] of any rate."""
    parts, loudness = [], []
    for wave, first, count in resampled_blocks(waveform, sample_rate):
        parts.append(wave[first * HOP : (first + count) * HOP])
        loudness.append(loudness_of(framed(wave, first, count)[0]))
    return hear_visemes(networks, np.concatenate(parts), device, progress), np.concatenate(loudness)


def window_probabilities(networks: tuple[WhisperEncoder, VisemeHeads], wave: Tensor) -> Tensor:
    """Mono sound [T] at 16 kHz, of which one window is made -> viseme probabilities [ceil(T/160),14] on the CPU.

    A constant is no sound: it would be the loudest band, below which Whisper cuts. What is shorter than SHORTEST is
    heard with silence behind it, for so little alone was never trained on.
    """
    frames = -(-len(wave) // HOP)
    padded = F.pad(wave - wave.mean(), (0, max(0, SHORTEST * HOP - len(wave))))
    return mel_probabilities(networks, scaled(log_mel(padded)))[:frames]


def mel_probabilities(networks: tuple[WhisperEncoder, VisemeHeads], mel: Tensor) -> Tensor:
    """A window's scaled log-mel [80,n] -> viseme probabilities [n,14] on the CPU."""
    encoder, heads = networks
    return heads(encoder.levels(mel[None]))[0, : mel.shape[1]].float().cpu()


def windows(frames: int) -> Iterator[tuple[int, int]]:
    """First and last frame (exclusive) of each window; they overlap, and the last one ends with the recording."""
    start = 0
    while start + WINDOW < frames:
        yield start, start + WINDOW
        start += WINDOW - OVERLAP
    yield start, frames


def hear_visemes(
    networks: tuple[WhisperEncoder, VisemeHeads],
    wave: np.ndarray,
    device: torch.device,
    progress: Progress = silent,
) -> np.ndarray:
    """Viseme probabilities [ceil(T/160),14] at 100 Hz of mono sound [T] at 16 kHz.

    Where two windows overlap, what they say is blended from one to the other; the outermost fourth of the overlap is
    context alone. Memory does not grow with the recording but for the result.
    """
    frames = -(-len(wave) // HOP)
    found = np.zeros((frames, len(VISEMES)), np.float32)
    for start, stop in windows(frames):
        piece = torch.from_numpy(np.ascontiguousarray(wave[start * HOP : stop * HOP], np.float32)).to(device)
        said = window_probabilities(networks, piece).numpy()
        shared = min(OVERLAP, stop - start) if start else 0
        share = blend(shared)[:, None]
        found[start : start + shared] = (1 - share) * found[start : start + shared] + share * said[:shared]
        found[start + shared : stop] = said[shared:]
        progress(stop, frames)
    return found


def blend(count: int) -> np.ndarray:
    """[count] share of the later window over an overlap: none in its first fourth, all in its last."""
    place = (np.arange(count) + 0.5) / max(count, 1)
    return np.clip(2 * place - 0.5, 0, 1).astype(np.float32)
