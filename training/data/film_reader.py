"""Read films: frames at 25 per second whatever the file's rate, and the sound as 16 kHz mono from the same
moment on."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

FPS, RATE = 25, 16000
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")


def films_in(folder: Path) -> list[Path]:
    """All films under a folder, in the order of their names."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def stream_of(container: InputContainer, kind: str, path: Path):
    """The first video or audio stream; ValueError if there is none."""
    streams = getattr(container.streams, kind)
    if not streams:
        raise ValueError(f"{path.name} has no {'picture' if kind == 'video' else 'sound'}")
    return streams[0]


def read_frames(path: Path, fps: int = FPS) -> Iterator[np.ndarray]:
    """[H,W,3] bytes of every 40 ms (at another `fps`, of every 1/fps s): the frame that is shown in their middle.
    ValueError if the film cannot be decoded."""
    try:
        with av.open(str(path)) as container:
            stream, number, shown = stream_of(container, "video", path), 0, None
            start, end = 0.0, 0.0
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                seconds = float(frame.pts * stream.time_base)
                start = seconds if shown is None else start
                while shown is not None and start + (number + 0.5) / fps < seconds:
                    yield shown
                    number += 1
                shown = frame.to_ndarray(format="rgb24")
                end = seconds + float(1 / (stream.average_rate or fps))
            while shown is not None and start + (number + 0.5) / fps < end:
                yield shown
                number += 1
    except FFmpegError as error:
        raise ValueError(f"{path.name} cannot be decoded ({error})") from None


def read_sound(path: Path) -> np.ndarray:
    """[T] float32 at 16 kHz from the first picture on; ValueError if there is none or it cannot be decoded."""
    try:
        with av.open(str(path)) as container:
            stream = stream_of(container, "audio", path)
            pictures = container.streams.video[0]
            first = float((pictures.start_time or 0) * (pictures.time_base or 0))
            resampler, parts, start = av.AudioResampler(format="flt", layout="mono", rate=RATE), [], None
            for frame in container.decode(stream):
                if start is None and frame.pts is not None:
                    start = float(frame.pts * frame.time_base)
                parts += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    except FFmpegError as error:
        raise ValueError(f"{path.name} cannot be decoded ({error})") from None
    if not parts:
        raise ValueError(f"{path.name} has no sound in its audio stream")
    late = round(((start or 0.0) - first) * RATE)  # samples by which the sound starts after the first picture
    wave = np.concatenate(parts).astype(np.float32)
    return np.pad(wave, (late, 0)) if late >= 0 else wave[-late:]
