"""Whisper's log-mel spectrogram, 100 frames per second of 16 kHz: equal to that of its published extractor."""

from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RATE, HOP, WINDOW, MELS = 16000, 160, 400, 80
RANGE = 8.0  # powers of ten below the loudest moment at which the floor lies
LINEAR_HZ, LINEAR_STEP, LOG_STEP = 1000.0, 200 / 3, np.log(6.4) / 27  # of Slaney's mel scale


@cache
def mel_filters() -> Tensor:
    """[80,201] triangles on Slaney's mel scale from 0 to 8 kHz, each of unit area."""
    knee = LINEAR_HZ / LINEAR_STEP
    top = knee + np.log(RATE / 2 / LINEAR_HZ) / LOG_STEP
    places = np.linspace(0, top, MELS + 2)
    hertz = np.where(places < knee, places * LINEAR_STEP, LINEAR_HZ * np.exp((places - knee) * LOG_STEP))
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rise = (bins - hertz[:-2, None]) / np.diff(hertz)[:-1, None]
    fall = (hertz[2:, None] - bins) / np.diff(hertz)[1:, None]
    triangles = np.clip(np.minimum(rise, fall), 0, None) * (2 / (hertz[2:] - hertz[:-2]))[:, None]
    return torch.from_numpy(triangles.astype(np.float32))


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


def scaled(mel: Tensor, loudest: Tensor | None = None) -> Tensor:
    """log10 mel power as Whisper takes it: a floor 8 below its loudest value (or a given one), then (x + 4) / 4."""
    loudest = mel.max() if loudest is None else loudest
    return (torch.maximum(mel, loudest - RANGE) + 4) / 4
