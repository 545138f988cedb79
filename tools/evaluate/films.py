"""Films and sounds in files, for the measures."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from ...models.media.film_reader import FilmFile, video_stream
from ...models.media.film_sound import Sound, film_sound


@dataclass(frozen=True)
class Given:
    """A film of the command line. frames: how many its file says that it has, 0 where it does not say."""

    path: Path
    film: FilmFile
    frames: int

    @property
    def sound(self) -> Sound | None:
        return film_sound(str(self.path))


def opened(path: Path) -> Given:
    """ValueError, with the file's name, if it is no film."""
    if not path.is_file():
        raise ValueError(f"{path} is not there. Give the path of a film.")
    try:
        with av.open(str(path)) as container:
            stream = video_stream(container)
            rate, frames = stream.average_rate or stream.guessed_rate, stream.frames
    except (FFmpegError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a film: {error}") from None
    return Given(path, FilmFile(lambda: str(path), Fraction(rate or 25)), frames)
