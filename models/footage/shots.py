"""Where a film is cut, and one face followed through each of its shots."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..face.following import face_in_every_frame
from .watching import Watched

JUMP, GROWTH, CHANGE = 0.28, 0.15, 20.0  # eye distances; of the eye distance; of 255, mean over the thumbnail
ALONE = (
    25  # frames without another jump around one that is a cut: a head that moves fast jumps again and again
)
EYES = (33, 263)

Face = Mapping[str, Any]


def followed_face(watched: Watched, index: int, box: Any) -> tuple[list[Face | None], list[slice]]:
    """The chosen face in every frame, None where it is not there, and the film's shots.

    In every shot anew it is the face number `index` of its first frame that has so many, or the one in `box`.
    """
    faces: list[Face | None] = []
    cuts = picture_cuts(watched.thumbnails)
    for part in parts(cuts, len(watched.faces)):
        faces += face_in_every_frame(watched.faces[part], index, box_of(box, part, len(watched.faces)))
    return faces, parts(sorted({*cuts, *face_cuts(faces)}), len(faces))


def box_of(box: Any, part: slice, count: int) -> Any:
    """A box for all frames, or those of some of them."""
    return box[part] if isinstance(box, (list, tuple)) and len(box) == count > 1 else box


def parts(cuts: Sequence[int], count: int) -> list[slice]:
    """The frames between cuts, each of which is the first frame of a shot."""
    edges = [0, *cuts, count]
    return [slice(first, end) for first, end in zip(edges, edges[1:], strict=False) if end > first]


def picture_cuts(thumbnails: np.ndarray) -> list[int]:
    """Frames [T,32,32] that show another picture than the one before."""
    changes = [
        np.abs(now.astype(float) - before).mean()
        for before, now in zip(thumbnails, thumbnails[1:], strict=False)
    ]
    return [number + 1 for number, change in enumerate(changes) if change > CHANGE]


def face_cuts(faces: Sequence[Face | None]) -> list[int]:
    """Frames in which the face is elsewhere, or of another size, than in the one before, and stays there a while."""
    found = []
    for number, (before, now) in enumerate(zip(faces, faces[1:], strict=False), 1):
        if before is None or now is None:
            continue
        eyes, others = before["points"][list(EYES), :2], now["points"][list(EYES), :2]
        size, other = (max(float(np.linalg.norm(pair[0] - pair[1])), 1e-3) for pair in (eyes, others))
        moved = float(np.linalg.norm(eyes.mean(0) - others.mean(0)))
        if moved > JUMP * size or abs(other / size - 1) > GROWTH:
            found.append(number)
    near = np.diff(found, prepend=-ALONE, append=len(faces) + ALONE) < ALONE
    return [
        number for number, before, after in zip(found, near, near[1:], strict=False) if not (before or after)
    ]
