"""A file's sound, read by FFmpeg."""

from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.error import FFmpegError


def read_sound(path: Path, rate: int) -> np.ndarray:
    """Mono float32 [n] at `rate` Hz; ValueError if the file has no sound."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise ValueError(f"{path} has no sound.")
            resampler, parts = AudioResampler("flt", "mono", rate), []
            for frame in container.decode(audio=0):
                parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except (OSError, FFmpegError) as error:
        raise ValueError(f"{path} cannot be read as sound ({error}).") from None
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
