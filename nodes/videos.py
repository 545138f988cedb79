"""A VIDEO as a film that is read frame by frame, and its sound."""

from typing import Any

from comfy_api.latest import InputImpl

from ..models.media.film_reader import Film, FilmFile, PictureFilm
from ..models.media.film_sound import Sound, film_sound


def film_of(video: Any) -> Film:
    """The film of a VIDEO: its file is read when it is asked for; what has none is in memory already."""
    if isinstance(video, InputImpl.VideoFromFile):
        return FilmFile(video.get_stream_source, video.get_frame_rate(), *video.get_active_trim_window())
    parts = video.get_components()
    return PictureFilm(parts.images, parts.frame_rate)


def frames_expected(video: Any) -> int:
    """How many frames a VIDEO says that it has; 0 where it does not say."""
    try:
        return int(video.get_frame_count())
    except (AttributeError, ValueError):
        return 0


def sound_of(video: Any) -> Sound | None:
    """The sound of a VIDEO, None if it has none."""
    if isinstance(video, InputImpl.VideoFromFile):
        return film_sound(video.get_stream_source(), *video.get_active_trim_window())
    audio = video.get_components().audio
    return None if audio is None else (audio["waveform"][0], int(audio["sample_rate"]))
