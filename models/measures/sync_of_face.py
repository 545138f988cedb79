"""SyncNet's scores of a film with a face anywhere in it: tracks and crops first, as published but for the detector."""

from typing import Any

from ..media.film_reader import Film
from ..media.film_sound import Sound
from ..progress import Progress
from .even_frames import even_frames
from .face_tracks import MORE_FRAMES, face_crops, face_tracks
from .faces_of_film import FilmSeen, watch
from .sync import FPS, bgr_bytes, speech_samples, sync_of_film
from .syncnet import SyncNet

SHORT = 24  # frames of a face that are enough, where the published 100 are not asked for


def sync_values(
    network: SyncNet,
    film: Film,
    seen: FilmSeen,
    sound: Sound | None,
    detector: Any,
    official: bool,
    progress: Progress,
) -> dict[str, float]:
    """lse_c, lse_d and sync_offset of the longest track of a face. `seen`: the film as it was watched, which is watched
    again at 25 frames a second if that is not its rate. ValueError where there is no such face, or no sound."""
    if sound is None:
        raise ValueError(
            "video has no sound, so SyncNet has nothing to compare. Connect audio, or leave SyncNet out."
        )
    if seen.fps != FPS:
        seen = watch(even_frames(film, FPS), FPS, detector, progress, every=0)
    least = MORE_FRAMES if official else SHORT
    tracks = face_tracks([[face["bbox_xyxy"] for face in faces] for faces in seen.faces], more_frames=least)
    if not tracks:
        raise ValueError(
            f"SyncNet needs a face of 100 pixels or more in over {least} frames, and video has none. Leave SyncNet "
            "out, or give a larger or longer film."
        )
    track = max(tracks, key=lambda one: len(one.boxes))
    frames = (bgr_bytes(pixels) for pixels in even_frames(film, FPS))
    samples = speech_samples(sound, *track.seconds(float(FPS)))
    found = sync_of_film(network, face_crops(frames, track), samples, official=official)
    return {"lse_c": found.lse_c, "lse_d": found.lse_d, "sync_offset": float(found.offset)}
