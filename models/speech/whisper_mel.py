"""Whisper's log-mel spectrogram, 100 frames per second of 16 kHz: equal to that of its published extractor."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RATE, HOP, WINDOW, MELS = 16000, 160, 400, 80
RANGE = 8.0  # powers of ten below the loudest moment at which the floor lies


@cache
def mel_filters() -> Tensor:
    """[80,201] triangles on Slaney's mel scale from 0 to 8 kHz, each of unit area."""
    from transformers.audio_utils import mel_filter_bank

    bank = mel_filter_bank(WINDOW // 2 + 1, MELS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(bank.T.astype(np.float32))


def log_mel(wave: Tensor) -> Tensor:
    """Mono sound [T] at 16 kHz -> log10 of mel power [80, ceil(T/160)]; frame t is centred at sample 160 t.

    Before its start and behind its end the sound is mirrored; what is shorter than the mirror is followed by silence.
    """
    frames = -(-len(wave) // HOP)
    padded = F.pad(wave, (0, max(frames * HOP, WINDOW // 2 + 1) - len(wave)))
    mirrored = F.pad(padded[None], (WINDOW // 2, WINDOW // 2), mode="reflect")[0]
    return log_mel_frames(mirrored)[:, :frames]


def log_mel_frames(wave: Tensor) -> Tensor:
    """The same [80,n] of a wave that reaches from half a window before the first frame to half a window behind
    the last."""
    window = torch.hann_window(WINDOW, device=wave.device)
    spectrum = torch.stft(wave, WINDOW, HOP, window=window, center=False, return_complex=True)
    return (mel_filters().to(wave.device) @ spectrum.abs().square()).clamp(min=1e-10).log10()


def scaled(mel: Tensor, loudest: float | None = None) -> Tensor:
    """log10 mel power as Whisper takes it: a floor 8 below its loudest value (or a given one), then (x + 4) / 4."""
    return (mel.clamp(min=(mel.max() if loudest is None else loudest) - RANGE) + 4) / 4
