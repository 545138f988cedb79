"""Write frames to an mp4 as they are made, with the sound beside them, in memory that does not grow with length."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import torch
from av.container import OutputContainer
from torch import Tensor

from ..atomic_file import atomic_file
from .pixels import rounded_bytes

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
AUDIO_BLOCK_SECONDS = 1.0
# x264's superfast with the two parts of slower presets that keep films of still pictures small
SPEED = {"preset": "superfast", "mbtree": "1", "rc-lookahead": "10"}
TICK = Fraction(1, 90_000)  # seconds
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class VideoStreamWriter:
    """H.264 + AAC mp4 at `path`, complete or absent: until the end the data is in a hidden file beside it.

    Use as a context manager; leaving it by an error or a cancel removes the hidden file. Frames are [n,H,W,3] in 0..1,
    or bytes; an odd width or height repeats its last column or row, for H.264 4:2:0 holds even sizes only.
    `waveform` is [C,T] at `sample_rate` Hz (None for a silent film); it is cut to -1..1, and where the last frame
    ends. `crf` is x264's constant quality, 0 (lossless) to 51. `times` [N]: seconds at which the frames are shown, for
    films without one rate. OSError, with the film's own path, when the disk does not take it.
    """

    def __init__(
        self, path: Path, fps: Fraction, waveform: Tensor | None, sample_rate: int, crf: float = 18.0,
        times: Sequence[float] | None = None,
    ):  # fmt: skip
        self.path = Path(path)
        self._whole = atomic_file(self.path)
        self.fps, self.waveform, self.sample_rate, self.crf = fps, waveform, int(sample_rate), crf
        self.times = times
        self.frames_written = 0
        self._samples_written = 0
        self._container: OutputContainer | None = None

    def __enter__(self) -> "VideoStreamWriter":
        with self._disk():
            self._hidden = self._whole.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        with self._disk():
            try:
                self._finish() if kind is None else self._abandon()
            except BaseException as problem:
                self._abandon()
                self._whole.__exit__(type(problem), problem, problem.__traceback__)
                raise
            self._whole.__exit__(kind, error, trace)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Errors of the disk name the film, not the hidden file."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror or str(error), str(self.path)) from error

    def write(self, frames: Tensor) -> None:
        """Encode [n,H,W,3] frames, and the sound that belongs to them."""
        with self._disk():
            self._write(frames)

    def _write(self, frames: Tensor) -> None:
        frames = even_sized((frames if frames.dtype == torch.uint8 else rounded_bytes(frames)).cpu())
        container = self._container or self._open(width=frames.shape[2], height=frames.shape[1])
        for picture in frames.numpy():
            # no copy: encoding takes the colours out of the picture before it returns
            frame = av.VideoFrame.from_numpy_buffer(picture, format="rgb24")
            frame.pts, frame.time_base = self._stamp(self.frames_written)
            container.mux(self._video.encode(frame))
            self.frames_written += 1
        self._write_audio(container, self.frames_written / self.fps - Fraction(AUDIO_BLOCK_SECONDS))

    def _stamp(self, number: int) -> tuple[int, Fraction]:
        """When a frame is shown: ticks, and seconds of a tick."""
        if self.times is None:
            return number, 1 / self.fps
        return round(self.times[number] / TICK), TICK

    def _finish(self) -> None:
        """Write what is left of frames and sound."""
        if self._container is None:
            raise ValueError("there are 0 frames, so there is no video to write.")
        container = self._container
        container.mux(self._video.encode(None))
        self._write_audio(container, self.frames_written / self.fps)
        if self._audio is not None:
            container.mux(self._audio.encode(None))
        self._container = None
        container.close()

    def _abandon(self) -> None:
        """Close the file so that it can be removed; on a full disk closing fails too, which is no news."""
        if self._container is not None:
            with suppress(OSError):
                self._container.close()
            self._container = None

    def _open(self, width: int, height: int) -> OutputContainer:
        container = self._container = av.open(
            str(self._hidden), "w", format="mp4", options={"movflags": "use_metadata_tags"}
        )
        self._video = container.add_stream("h264", rate=self.fps, options={"crf": str(self.crf), **SPEED})
        if self.times is not None:
            self._video.codec_context.time_base = TICK
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._audio = None
        if self.waveform is not None:
            self.waveform = (
                self.waveform if self.waveform.shape[0] in LAYOUTS else self.waveform.mean(0, keepdim=True)
            )
            self._layout = LAYOUTS[self.waveform.shape[0]]
            rate = self.sample_rate if self.sample_rate in AAC_RATES else 48000
            self._audio = container.add_stream("aac", rate=rate, layout=self._layout)
            self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=rate)
        return container

    def _write_audio(self, container: OutputContainer, until_seconds: Fraction) -> None:
        if self._audio is None or self.waveform is None:
            return
        end = min(int(until_seconds * self.sample_rate), self.waveform.shape[1])
        block = max(1, int(AUDIO_BLOCK_SECONDS * self.sample_rate))
        while self._samples_written < end:
            stop = min(self._samples_written + block, end)
            samples = (
                self.waveform[:, self._samples_written : stop].float().clamp(-1, 1).cpu().contiguous().numpy()
            )
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts = self.sample_rate, self._samples_written
            frame.time_base = Fraction(1, self.sample_rate)
            for resampled in self._resampler.resample(frame):
                container.mux(self._audio.encode(resampled))
            self._samples_written = stop


def even_sized(frames: Tensor) -> Tensor:
    """[n,H,W,3] with the last row and column repeated where H or W is odd."""
    if frames.shape[1] % 2:
        frames = torch.cat([frames, frames[:, -1:]], 1)
    if frames.shape[2] % 2:
        frames = torch.cat([frames, frames[:, :, -1:]], 2)
    return frames.contiguous()
