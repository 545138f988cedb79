"""From sound and driving pictures to ACTalker's tokens, block by block."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from ..progress import Progress
from ..speech.whisper import (
    BEFORE,
    HOP,
    SAMPLES_PER_VIDEO_FRAME,
    WINDOW,
)
from .conditioning import Stream
from .projectors import ExpressionProjector, motion_tokens

FRAMES_TOGETHER = 8


def speech_stream(
    pieces: Iterable[Tensor], samples: int, projector: nn.Module, device: torch.device, progress: Progress
) -> Stream:
    """Whisper's rows of sound that has so many samples at 16 kHz -> tokens at 12.5 frames per second.

    Only the rows that a seam needs are kept from piece to piece. ValueError if the sound is shorter than one
    frame at 25 fps, 40 ms.
    """
    length = samples // SAMPLES_PER_VIDEO_FRAME
    if length < 1:
        raise ValueError(f"the sound lasts {samples / 16000:.3f} s; at least 0.04 s is needed")
    total = -(-length // 2)
    tokens, rows, first = [], torch.empty(0), 0
    for heard in pieces:
        rows = torch.cat([rows, heard]) if len(rows) else heard
        last = first + len(rows) >= 2 * length
        # Frame i reads rows 4i-4 to 4i+5: without the next piece, those of the last two frames are not there
        # yet.
        ready = total if last else (first + len(rows)) // HOP - 2
        done = sum(map(len, tokens))
        keep = max(0, HOP * done - BEFORE - first)
        rows, first = rows[keep:], first + keep
        tokens.append(project(projector, windows_between(rows, first, done, ready, 2 * length), device))
        progress(min(first + len(rows), 2 * length), 2 * length)
        if last:
            break
    silence = torch.zeros(1, WINDOW, *rows.shape[1:])
    return Stream(torch.cat(tokens), project(projector, silence, device)[0])


def windows_between(rows: Tensor, first: int, begin: int, end: int, limit: int) -> Tensor:
    """Windows [end-begin,10,5,384] of frames begin to end, from rows of which the first is row `first` of the
    film's `limit`."""
    index = HOP * torch.arange(begin, end)[:, None] + torch.arange(-BEFORE, WINDOW - BEFORE)
    inside = (index >= 0) & (index < limit)
    return rows[(index - first).clamp(0, len(rows) - 1)] * inside[..., None, None]


def project(projector: nn.Module, windows: Tensor, device: torch.device) -> Tensor:
    """Speech windows [n,10,5,384] -> tokens [n,32,X] on the CPU."""
    if not len(windows):
        return torch.empty(0)
    return torch.cat([projector(part.to(device)).float().cpu() for part in windows.split(256)])


def motion_stream(
    expression: nn.Module, head: nn.Module, projector: ExpressionProjector, pictures: Iterator[tuple[Tensor, Tensor]],
    total: int,
    device: torch.device, progress: Progress,
) -> Stream:  # fmt: skip
    """Driving (face [1,3,256,256] in 0..1, head [1,3,256,256] in -1..1) of each of `total` frames -> motion tokens."""
    tokens = []
    for done in range(0, total, FRAMES_TOGETHER):
        faces, heads = (
            torch.cat(part).to(device) for part in zip(*islice(pictures, FRAMES_TOGETHER), strict=True)
        )
        rotation, _ = head(heads)
        tokens.append(motion_tokens(projector, expression(faces), rotation).float().cpu())
        progress(min(done + FRAMES_TOGETHER, total), total)
    nothing = torch.zeros(1, projector.proj1.weight.shape[1], device=device), torch.zeros(1, 3, device=device)
    return Stream(torch.cat(tokens)[:, None], motion_tokens(projector, *nothing).float().cpu())
