"""Following one face over the frames of a film by its place and its size.

All faces are followed at once, so that another known person is never taken for the one that is missing. In
each frame the pairs of a known face and a found one that fit best come first. A pair fits where

- the found face's middle lies within 1 face size (the longer side of its points' box) of where the known one
  was, or would be
  had it moved on as it did; each frame in which it was not seen adds 0.1, up to 2 in all;
- it is at most 1.5 times as large or as small, and up to 2.25 times after a long while.

How well it fits is the distance of all its points from where they would be, so pose and features count too. A
found face that fits nobody is a newcomer; somebody else who was not seen for 250 frames is forgotten. Where
the followed face is not found the frame is missing; it is found again where it fits.

A cut is told from motion: the followed face is never seen again, and no face that was there before is either,
but newcomers are in most of the frames that are left; or the points jump by 0.3 face sizes from one frame to
the next in the midst of frames with less than a fifth of that, and no other face stays calm meanwhile. Then
nobody knows whether it is the same person, and an error names the frame. What landmarks do not tell: another
person in the same place, of the same size, after a cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .landmarks import ADVICE, Face, boxes_per_frame, chosen_face, frame_numbers, place, why_not_chosen

NEAR, FARTHEST, PER_FRAME = 1.0, 2.0, 0.1  # face sizes
SIZE_FACTOR = 1.5
CARRIED = 5  # frames for which a face that is not seen is thought to move on
FORGOTTEN = 250  # frames after which somebody else is forgotten
# sightings up to which a face may be a mistake of the detector; what its fit costs more
GLIMPSE, DOUBT = 5, 0.2
JUMP, CALM, AROUND = 0.3, 0.2, 3  # face sizes; part of them; frames on both sides
WAY_OUT = (
    "Give the frames before it and from it on apart. If it is the right face, say so: connect bboxes of "
    "Detect Face Landmarks (num_faces 1) to face_box, which then chooses in every frame."
)


@dataclass(frozen=True)
class Found:
    """A found face: its points [478,2], the middle of the box around them, and the longer side of it, at
    least a pixel."""

    face: Face
    points: np.ndarray
    middle: complex
    size: float

    @classmethod
    def of(cls, face: Face) -> Found:
        points = np.asarray(face["landmarks_xy"], dtype=np.float64)
        low, high = points.min(0), points.max(0)
        return cls(face, points, complex(*(low + high)) / 2, float(max((high - low).max(), 1.0)))

    def away(self, points: np.ndarray) -> float:
        """Root mean square distance of these points from its own, in its sizes."""
        return float(np.sqrt(np.square(self.points - points).sum(-1).mean())) / self.size


@dataclass
class Track:
    """One person: all sightings, and of the last that was not a copy of the one before, which frame it was in
    and how fast."""

    latest: Found
    number: int
    sightings: dict[int, Face] = field(default_factory=dict)
    # how far the points moved since the frame before, in face sizes
    steps: dict[int, float] = field(default_factory=dict)
    velocity: complex = 0j  # pixels by frame

    def see(self, number: int, found: Found) -> None:
        """Take a face of frame `number`. A copy of the last (a frozen film, a gap that core filled) tells of
        no motion."""
        if not np.array_equal(found.points, self.latest.points):
            gap = number - self.number
            self.velocity = (self.velocity + (found.middle - self.latest.middle) / gap) / 2
            if gap == 1:
                self.steps[number] = self.latest.away(found.points)
            self.latest, self.number = found, number
        self.sightings[number] = found.face

    def misfit(self, number: int, found: Found) -> float:
        """How badly a face of frame `number` fits, in face sizes; infinite where it does not."""
        gap, own = number - self.number, self.latest.size
        moved, away = self.velocity * min(gap, CARRIED), found.middle - self.latest.middle
        room = min(NEAR + PER_FRAME * (gap - 1), FARTHEST)
        if (
            min(abs(away), abs(away - moved)) > room * own
            or max(found.size / own, own / found.size) > SIZE_FACTOR**room
        ):
            return np.inf
        doubt = DOUBT if len(self.sightings) <= GLIMPSE else 0.0
        return self.latest.away(found.points - [moved.real, moved.imag]) + doubt


def follow_face(landmarks: Mapping[str, Any], index: int, box: Any = None) -> list[np.ndarray | None]:
    """Landmarks [478,2] of one face in every frame, None where it is not there; see `followed_face`."""
    found = followed_face(landmarks, index, box)
    return [None if face is None else np.asarray(face["landmarks_xy"], dtype=np.float64) for face in found]


def followed_face(landmarks: Mapping[str, Any], index: int, box: Any = None) -> list[Face | None]:
    """One face in every frame, None where it is not there.

    It is the face number `index` of the first frame that has so many, or the one in a box, and is then
    followed by the rule above. A box for each frame chooses in each of them instead, whoever it is.
    ValueError where no frame has the face (so one at least is found), and where a cut leaves open who it is.
    """
    frames = landmarks["frames"]
    chosen = face_in_every_frame(frames, index, box, check_no_cut)
    if not any(frames):
        raise ValueError(f"face_landmarks holds no face in any of {len(frames)} frames. {ADVICE}")
    if all(face is None for face in chosen):
        raise ValueError(why_not_chosen(max(frames, key=len), index, first_box(box, len(frames))))
    return chosen


def first_box(box: Any, count: int) -> Mapping[str, float] | None:
    """The first box of those given for count frames."""
    return next(filter(None, boxes_per_frame(box, count)), None)


def face_in_every_frame(
    frames: Sequence[Sequence[Face]],
    index: int,
    box: Any = None,
    check: Callable[[Track, Sequence[Track], Sequence[Sequence[Face]]], None] | None = None,
) -> list[Face | None]:
    """The chosen face as it is in every frame, None where it is not; `check` looks for cuts in its track."""
    boxes = boxes_per_frame(box, len(frames))
    if isinstance(box, (list, tuple)) and len(box) > 1:
        return [
            None if own is None else chosen_face(faces, index, own)
            for faces, own in zip(frames, boxes, strict=True)
        ]
    own, others = tracks(frames, index, boxes[0] if boxes else None)
    if own is None:
        return [None] * len(frames)
    if check:
        check(own, others, frames)
    return [own.sightings.get(number) for number in range(len(frames))]


def tracks(
    frames: Sequence[Sequence[Face]], index: int, box: Mapping[str, float] | None
) -> tuple[Track | None, list[Track]]:
    """The chosen face's track, None if it is in no frame, and everybody else's."""
    everyone: list[Track] = []
    known: list[Track] = []
    own: Track | None = None
    for number, faces in enumerate(frames):
        known = [track for track in known if track is own or number - track.number <= FORGOTTEN]
        seen = tracks_of_faces(known, [Found.of(face) for face in faces], number)
        newcomers = [track for track in seen if len(track.sightings) == 1]
        everyone += newcomers
        known += newcomers
        if own is None and (face := chosen_face(faces, index, box)) is not None:
            own = next(track for track in seen if track.sightings[number] is face)
    return own, [track for track in everyone if track is not own]


def tracks_of_faces(known: Sequence[Track], faces: Sequence[Found], number: int) -> list[Track]:
    """Whose each face of a frame is, with that sighting, the best fit first; a new track for a newcomer."""
    fits = [
        (track.misfit(number, found), i, j) for i, track in enumerate(known) for j, found in enumerate(faces)
    ]
    owners: dict[int, Track] = {}
    taken: set[int] = set()
    for cost, i, j in sorted(fits):
        if cost < np.inf and i not in taken and j not in owners:
            taken.add(i)
            owners[j] = known[i]
    result = [owners.get(j) or Track(found, number) for j, found in enumerate(faces)]
    for track, found in zip(result, faces, strict=True):
        track.see(number, found)
    return result


def check_no_cut(own: Track, others: Sequence[Track], frames: Sequence[Sequence[Face]]) -> None:
    """ValueError that names the frame from which on nobody knows whether it is the same face."""
    if (number := jump(own, others)) is not None:
        before, after = (own.sightings[n]["bbox_xyxy"] for n in (number - 1, number))
        raise ValueError(
            f"in frame {number} of face_landmarks the face jumps from {place(before)} to {place(after)} "
            f"(pixels), while it is calm before and after: a cut, or another person. {WAY_OUT}"
        )
    end = max(own.sightings)
    later = [number for number in range(end + 1, len(frames)) if frames[number]]
    goes_on = any(min(track.sightings) <= end < max(track.sightings) for track in others)
    if not goes_on and 2 * len(later) > len(frames) - 1 - end:
        raise ValueError(
            f"from frame {later[0]} of face_landmarks on there are only faces that were not there before "
            f"({place(frames[later[0]][0]['bbox_xyxy'])} pixels; the followed one was last in frame {end} at "
            f"{place(own.sightings[end]['bbox_xyxy'])}): a cut, or another person. {WAY_OUT}"
        )


def jump(own: Track, others: Sequence[Track]) -> int | None:
    """The first frame in which the face jumps out of calm into calm, and nobody else stays calm."""
    for number, step in own.steps.items():
        near = [own.steps.get(number + i) for i in range(-AROUND, AROUND + 1) if i]
        known = near[AROUND - 1] is not None and near[AROUND] is not None
        calm = all(other < CALM * step for other in near if other is not None)
        if (
            step > JUMP
            and known
            and calm
            and not any(t.steps.get(number, step) < CALM * step for t in others)
        ):
            return number
    return None


def missing_text(
    found: Sequence[np.ndarray | None], landmarks: Mapping[str, Any], chosen: Sequence[int] | None = None
) -> str:
    """In which of the frames (of those chosen) the face is missing, and whether others are there; empty if in none."""
    asked = range(len(found)) if chosen is None else chosen
    missed = [number for number in asked if found[number] is None]
    if not missed:
        return ""
    crowd = [number for number in missed if landmarks["frames"][number]]
    others = f", though other faces are there in {frame_numbers(crowd)}" if crowd else ""
    missing = f"the face is missing in {len(missed)} of {len(asked)} frames"
    return f"{missing}: {frame_numbers(missed)} (the first is 0){others}"
