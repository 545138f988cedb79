"""When the frames of a film are shown: phones and webcams do not keep one rate."""

from fractions import Fraction

import av
import numpy as np
import torch
from torch import Tensor


def frame_times(source: object, start: float = 0.0, length: float = 0.0) -> np.ndarray:
    """[N] seconds at which the frames of a film file are shown, in order; those from `start` on, `length`
    seconds of them (0: all).

    Nothing is decoded. ValueError if the file says no times.
    """
    with av.open(source) as container:
        stream = container.streams.video[0]
        stamps = [packet.pts for packet in container.demux(stream) if packet.size]
        if any(stamp is None for stamp in stamps):
            raise ValueError("video has frames without a time; save it again as mp4.")
        base = stream.time_base
    first = int(start / base)
    kept = sorted(
        stamp for stamp in stamps if stamp >= first and (not length or stamp < int((start + length) / base))
    )
    return np.array([float(stamp * base) for stamp in kept])


def even_positions(times: np.ndarray, fps: Fraction) -> Tensor:
    """[M] places, in frames of a film shown at `times` [N], of the frames of the same film at one rate of `fps`.

    A frame stands for the middle of the time that it is shown; the last one lasts as long as the one before it.
    """
    last = times[-1] - times[-2] if len(times) > 1 else 1 / float(fps)
    ends = np.append(times[1:], times[-1] + last) - times[0]
    middles = (times - times[0] + ends) / 2
    count = max(1, round(float(ends[-1] * float(fps))))
    wanted = (np.arange(count) + 0.5) / float(fps)
    return torch.from_numpy(np.interp(wanted, middles, np.arange(len(times))))
