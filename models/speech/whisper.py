"""Speech as ACTalker hears it: the hidden states of Whisper-tiny's encoder at 50 Hz, cut into windows at 12.5
frames/s."""

from collections.abc import Iterator, Mapping
from typing import Any

import comfy.ops
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..progress import Progress
from .encoders import Encoder
from .sound import mono
from .whisper_encoder import WhisperEncoder
from .whisper_mel import MELS, scaled
from .whisper_mel import log_mel as log_mel_of

PIECE = 480_000  # samples that Whisper takes at once, 30 s
WIDTH, LAYERS = 384, 4
SAMPLES_PER_VIDEO_FRAME = 640  # of a 25 fps video; two rows of hidden states
WINDOW, HOP, BEFORE = 10, 4, 4  # in rows


class WhisperTiny(nn.Module):
    """Whisper-tiny's encoder (8.2 M parameters) with the keys of the published encoder."""

    def __init__(self, device=None, dtype=None, operations=comfy.ops.disable_weight_init):
        super().__init__()
        self.encoder = WhisperEncoder(MELS, WIDTH, LAYERS, device=device, dtype=dtype, operations=operations)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [n,80,3000] -> [n,1500,5,384]: what enters the first layer, what leaves each but the last,
        and the last one's result after the final norm."""
        return torch.stack(self.encoder(mel), dim=2)


def build_whisper(state: Any, metadata: Any, device=None, dtype=None, operations: Any = None) -> WhisperTiny:
    """For the loader: the published sizes are the only ones."""
    return WhisperTiny(device, dtype, operations)


def whisper_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Whisper-tiny as published, its encoder alone. ValueError if that is not in it."""
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    state = {key.removeprefix("module.").removeprefix("model."): value for key, value in tensors.items()}
    state = {key: value for key, value in state.items() if key.startswith("encoder.")}
    width = state["encoder.conv1.weight"].shape[0] if "encoder.conv1.weight" in state else None
    if width != WIDTH:
        raise ValueError("it is not Whisper-tiny" + (f": its width is {width}, not {WIDTH}" if width else ""))
    return state


def log_mel(wave: Tensor) -> Tensor:
    """Mono sound [T] at 16 kHz -> [k,80,3000], one for each 30 s begun; the last is filled up with silence."""
    # One at a time: the dynamic range is cut below the loudest moment of each piece.
    pieces = (F.pad(piece, (0, PIECE - len(piece))) for piece in wave.float().split(PIECE))
    return torch.stack([scaled(log_mel_of(piece)) for piece in pieces])


def hidden_states(encoder: WhisperTiny, wave: Tensor) -> Tensor:
    """Mono sound [T] at 16 kHz -> [1500 k,5,384] at 50 Hz. ValueError if there is no sound."""
    if wave.ndim != 1 or wave.numel() == 0:
        raise ValueError(
            f"the sound has the shape {list(wave.shape)}; it must be one channel that is not empty"
        )
    return torch.cat([encoder(mel[None])[0] for mel in log_mel(wave)])


def heard_pieces(encoder: WhisperTiny, wave: Tensor, device: torch.device) -> Iterator[Tensor]:
    """Rows [1500,5,384] of each 30 s of a wave [T] at 16 kHz, which are heard alone, as published."""
    for piece in wave.split(PIECE):
        yield hidden_states(encoder, piece.to(device)).cpu()


class WhisperTinyEncoder(Encoder):
    """Whisper-tiny as ACTalker hears it: five layers, [5,M,384]."""

    kind = "whisper-tiny"
    bytes_per_second = (LAYERS + 1) * WIDTH * 50 * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder; two rows for each whole video frame of 40 ms, at least two."""
        wave, parts = torch.from_numpy(mono(waveform, sample_rate)), []
        total = -(-len(wave) // PIECE)
        for rows in heard_pieces(self.network(), wave, self.device):
            parts.append(rows.transpose(0, 1))
            progress(len(parts), total)
        return torch.cat(parts, 1)[:, : 2 * max(1, len(wave) // SAMPLES_PER_VIDEO_FRAME)]
