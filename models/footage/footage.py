"""A film of one person, learnt once: shots, a calm mouth and a texture for each, and which frames can be drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.signal import savgol_filter
from torch import Tensor

from ..face.following import first_box
from ..face.head_pose import poses_of
from ..face.landmarks import ADVICE, frame_numbers, why_not_chosen
from ..media.film_reader import Film
from ..progress import Progress, silent
from .gates import FINE, IN_WORDS, MISSING, SMALL, STRAY, TURNED, faded, seen_well, turned_too_far
from .looks import LIPS, Look, opening
from .neutral import Neutral, find_neutral, unlike_neutral
from .shots import followed_face
from .source import Inside, Source, frame_at, inside_of
from .watching import watch

LEAST_FRAMES = 5  # of a shot that something can be learnt from
CLOSED = 0.05  # eye distances: lips that are further apart are no closed mouth
SHARP_ENOUGH = 1.3  # times the median: a coder's key frames are sharper than this, whatever the mouth does
SMOOTHED, ORDER = 5, 2  # frames and order of Savitzky and Golay's filter
JAW = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 132, 361)
PRESENT = 15.0  # the mesh's logit that stands for a detector that gives none


@dataclass(frozen=True)
class Shot:
    """Frames without a cut. neutral: None where they stay as filmed. reference: the closed mouth whose texture they
    get, perhaps of another shot. teeth: the upper row that the film shows."""

    frames: slice
    neutral: Neutral | None = None
    reference: Source | None = None
    inside: Inside = Inside()
    teeth: Source | None = None


@dataclass(frozen=True)
class Footage:
    """points [T,478,3]: the smoothed face in pixels. share [T]: 0 where a frame stays as filmed to 1 where it can be
    drawn. why [T]: of gates.py. stamps [T]: of the film's frames. size: height and width."""

    film: Film
    stamps: list[int]
    size: tuple[int, int]
    points: np.ndarray
    share: np.ndarray
    why: np.ndarray
    shots: tuple[Shot, ...]

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def fps(self) -> Fraction:
        """Mean frames per second."""
        return self.film.fps

    def seconds(self) -> np.ndarray:
        """[T] when each frame is shown, from the first on."""
        return (np.array(self.stamps) - self.stamps[0]) * float(self.film.clock)

    def shot_of(self, number: int) -> Shot:
        """The shot of a frame."""
        return next(shot for shot in self.shots if shot.frames.start <= number < shot.frames.stop)

    def calm_points(self, number: int, expression: float) -> np.ndarray:
        """[478,3] a frame's face with a calm, closed mouth; see Neutral.moved."""
        shot = self.shot_of(number)
        assert shot.neutral is not None
        first = number - shot.frames.start
        return shot.neutral.moved(self.points[number : number + 1].astype(np.float64), first, expression)[0]

    def report(self) -> str:
        """Shots, the frame each takes its texture from, and what stays as it is, in sentences."""
        rows = [f"{len(self)} frames at {float(self.fps):g} per second, {len(self.shots)} shot(s)."]
        for number, shot in enumerate(self.shots, 1):
            first, last = shot.frames.start, shot.frames.stop - 1
            rows.append(f"Shot {number}, frames {first} to {last}: {texture_in_words(shot)}.")
        for reason, words in IN_WORDS.items():
            if len(kept := np.flatnonzero(self.why == reason)):
                rows.append(
                    f"As filmed, because {words}: {len(kept)} frames ({frame_numbers(kept.tolist())})."
                )
        return "\n".join(rows)


def texture_in_words(shot: Shot) -> str:
    """Where a shot's mouth comes from."""
    if shot.reference is None:
        return "stays as filmed"
    own = shot.reference.frame
    teeth = "" if shot.teeth is None else f", teeth of frame {shot.teeth.frame}"
    return (f"mouth of frame {own}" if own is not None else "mouth of the given reference") + teeth


def learn(
    film: Film, detector: Any, index: int = 0, box: Any = None, reference: tuple[Tensor, np.ndarray] | None = None,
    progress: Progress = silent, expected: int = 0,
) -> Footage:  # fmt: skip
    """Read a film once and learn it. reference: a picture [H,W,3] with landmarks [478,3] of the same person's closed
    mouth, taken in the place of the film's own frames.

    ValueError in words where there is no face, too few frames to learn from, or no closed mouth.
    """
    wanted = index + 1 if box is None else 2  # who draws a box has others to tell apart
    watched = watch(film, detector, wanted, progress, expected)
    faces, parts = followed_face(watched, index, box)
    check_found(watched.faces, faces, index, box)
    found = np.array([face is not None for face in faces])
    points = bridged([None if face is None else face["points"] for face in faces], parts)
    presence = np.array([min(face["presence"], PRESENT) if face else -np.inf for face in faces])
    why = seen_well(found, presence, np.ptp(points[..., 0], axis=1))
    check_large_enough(why, points)
    looks: list[Look | None] = [face["look"] if face else None for face in faces]
    for part in parts:
        points[part] = smoothed(points[part])
    check_long_enough(why, parts)
    shots = [learnt_shot(points[part], why[part], part, float(film.fps), looks[part]) for part in parts]
    shots = with_references(shots, points, why, looks, film, watched.stamps, reference)
    share = np.zeros(len(points), np.float32)
    for shot in shots:
        part = shot.frames
        why[part] = gated(shot, points, why[part])
        share[part] = faded(why[part] == FINE)
    return Footage(film, watched.stamps, watched.size, points, share, why, tuple(shots))


def check_found(
    everyone: Sequence[Sequence[Mapping[str, Any]]], faces: Sequence[Mapping | None], index: int, box: Any
) -> None:
    """ValueError where no frame has the chosen face."""
    if not any(everyone):
        raise ValueError(f"video shows no face in any of {len(faces)} frames. {ADVICE}")
    if all(face is None for face in faces):
        raise ValueError(
            f"video: {why_not_chosen(max(everyone, key=len), index, first_box(box, len(faces)))}"
        )


def check_large_enough(why: np.ndarray, points: np.ndarray) -> None:
    """ValueError where every face that was found is too small."""
    if not (why == FINE).any() and (why == SMALL).any():
        width = np.ptp(points[why == SMALL][..., 0], axis=1).max()
        raise ValueError(
            f"the face in video is {width:.0f} pixels wide at most; at least 24 are needed. Enlarge the film, or "
            "crop it around the face."
        )


def check_long_enough(why: np.ndarray, parts: Sequence[slice]) -> None:
    """ValueError where no shot has enough frames to learn from."""
    usable = [int((why[part] == FINE).sum()) for part in parts]
    if max(usable) < LEAST_FRAMES:
        most = (
            f"only {max(usable)} usable frame(s)" if len(parts) == 1 else f"at most {max(usable)} in one shot"
        )
        raise ValueError(
            f"video has {most} of {len(why)} in which the face is seen; at least {LEAST_FRAMES} in one shot are "
            "needed to learn it. Take a longer film, or for one picture use Prepare Portrait."
        )


def bridged(tracked: list[np.ndarray | None], parts: Sequence[slice]) -> np.ndarray:
    """[T,478,3] float32 of all frames; gaps get what lies between the faces beside them, in the shot if it has any."""
    known = np.flatnonzero([points is not None for points in tracked])
    result = np.empty((len(tracked), *tracked[known[0]].shape), np.float32)  # type: ignore[union-attr]
    for part in parts:
        own = known[(known >= part.start) & (known < part.stop)]
        for number in range(part.start, part.stop):
            result[number] = between(tracked, own if len(own) else known, number)
    return result


def between(tracked: list[np.ndarray | None], known: np.ndarray, number: int) -> np.ndarray:
    """The face in frame `number`, from those frames in which it is known."""
    place = int(np.searchsorted(known, number))
    before, after = known[max(place - 1, 0)], known[min(place, len(known) - 1)]
    first, last = tracked[before], tracked[after]
    assert first is not None and last is not None
    if number >= after or before == after:
        return last
    part = float(np.clip((number - before) / (after - before), 0, 1))
    return (1 - part) * first + part * last


def smoothed(points: np.ndarray) -> np.ndarray:
    """Faces [n,478,3] without the detector's tremor."""
    window = min(SMOOTHED, len(points) - 1 + len(points) % 2)
    if window <= ORDER:
        return points
    return np.asarray(savgol_filter(points, window, ORDER, axis=0, mode="interp"))


def learnt_shot(
    points: np.ndarray, why: np.ndarray, part: slice, fps: float, looks: Sequence[Look | None]
) -> Shot:
    """What frames `part`, with faces [n,478,3], tell by themselves."""
    usable = why == FINE
    if usable.sum() < LEAST_FRAMES:
        return Shot(part)
    known = [look if fine else None for look, fine in zip(looks, usable, strict=True)]
    inside = inside_of(known, opening(points))
    if inside.teeth is not None:
        inside = Inside(inside.enamel, inside.cavity, inside.teeth + part.start)
    return Shot(part, find_neutral(points, usable, fps), None, inside)


def with_references(
    shots: list[Shot], points: np.ndarray, why: np.ndarray, looks: Sequence[Look | None], film: Film,
    stamps: Sequence[int], reference: tuple[Tensor, np.ndarray] | None,
) -> list[Shot]:  # fmt: skip
    """Shots with the textures that they are drawn from; ValueError if there is no closed mouth."""
    known = [shot for shot in shots if shot.neutral is not None]
    given = None if reference is None else Source.around(*reference, None)
    chosen = {} if given else {id(shot): reference_frame(shot, points, why, looks) for shot in known}
    if not given and all(frame is None for frame in chosen.values()):
        least = float(opening(points)[why == FINE].min())
        raise ValueError(
            f"video has no frame with a closed mouth: the smallest opening is {least:.3f} of the distance of the "
            f"eyes, {CLOSED} is needed. Connect a picture of the same person with closed lips to reference."
        )
    sources = {
        frame: Source.around(frame_at(film, stamps[frame]).pixels, points[frame], frame)
        for frame in {*chosen.values(), *(shot.inside.teeth for shot in known)}
        if frame is not None
    }
    result = []
    for shot in shots:
        if shot.neutral is None:
            result.append(shot)
            continue
        frame = chosen.get(id(shot))
        own = given or sources[nearest(shot, known, chosen) if frame is None else frame]
        inside = shot.inside if shot.inside.enamel is not None else nearest_inside(shot, known)
        teeth = None if inside.teeth is None else sources[inside.teeth]
        result.append(Shot(shot.frames, shot.neutral, own, inside, teeth))
    return result


def reference_frame(
    shot: Shot, points: np.ndarray, why: np.ndarray, looks: Sequence[Look | None]
) -> int | None:
    """The frame of a shot with a closed, calm, sharp mouth in its usual pose; None if no mouth is closed."""
    part, neutral = shot.frames, shot.neutral
    assert neutral is not None
    faces, usable = points[part], why[part] == FINE
    open_by = opening(faces)
    pitch, yaw, roll = (neutral.poses.degrees() - np.median(neutral.poses.degrees()[usable], 0)).T
    away = np.hypot(np.hypot(yaw, pitch), 0.3 * roll)
    sharp = np.array([look.sharpness if look else 0.0 for look in looks[part]])
    score = (
        away / 10 + 4 * open_by / 0.1 + unlike_neutral(neutral, faces, [*LIPS, *JAW]) / 0.08
        - np.minimum(sharp / max(float(np.median(sharp[usable])), 1e-6), SHARP_ENOUGH)
    )  # fmt: skip
    score[~usable | (open_by >= CLOSED)] = np.inf
    best = int(np.argmin(score))
    return part.start + best if np.isfinite(score[best]) else None


def nearest(shot: Shot, others: Sequence[Shot], chosen: Mapping[int, int | None]) -> int:
    """The reference frame of the nearest shot that has one."""
    frames = [frame for other in others if (frame := chosen[id(other)]) is not None]
    return min(frames, key=lambda frame: abs(frame - (shot.frames.start + shot.frames.stop) / 2))


def nearest_inside(shot: Shot, others: Sequence[Shot]) -> Inside:
    """The mouth's inside as the nearest shot shows it that shows one."""
    able = [other for other in others if other.inside.enamel is not None]
    if not able:
        return Inside()
    return min(able, key=lambda other: abs(other.frames.start - shot.frames.start)).inside


def gated(shot: Shot, points: np.ndarray, why: np.ndarray) -> np.ndarray:
    """`why` of a shot's frames with those that its texture does not reach."""
    result = why.copy()
    if shot.neutral is None or shot.reference is None:
        result[result == FINE] = STRAY
        return result
    own = poses_of(shot.neutral.face, shot.reference.points[None]).rotation[0]
    result[turned_too_far(shot.neutral.poses, own) & (result == FINE)] = TURNED
    return result


__all__ = ["MISSING", "Footage", "Shot", "learn"]
