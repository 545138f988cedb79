"""What is said of one film, and of a film beside its reference, without any download."""

import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import zip_longest
from typing import Any

import numpy as np
from torch import Tensor

from ..footage.watching import groups
from ..media.film_sound import Sound, at_rate
from ..media.lip_sync import lip_sync, loudness_per_frame
from ..media.pixels import rounded_bytes
from ..progress import Progress
from . import audio_beats, head_motion
from .faces_of_film import FaceSeen, FilmSeen, check_detector
from .landmark_distance import EYES, MOUTH, landmark_distance, part
from .motion_intensity import face_intensity
from .moving_face import (
    angles,
    blinks_per_minute,
    closures,
    face_distance,
    heard_closures,
    jerk,
    lips,
    poses,
    track,
)
from .pictures import PictureDistance
from .ssim import ssim

Values = dict[str, float]
# sound [C,T] and its rate -> probability of p, b or m at 100 Hz
Hears = Callable[[np.ndarray, int], np.ndarray]
# MediaPipe's points that stand for dlib's 68: jaw, brows, nose, eyes, mouth
FACE = (
    127, 234, 93, 132, 58, 172, 136, 150, 152, 379, 365, 397, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, *MOUTH,
)  # fmt: skip


def film_measures(
    film: FilmSeen, sound: Sound | None, hears: Hears | None, index: int = 0, official: bool = False
) -> tuple[Values, list[str]]:
    """Values by the names of descriptions.MEASURES, and in words what could not be measured and why.

    ValueError where the face is in no frame.
    """
    faces, fps = film.followed(index), float(film.fps)
    values: Values = {"face_found": sum(face is not None for face in faces) / len(faces)}
    notes: list[str] = []
    turns = poses(faces)
    values["blinks_per_minute"] = blinks_per_minute(faces, fps)
    values["head_degrees"] = head_motion.degree_diversity([turns])["overall"]
    values["lip_jerk"], values["head_jerk"] = jerk(lips(faces), fps), jerk(angles(faces), fps)
    tried(
        values,
        notes,
        lambda: {"motion_intensity": 100 * math.sqrt(face_intensity([xy(face) for face in faces]))},
    )
    if film.sharpness:
        values["cpbd"] = float(np.mean(film.sharpness))
    if sound is None:
        notes.append("the film has no sound, so nothing is said of lips and voice.")
    else:
        tried(values, notes, lambda: lip_values(faces, film.fps, sound))
        tried(values, notes, lambda: beat_values(faces, fps, sound, official))
        if hears is not None:
            found = closures(faces, fps, heard_closures(hears(sound[0].numpy(), sound[1])))
            values |= {"pbm_spoken": found.spoken, "pbm_closed": found.share}
    missing = [name for name, value in values.items() if math.isnan(value)]
    return {name: value for name, value in values.items() if name not in missing}, notes


def tried(values: Values, notes: list[str], measure: Callable[[], Values]) -> None:
    """Add what a measure says, or why it says nothing."""
    try:
        values |= measure()
    except ValueError as error:
        notes.append(str(error))


def xy(face: FaceSeen | None) -> np.ndarray | None:
    """A face's points in pixels."""
    return None if face is None else face.xy


def lip_values(faces: list[FaceSeen | None], fps: Fraction, sound: Sound) -> Values:
    """Lag and correlation of lips and loudness."""
    found = lip_sync(track(faces, "mouth"), loudness_per_frame(sound[0].numpy(), sound[1], fps, len(faces)))
    return {"lip_lag": found.lag, "lip_correlation": found.correlation}


def beat_values(faces: list[FaceSeen | None], fps: float, sound: Sound, official: bool) -> Values:
    """How near the sound's beats have a beat of the head. Frames without the face are bridged; `official`: left out,
    which moves all later beats."""
    known = np.array([number for number, face in enumerate(faces) if face is not None])
    points = np.stack([face.head for face in faces if face is not None]).astype(np.float64)
    if not official and len(known) > 1:
        every = np.arange(known[0], known[-1] + 1)
        flat = points.reshape(len(points), -1)
        bridged = [np.interp(every, known, column) for column in flat.T]
        points = np.stack(bridged, 1).reshape(len(every), *points.shape[1:])
    if len(points) < 4:
        raise ValueError("there are too few frames with a face for beats of the head.")
    beats = head_motion.motion_beats(head_motion.smoothed_speed(points)) / fps + (
        0 if official else known[0] / fps
    )
    if not len(beats):
        raise ValueError("the head has no beats: it does not move to and fro, so beats cannot be compared.")
    wave = at_rate((sound[0].mean(0, keepdim=True), sound[1]), audio_beats.RATE)[0].numpy()
    heard = audio_beats.audio_beats(wave, official).seconds
    return {"beat_alignment": head_motion.beat_alignment(heard, beats)}


class Comparison:
    """Two films side by side: pictures are compared as they come, faces at the end."""

    def __init__(self, fps: Fraction, official: bool = False):
        self.films = FilmSeen(fps, 0), FilmSeen(fps, 0)
        self.pictures, self.likeness, self.official = PictureDistance(official), [], official

    def take(self, first: list[np.ndarray], second: list[np.ndarray], detector: Any) -> None:
        """The next frames in bytes of both; those that one film alone has are looked at, not compared."""
        for film, frames in zip(self.films, (first, second), strict=True):
            if frames:
                film.take(frames, detector)
        for a, b in zip(first, second, strict=False):
            if a.shape != b.shape:
                continue
            self.pictures.add(a, b)
            self.likeness.append(ssim(a, b))

    def values(self, index: int = 0) -> tuple[Values, list[str]]:
        """As film_measures gives them."""
        values: Values = {}
        notes: list[str] = []
        lengths = [len(film) for film in self.films]
        if lengths[0] != lengths[1]:
            notes.append(
                f"video has {lengths[0]} frames and reference {lengths[1]}; pictures were compared while both last."
            )
        if self.likeness:
            values |= {
                "psnr": self.pictures.psnr,
                "l1": self.pictures.l1,
                "ssim": float(np.mean(self.likeness)),
            }
        else:
            (h, w), (height, width) = (film.size or (0, 0) for film in self.films)
            notes.append(
                f"video is {w}x{h} and reference {width}x{height}, so pixels were not compared; faces were."
            )
        faces = [film.followed(index) for film in self.films]
        tried(values, notes, lambda: landmark_values(*faces))
        found = face_distance(*faces)
        values |= {"pose_distance": found.pose, "expression_distance": found.expression}
        if not math.isnan(found.mouths):
            values["mouth_correlation"] = found.mouths
        return values, notes


def landmark_values(faces: list[FaceSeen | None], others: list[FaceSeen | None]) -> Values:
    """LMD of the mouth and the face, in pixels and in eye distances of the reference."""
    points = [[xy(face) for face in film] for film in (faces, others)]
    mouth, face = (landmark_distance(*(part(film, chosen) for film in points)) for chosen in (MOUTH, FACE))
    eyes = np.median([np.linalg.norm(p[EYES[0]] - p[EYES[1]]) for p in points[1] if p is not None])
    return {
        "m_lmd": mouth.distance, "f_lmd": face.distance, "mouth_velocity": mouth.velocity,
        "m_lmd_eyes": 100 * mouth.distance / float(eyes), "f_lmd_eyes": 100 * face.distance / float(eyes),
    }  # fmt: skip


def compare(
    first: Iterable[Tensor], second: Iterable[Tensor], fps: Fraction, detector: Any, progress: Progress,
    expected: int = 0, official: bool = False,
) -> Comparison:  # fmt: skip
    """Frames [H,W,3] in 0..1 of both films at one rate -> what they are beside each other; frames are not kept."""
    check_detector(detector)
    found = Comparison(fps, official)
    for pairs in groups(zip_longest(first, second)):
        video, reference = (
            [rounded_bytes(one).numpy() for one in side if one is not None]
            for side in zip(*pairs, strict=True)
        )
        found.take(video, reference, detector)
        progress(len(found.films[1]), max(expected, len(found.films[1]) + 1))
    return found


def report(values: Values, notes: Iterable[str], tell: Callable[[str, float], str]) -> Iterator[str]:
    """Lines of values and notes."""
    yield from (tell(name, value) for name, value in values.items())
    yield from (f"Note: {note}" for note in notes)
