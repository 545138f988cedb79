"""Whisper's encoder, as the built-in engine hears with it, for other systems: five levels of features at 50 Hz."""

import numpy as np
import torch
from torch import Tensor

from ..progress import Progress, silent
from .encoders import Encoder
from .sound import mono
from .viseme_hearing import OVERLAP, blend, windows
from .whisper_encoder import WhisperEncoder
from .whisper_mel import HOP, log_mel, scaled
from .whisper_tiny_en import LAYERS, WIDTH

KIND = "ear"


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
        return ear_layers(self.network(), mono(waveform, sample_rate), self.device, progress)
