"""Wav2Lip's audio encoder: 0.2 s of mel spectrogram -> one feature vector (Wav2Lip, section 3.2; 2.8 M)."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..frozen_batch_norm import FrozenBatchNorm
from ..progress import Progress, silent
from .wav2lip_mel import SAMPLES_PER_FRAME, frame_total, mel_windows

# outputs, kernel, stride (mel, time), padding; a layer that keeps its width and size adds its input
LAYERS = (
    (32, 3, 1, 1), (32, 3, 1, 1), (32, 3, 1, 1), (64, 3, (3, 1), 1), (64, 3, 1, 1), (64, 3, 1, 1),
    (128, 3, 3, 1),
    (128, 3, 1, 1), (128, 3, 1, 1), (256, 3, (3, 2), 1), (256, 3, 1, 1), (512, 3, 1, 0), (512, 1, 1, 0),
)  # fmt: skip
PLAIN = (0, 3, 6, 9, 11, 12)
FEATURES = 512
BLOCK = 256  # video frames whose features are computed at once


class Conv(nn.Module):
    """Convolution, batch norm, its input where `residual`, ReLU."""

    def __init__(
        self, inputs, outputs, kernel, stride, padding, residual, device=None, dtype=None, operations=nn
    ):
        super().__init__()
        conv = operations.Conv2d(inputs, outputs, kernel, stride, padding, device=device, dtype=dtype)
        self.conv_block = nn.ModuleList([conv, FrozenBatchNorm(outputs, device, dtype)])
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self.conv_block
        y = norm(conv(x))
        return F.relu(y + x if self.residual else y)


class AudioEncoder(nn.Module):
    """[B,1,80,16] mel windows -> [B,512]."""

    def __init__(self, device=None, dtype=None, operations=nn):
        super().__init__()
        widths = [1] + [layer[0] for layer in LAYERS]
        self.audio_encoder = nn.Sequential(
            *(
                Conv(
                    inputs, *layer, residual=i not in PLAIN, device=device, dtype=dtype, operations=operations
                )
                for i, (inputs, layer) in enumerate(zip(widths, LAYERS, strict=False))
            )
        )

    def forward(self, windows: Tensor) -> Tensor:
        return self.audio_encoder(windows).flatten(1)


def build_audio_encoder(state, metadata, device=None, dtype=torch.float32, operations=nn) -> AudioEncoder:
    """For the loader: the published sizes are the only ones."""
    return AudioEncoder(device, dtype, operations)


def encode_speech(
    network: nn.Module, wave: np.ndarray, device: torch.device, progress: Progress = silent
) -> Tensor:
    """One feature vector [512] for each whole video frame of a 16 kHz wave -> [n,512], block by block."""
    frames = frame_total(len(wave))
    wave, parts = wave[: frames * SAMPLES_PER_FRAME], []
    for start in range(0, frames, BLOCK):
        stop = min(start + BLOCK, frames)
        windows = torch.from_numpy(np.ascontiguousarray(mel_windows(wave, start, stop)))
        parts.append(network(windows[:, None].to(device)).float().cpu())
        progress(stop, frames)
    return torch.cat(parts)
