"""Which frames of a shot can be drawn, and why the others stay as they were filmed."""

import numpy as np

from ..face.head_pose import Poses

LEAST_PRESENCE = 8.0  # the mesh's logit: below, its points lie beside the lips
LEAST_FACE = 24.0  # pixels across
# degrees from the frame whose texture is carried: no clip that was measured turns more
MOST_YAW = MOST_PITCH = 22.0
FADE = 5  # frames over which drawing gives way to the film
FINE, MISSING, UNSURE, SMALL, TURNED, STRAY = range(6)
IN_WORDS = {
    MISSING: "the face is not found",
    UNSURE: "the face is hardly seen",
    SMALL: f"the face is under {LEAST_FACE:.0f} pixels wide",
    TURNED: "the head is turned too far from the reference frame",
    STRAY: "its shot has no frames to learn from",
}


def seen_well(found: np.ndarray, presence: np.ndarray, width: np.ndarray) -> np.ndarray:
    """[n] of each frame FINE, or why not: whether there is a face, how sure it is and how many pixels wide."""
    why = np.full(len(found), FINE)
    why[width < LEAST_FACE] = SMALL
    why[presence < LEAST_PRESENCE] = UNSURE
    why[~found] = MISSING
    return why


def turned_too_far(poses: Poses, reference: np.ndarray) -> np.ndarray:
    """[n] whether heads are turned further from a rotation [3,3] than the texture can be carried."""
    pitch, yaw, _ = Poses(poses.scale, poses.rotation @ reference.T, poses.shift).degrees().T
    return (np.abs(yaw) > MOST_YAW) | (np.abs(pitch) > MOST_PITCH)


def faded(fine: np.ndarray) -> np.ndarray:
    """[n] float32, 0 at frames that are not fine, rising to 1 over FADE frames around them."""
    bad = np.flatnonzero(~fine)
    if not len(bad):
        return np.ones(len(fine), np.float32)
    numbers = np.arange(len(fine))
    after = np.searchsorted(bad, numbers)
    nearest = np.minimum(
        np.abs(numbers - bad[np.minimum(after, len(bad) - 1)]),
        np.abs(numbers - bad[np.maximum(after - 1, 0)]),
    )
    return np.minimum(nearest / (FADE + 1), 1).astype(np.float32)
