"""Films in ComfyUI's temp folder: one file for each VIDEO output, there as long as the output is."""

import uuid
import weakref
from pathlib import Path

import folder_paths
from comfy_api.latest import InputImpl

_alive: "weakref.WeakSet[TempFilm]" = weakref.WeakSet()
WHOLE = "whole_film"  # attribute of a part of a film
_lost = 0  # films whose file somebody removed while ComfyUI still had the output


class TempFilm(InputImpl.VideoFromFile):
    """A VIDEO whose file is removed with it: ComfyUI drops outputs that it does not keep any more."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self.path = path
        weakref.finalize(self, path.unlink, missing_ok=True)
        _alive.add(self)

    def as_trimmed(self, *arguments, **options):
        """A part of the film, which keeps the whole file."""
        part = super().as_trimmed(*arguments, **options)
        if part is not None:
            setattr(part, WHOLE, self)
        return part


def new_film_path() -> Path:
    """Where the next film may be written."""
    return Path(folder_paths.get_temp_directory()) / "talking_portrait" / f"{uuid.uuid4().hex}.mp4"


def lost_films() -> int:
    """How many films lost their file, for `fingerprint_inputs`: then the nodes that make films run again."""
    global _lost
    for film in list(_alive):
        if not film.path.is_file():
            _alive.discard(film)
            _lost += 1
    return _lost
