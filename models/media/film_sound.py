"""The sound of a film alone, without its pictures, and sounds laid over each other."""

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError
from torch import Tensor

Sound = tuple[Tensor, int]  # waveform [C,T] and samples per second


def film_sound(source: Any, start: float = 0.0, length: float = 0.0) -> Sound | None:
    """The sound of a film file from `start` seconds on, `length` of them (0: all); None if it has none."""
    with av.open(source) as container:
        stream = next((one for one in reversed(container.streams.audio) if one.codec_context), None)
        if stream is None:
            return None
        resampler = av.AudioResampler(format="fltp")
        blocks, rate, begin = [], 0, 0.0
        for frame in resampled(container, stream, resampler):
            if not blocks:
                rate, begin = frame.sample_rate, float(frame.time or 0.0)
            blocks.append(frame.to_ndarray())
            if length and frame.time is not None and frame.time > start + length:
                break
    if not blocks:
        return None
    wave = torch.from_numpy(np.concatenate(blocks, 1)).float()
    wave = shifted(wave, round((begin - start) * rate))
    return (wave[:, : round(length * rate)] if length else wave), rate


def resampled(container: Any, stream: Any, resampler: Any) -> Iterator[Any]:
    """A stream's sound in blocks of floats; what is damaged is left out."""
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        for frame in frames:
            yield from resampler.resample(frame)


def shifted(wave: Tensor, samples: int) -> Tensor:
    """A wave [C,T] that begins so much later, after silence; earlier where negative."""
    return wave[:, -samples:] if samples < 0 else torch.nn.functional.pad(wave, (samples, 0))


def at_rate(sound: Sound, rate: int) -> Tensor:
    """A sound's wave [C,T] at another number of samples per second."""
    wave, own = sound
    if own == rate:
        return wave.float()
    layout = {1: "mono", 2: "stereo"}.get(len(wave))
    if layout is None:
        wave, layout = wave.mean(0, keepdim=True), "mono"
    frame = av.AudioFrame.from_ndarray(wave.float().cpu().contiguous().numpy(), format="fltp", layout=layout)
    frame.sample_rate = own
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    blocks = [one.to_ndarray() for part in (frame, None) for one in resampler.resample(part)]
    return torch.from_numpy(np.concatenate(blocks, 1))


def laid_over(voice: Sound | None, start: float, film: Sound | None, amount: float) -> Sound | None:
    """A voice that begins after `start` seconds over a film's sound times `amount`; None if there is neither."""
    if film is None or amount == 0:
        return None if voice is None else (shifted(voice[0].float(), round(start * voice[1])), voice[1])
    if voice is None:
        return amount * film[0], film[1]
    rate = voice[1]
    wave, under = shifted(voice[0].float(), round(start * rate)), amount * at_rate(film, rate)
    channels, length = max(len(wave), len(under)), max(wave.shape[1], under.shape[1])
    total = torch.zeros(channels, length)
    for one in (wave, under):
        one = one if len(one) == channels else one.mean(0, keepdim=True).expand(channels, -1)
        total[:, : one.shape[1]] += one
    return total, rate
