"""Whisper's encoder, as the built-in engine hears with it, for other systems: five levels of features at 50 Hz."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..progress import Progress, silent
from .encoders import Encoder
from .sound import mono
from .sound_stream import AT_HAND, SOON, Listening, SoundStream
from .viseme_hearing import OVERLAP, blend, windows
from .whisper_encoder import WhisperEncoder
from .whisper_mel import HOP, RATE, log_mel, scaled
from .whisper_tiny_en import LAYERS, WIDTH

KIND, NAME = "ear", "whisper-tiny-en"  # NAME: how the name of this encoder's weights begins


def ear_layers(
    encoder: WhisperEncoder, wave: np.ndarray, device: torch.device, progress: Progress = silent
) -> Tensor:
    """Mono sound [T] at 16 kHz -> [5,ceil(T/320),384] float32 on the CPU, heard in the windows of viseme_hearing.py."""
    frames = -(-len(wave) // HOP)
    found = torch.zeros(LAYERS + 1, -(-frames // 2), WIDTH)
    for start, stop in windows(frames):
        piece = torch.from_numpy(np.ascontiguousarray(wave[start * HOP : stop * HOP], np.float32)).to(device)
        said = torch.cat(encoder.levels(scaled(log_mel(piece - piece.mean()))[None])).float().cpu()
        first, shared = start // 2, min(OVERLAP, stop - start) // 2 if start else 0
        share = torch.from_numpy(blend(shared))[:, None]
        there = found[:, first : first + shared]
        found[:, first : first + shared] = (1 - share) * there + share * said[:, :shared]
        found[:, first + shared : first + said.shape[1]] = said[:, shared:]
        progress(stop, frames)
    return found


class EarEncoder(Encoder):
    """Whisper tiny.en's encoder as it ships with the pack: five levels, [5,M,384]."""

    kind = KIND
    bytes_per_second = (LAYERS + 1) * WIDTH * 50 * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder."""
        wave, stream = mono(waveform, sample_rate), EarStream(self.network, self.device, AT_HAND)
        found = []
        for start in range(0, len(wave), RATE):
            found.append(stream.push(wave[start : start + RATE]))
            progress(min(start + RATE, len(wave)), len(wave))
        return torch.from_numpy(np.concatenate([*found, stream.finish()])).transpose(0, 1)


class EarStream(SoundStream):
    """Push mono samples at 16 kHz, get the five levels [n,5,384] at 50 Hz as soon as they can be told."""

    each = 2

    def __init__(
        self,
        encoder: Callable[[], WhisperEncoder],
        device: torch.device | None = None,
        how: Listening = SOON,
    ):
        super().__init__(device, how)
        self.encoder = encoder

    def hear(self, mel: Tensor) -> np.ndarray:
        """See SoundStream."""
        return torch.cat(self.encoder().levels(mel[None])).float().cpu().transpose(0, 1).numpy()

    def nothing(self) -> np.ndarray:
        """See SoundStream."""
        return np.zeros((0, LAYERS + 1, WIDTH), np.float32)
