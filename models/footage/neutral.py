"""A person's closed, calm mouth, and that mouth in the pose of every frame of a shot."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ..face.head_pose import RIGID, Poses, poses_of
from ..face_motion.smooth import smoothstep
from .looks import distance, opening

ROUNDS = 3
CALM = 0.2  # of the frames, the least open ones, among which the neutral mouth is looked for
# eye distances by which they may be more open than the least open one: in a film of vowels few are
AS_CLOSED = 0.02
EXPRESSION_SECONDS = 0.5  # what lasts longer is an expression, not speech
CORNERS = (61, 291)


@dataclass(frozen=True)
class Neutral:
    """face [478,3]: the closed, calm face in the pose of the shot's middle frame, in pixels there. lower [478]: 1 on
    what speech moves, 0 on what it does not. poses: of the neutral face in each of the n frames. corners [n,2,3]: how
    far both corners of the mouth are from it, slowly, in its own pixels."""

    face: np.ndarray
    lower: np.ndarray
    poses: Poses
    corners: np.ndarray

    def moved(self, seen: np.ndarray, first: int, expression: float) -> np.ndarray:
        """Faces [k,478,3] of the shot's frames from `first` on with the neutral lower face in the place of their own.

        expression: how much of the corners' own slow motion is laid on it.
        """
        chosen = slice(first, first + len(seen))
        poses = self.poses.part(chosen)
        face = np.broadcast_to(self.face, seen.shape)
        if expression:
            face = face + expression * smile_spread(self.face, self.lower, self.corners[chosen])
        rest = seen - poses.place(np.broadcast_to(self.face, seen.shape))
        moved = poses.place(face) + (1 - self.lower)[:, None] * rest
        moved[..., :2] += self.lower[:, None] * ring_of(rest, self.lower)[..., :2]
        return moved


def find_neutral(faces: np.ndarray, usable: np.ndarray, fps: float) -> Neutral:
    """The neutral face of a shot's faces [n,478,3], of those that are `usable` [n]."""
    face = faces[np.flatnonzero(usable)[usable.sum() // 2]].astype(np.float64)
    open_by = opening(faces)
    calm = calm_frames(open_by, distance(faces, *CORNERS) / distance(faces, 33, 263), usable)
    for _ in range(ROUNDS):
        poses = poses_of(face, faces)
        aligned = poses.align(faces)
        lower = lower_weight(face)[:, None]
        shut = as_closed(aligned, open_by, calm, usable)
        face = np.median(aligned[usable], 0) * (1 - lower) + np.median(shut, 0) * lower
    poses = poses_of(face, faces)
    corners = slow_corners(poses.align(faces)[:, list(CORNERS)] - face[list(CORNERS)], open_by, calm, fps)
    return Neutral(face, lower_weight(face), poses, corners)


def calm_frames(open_by: np.ndarray, width: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Numbers of the closed frames whose mouth is of usual width: neither a smile nor rounded."""
    known = np.flatnonzero(usable)
    closed = known[np.argsort(open_by[known], kind="stable")][: max(5, int(CALM * len(known)))]
    unusual = np.abs(width[closed] - np.median(width[known]))
    return closed[np.argsort(unusual, kind="stable")][: max(5, len(closed) // 2)]


def as_closed(aligned: np.ndarray, open_by: np.ndarray, calm: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """[k,478,3] the calm ones of aligned faces [n,478,3] with mouths as closed as the least open of them, by what an
    opening does to each point in the shot: in a film of vowels hardly any mouth is closed."""
    away = open_by[usable] - open_by[usable].mean()
    slope = np.tensordot(away, aligned[usable], 1) / max(float(away @ away), 1e-9)
    return aligned[calm] - (open_by[calm] - open_by[calm].min())[:, None, None] * slope


def slow_corners(seen: np.ndarray, open_by: np.ndarray, calm: np.ndarray, fps: float) -> np.ndarray:
    """[n,2,3] the slow part of how far corners [n,2,3] are from neutral, without what an opening mouth does to them."""
    flat = seen.reshape(len(seen), 6)
    slope = np.linalg.lstsq(np.stack([open_by, np.ones_like(open_by)], 1), flat, rcond=None)[0][0]
    flat = flat - open_by[:, None] * slope
    flat = flat - np.median(flat[calm], 0)
    return gaussian_filter1d(flat, EXPRESSION_SECONDS * fps, axis=0, mode="nearest").reshape(-1, 2, 3)


def mouth_places(face: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Where points of a face [478,3] lie from its mouth's middle, along it and down to the chin, in mouth widths; and
    how far down chin and nose's base are."""
    across = face[291] - face[61]
    width = np.linalg.norm(across)
    across, middle = across / width, (face[61] + face[291]) / 2
    down = face[152] - middle
    down = down - across * (down @ across)
    chin = np.linalg.norm(down)
    down = down / chin
    v = (face - middle) @ down / width
    return (face - middle) @ across / width, v, float(chin / width), float(v[2])


def lower_weight(face: np.ndarray) -> np.ndarray:
    """[478] 1 on lips, chin and jaw, 0 at the nose's base and at the ears, smooth between."""
    u, v, _, nose = mouth_places(face)
    return smoothstep((v - nose) / (-0.75 * nose)) * smoothstep((1.35 - np.abs(u)) / 0.75)


def ring_of(rest: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """[k,1,3] mean of residuals [k,478,3] of the points around the lower face, on which the mouth rides."""
    ring = ((lower > 0.02) & (lower < 0.5)).astype(float)
    return np.einsum("nkc,k->nc", rest, ring / max(ring.sum(), 1.0))[:, None]


def smile_spread(face: np.ndarray, lower: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """[k,478,3] what corners that are [k,2,3] away take along: nothing in the lips' middle, all at each corner."""
    u, v, chin, _ = mouth_places(face)
    near = smoothstep((1.2 - np.abs(u)) / 0.7) * lower * smoothstep((1 - v / chin) / 0.8)
    left, right = smoothstep(-u / 0.5) * near, smoothstep(u / 0.5) * near
    return corners[:, :1] * left[:, None] + corners[:, 1:] * right[:, None]


def unlike_neutral(neutral: Neutral, faces: np.ndarray, points: list[int]) -> np.ndarray:
    """[n] mean distance of some points of faces [n,478,3] from the neutral face, in its mouth widths."""
    away = neutral.poses.align(faces)[:, points] - neutral.face[points]
    return np.linalg.norm(away, axis=-1).mean(1) / distance(neutral.face, *CORNERS)


__all__ = ["RIGID", "Neutral", "find_neutral"]
