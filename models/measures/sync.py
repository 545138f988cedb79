"""LSE-C, LSE-D and offset of a film whose mouth and sound SyncNet embedded (Chung and Zisserman 2016; Prajwal 2020)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
import torch
from scipy.signal import medfilt
from torch import Tensor

from ..media.film_sound import Sound, at_rate
from ..media.pixels import rounded_bytes
from .mfcc import RATE, mfcc
from .opencv_resize import resized_as_opencv
from .syncnet import SEEN, SIDE, SyncNet, heard_windows

FPS = Fraction(25)
VSHIFT = 15  # frames that the sound is moved to both sides
FRAME_SAMPLES = int(RATE / FPS)
FEWEST = 1  # windows
SMOOTHED = 9  # windows of the median of the framewise confidence
SMALL = 1e-6  # added to every difference, as torch's pairwise distance does


@dataclass(frozen=True)
class Sync:
    """distances [2 vshift + 1, windows]; means [2 vshift + 1] over the windows. offset in frames: -3 is sound that
    comes 3 frames late. lse_d, the least mean; lse_c, the median of the means above it. confidence [windows]: the same
    by window, smoothed."""

    distances: np.ndarray
    means: np.ndarray
    offset: int
    lse_d: float
    lse_c: float
    confidence: np.ndarray


def sync_of(lips: Tensor, sound: Tensor, vshift: int = VSHIFT, official: bool = False) -> Sync:
    """Embeddings [windows,D] of lips and sound -> how well they fit.

    Rows that the sound lacks beyond its ends are left out of the means. `official`: they are zeros and count as sound,
    as in all published scripts; short films then get the offset of an end, and other numbers.
    ValueError if there is no window.
    """
    count = min(len(lips), len(sound))
    if count < FEWEST:
        raise ValueError(
            "video and audio have no window of five frames in common, so SyncNet has nothing to compare."
        )
    lips, sound = lips[:count], sound[:count]
    padded = torch.nn.functional.pad(sound, (0, 0, vshift, vshift))
    rows = [((lips - padded[row : row + count] + SMALL) ** 2).sum(1).sqrt() for row in range(2 * vshift + 1)]
    distances = torch.stack(rows).float().cpu().numpy()
    if official:
        means = torch.from_numpy(distances).mean(1).numpy()
    else:
        place = np.arange(2 * vshift + 1)[:, None] + np.arange(count)[None] - vshift
        known = (place >= 0) & (place < count)
        # fewer than half of the windows are no mean to compare with the others
        enough = known.sum(1) * 2 >= count
        means = np.where(enough, (distances * known).sum(1) / np.maximum(known.sum(1), 1), np.nan)
    best, median = int(np.nanargmin(means)), float(np.nanmedian(means))
    framewise = medfilt(median - distances[best], SMOOTHED)
    return Sync(distances, means, vshift - best, float(means[best]), median - float(means[best]), framewise)


def windows_of(frames: int, samples: int) -> int:
    """How many windows the scripts compare: one less than would fit."""
    return max(0, min(frames, samples // FRAME_SAMPLES) - SEEN)


def sync_of_film(
    network: SyncNet,
    frames: Iterable[np.ndarray],
    samples: np.ndarray,
    vshift: int = VSHIFT,
    official: bool = False,
) -> Sync:
    """Frames [H,W,3] BGR bytes at 25 per second and int16 samples at 16 kHz -> how well they fit.

    Frames of another size than 224x224 are resized whole, as Wav2Lip's script does. They are read as they come; memory
    holds some of them and the embeddings (4 kB a frame). ValueError without a window in common.
    """
    heard = torch.from_numpy(mfcc(samples).T.copy()).float()
    lips = list(seen_windows(network, frames, windows_of(1 << 62, len(samples))))
    if not lips:
        raise ValueError(
            f"video and audio have too little in common for SyncNet: {len(samples) / RATE:.2f} s of sound; more than "
            f"{SEEN} frames of both are needed."
        )
    seen = torch.cat(lips)
    return sync_of(seen, heard_windows(network, heard, len(seen)).cpu(), vshift, official)


def seen_windows(
    network: SyncNet, frames: Iterable[np.ndarray], most: int, batch: int = 8
) -> Iterator[Tensor]:
    """Embeddings [b,1024] of the windows of a film, at most so many, and one less than its frames would give."""
    device = next(network.parameters()).device
    coming, held = (square(frame) for frame in frames), []
    while most > 0:
        held += islice(coming, batch + SEEN - len(held))  # one frame beyond the last window
        count = min(len(held) - SEEN, most)
        if count < 1:
            return
        pixels = torch.stack(held[: count + SEEN - 1]).to(device).float()
        yield network.see(pixels.unfold(0, SEEN, 1).permute(0, 3, 4, 1, 2)).cpu()
        most, held = most - count, held[count:]


def square(frame: np.ndarray) -> Tensor:
    """Bytes [H,W,3] -> [224,224,3]."""
    return torch.from_numpy(np.ascontiguousarray(resized_as_opencv(frame, SIDE, SIDE)))


def bgr_bytes(pixels: Tensor) -> np.ndarray:
    """A frame [H,W,3], RGB 0..1 -> BGR bytes."""
    return rounded_bytes(pixels).cpu().numpy()[..., ::-1]


def speech_samples(sound: Sound, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """A film's sound -> int16 samples at 16 kHz, mono, from second `start` to `end`."""
    wave = at_rate((sound[0].mean(0, keepdim=True), sound[1]), RATE)[0].numpy()
    part = wave[round(start * RATE) : None if end is None else round(end * RATE)]
    return np.clip(np.round(part * 32768), -32768, 32767).astype(np.int16)
