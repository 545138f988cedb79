"""Films one frame at a time, as ComfyUI's Get Video Components would give them all at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
import torch
from av.error import InvalidDataError
from av.filter import Graph
from torch import Tensor

BYTE_FORMATS = ("yuvj420p", "yuvj422p", "yuvj444p", "rgb24", "rgba", "pal8")  # core reads these as bytes
ALIGNED = 32  # pixels: FFmpeg's conversion to floats is exact only in rows of such a multiple
HELD = 16  # frames that are held at once where a film runs backwards


@dataclass(frozen=True)
class FilmFrame:
    """pixels [H,W,3] float32 in 0..1 on the CPU; stamp: when it is shown, in ticks of the film's clock."""

    pixels: Tensor
    stamp: int


class Film(Protocol):
    """A film that can be read again and again. clock: seconds of a tick. fps: its mean rate."""

    @property
    def fps(self) -> Fraction: ...

    @property
    def clock(self) -> Fraction: ...

    def frames(self, since: int | None = None) -> Iterator[FilmFrame]:
        """All frames in turn, or those from a stamp on."""
        ...


@dataclass(frozen=True)
class PictureFilm:
    """A film whose frames [N,H,W,C] are in memory already."""

    images: Tensor
    fps: Fraction

    @property
    def clock(self) -> Fraction:
        return 1 / self.fps

    def frames(self, since: int | None = None) -> Iterator[FilmFrame]:
        """See Film."""
        for number in range(since or 0, len(self.images)):
            pixels = self.images[number, ..., :3].float().cpu().clamp(0, 1)
            yield FilmFrame(pixels.expand(-1, -1, 3).contiguous(), number)


@dataclass(frozen=True)
class FilmFile:
    """A film in a file: `source` opens it (a path, or a file in memory), from `start` seconds on, `length` of them
    (0: all)."""

    source: Callable[[], Any]
    fps: Fraction
    start: float = 0.0
    length: float = 0.0

    @property
    def clock(self) -> Fraction:
        with av.open(self.source()) as container:
            return video_stream(container).time_base or Fraction(1, 90_000)

    def frames(self, since: int | None = None) -> Iterator[FilmFrame]:
        """See Film. ValueError if a frame has no time."""
        with av.open(self.source()) as container:
            stream = video_stream(container)
            stream.thread_type = "AUTO"
            base = stream.time_base
            first, end = int(self.start / base), int((self.start + self.length) / base)
            first = max(first, since if since is not None else first)
            if first:
                container.seek(first, stream=stream)
            read = FrameReader()
            for frame in decoded(container, stream):
                if frame.pts is None:
                    raise ValueError("video has frames without a time; save it again as mp4.")
                if self.length and frame.pts >= end:
                    return
                if frame.pts >= first:
                    yield FilmFrame(read.pixels(frame), frame.pts)


def video_stream(container: Any) -> Any:
    """The first stream of pictures; ValueError if there is none."""
    if not container.streams.video:
        raise ValueError("video holds no pictures, only sound. Choose another file.")
    return container.streams.video[0]


def decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames in the order in which they are shown; what is damaged is left out, as core leaves it out."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue


class FrameReader:
    """Turns frames of one stream into pixels, by core's own conversions, so that both give the same numbers."""

    def __init__(self):
        self.padding: tuple[Any, Any, Any] | None = None

    def pixels(self, frame: Any) -> Tensor:
        """[H,W,3] float32 in 0..1."""
        if frame.format.name in BYTE_FORMATS:
            picture = torch.from_numpy(frame.to_ndarray(format="rgb24")).float() / 255
        else:
            picture = torch.from_numpy(self.floats(frame))
        if quarters := round((frame.rotation or 0) // 90):
            picture = torch.rot90(picture, quarters)
        return picture.clamp(0, 1).contiguous()

    def floats(self, frame: Any) -> np.ndarray:
        """[H,W,3] through a picture of a multiple of 32 pixels, whose borders are repeated."""
        if frame.width % ALIGNED:
            self.padding = self.padding or padding(frame)
            _, entry, out = self.padding
            entry.push(frame)
            whole = out.pull().to_ndarray(format="gbrpf32le")
            return np.ascontiguousarray(whole[: frame.height, : frame.width])
        return frame.to_ndarray(format="gbrpf32le")


def padding(frame: Any) -> tuple[Any, Any, Any]:
    """A graph of filters, with its two ends, that repeats the last columns and rows of such frames up to a
    multiple of 32."""
    width, height = (-(-side // ALIGNED) * ALIGNED for side in (frame.width, frame.height))
    graph = Graph()
    entry = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format.name,
        time_base=frame.time_base or Fraction(1, 1000),
    )  # fmt: skip
    larger = graph.add("pad", f"{width}:{height}:0:0")
    edges = f"left=0:right={width - frame.width}:top=0:bottom={height - frame.height}:mode=smear"
    filled, out = graph.add("fillborders", edges), graph.add("buffersink")
    entry.link_to(larger)
    larger.link_to(filled)
    filled.link_to(out)
    graph.configure()
    return graph, entry, out


def frames_in_order(film: Film, stamps: Sequence[int], order: Sequence[int]) -> Iterator[Tensor]:
    """Pixels [H,W,3] of the frames `order`, numbers into `stamps`, each one more or one less than that before it.

    Where they run backwards, some are held at once. ValueError if the film is another one than that of the stamps.
    """
    place = 0
    while place < len(order):
        turn = order[place + 1] - order[place] if place + 1 < len(order) else 1
        end = place + 1
        while end < len(order) and order[end] - order[end - 1] == turn and (turn > 0 or end - place < HELD):
            end += 1
        first, last = sorted((order[place], order[end - 1]))
        pictures = stretch(film, stamps, first, last)
        yield from pictures if turn > 0 else reversed(list(pictures))
        place = end


def stretch(film: Film, stamps: Sequence[int], first: int, last: int) -> Iterator[Tensor]:
    """Pixels of the frames `first` to `last`."""
    number = first
    for frame in film.frames(stamps[first] if first else None):
        if frame.stamp != stamps[number]:
            break
        yield frame.pixels
        if number == last:
            return
        number += 1
    raise ValueError("video is not the film that Prepare Footage saw. Run Prepare Footage again.")
