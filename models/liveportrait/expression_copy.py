"""An expression copied from a photo without any weights: two faces' landmarks compared, as slider values.

Only what distances between landmarks show is copied: opening and width of the mouth, height of its corners, each
eye's lid, height of the brows, gaze to the sides and the turn of the head. Teeth, cheeks, tongue, wrinkles and a gaze
up or down are not: landmarks do not show them, or not surely. The units are what the built-in renderer moves these
distances by, measured in its own pictures, so drawing and copying agree.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..face_motion.rotation import pose_degrees
from .expression_sliders import FURROW_UNIT, SLIDERS, TURNS, limits

CORNERS, LIPS = (61, 291), (13, 14)  # of the mouth; upper and lower lip's inner edge
BROWS = (105, 66, 107, 334, 296, 336)
LIDS = {"wink_right": (159, 145, 33, 133), "wink_left": (386, 374, 263, 362)}  # upper, lower, outer, inner
IRISES = ((468, 33, 133), (473, 362, 263))  # centre and the corners from the picture's left to its right
EYES, BRIDGE, NOSE = (33, 263), 168, 2
# change of each measure (in distances between the eyes) when the slider moves by one control
STEPS = {"aaa": 0.25, "woo": -0.1, "eee": 0.045, "smile": 0.043, "eyebrow": 0.045, "pupil_x": 0.086}
FURROW_STEP = 0.027  # of the brow below zero
SHUT = 0.75  # of an eye's opening, lost where its lid is drawn shut
LIFTED = 0.17  # of the mouth's opening: what its upper lip rises above the corners without any frown
# of a control: what lies below is the landmarks' own unsteadiness, and not copied
LEAST = {
    "aaa": 0.08, "woo": 0.25, "eee": 0.3, "smile": 0.3, "eyebrow": 0.35, "pupil_x": 0.35, "wink_left": 0.12,
    "wink_right": 0.12,
}  # fmt: skip
LEAST_TURN = 1.5  # degrees
SEEN = 0.6  # of the portrait's own opening: a narrower eye does not show where it looks


def axes(points: np.ndarray) -> np.ndarray:
    """[3,3] unit axes of a face [478,3] as rows: along the eyes, down the nose, into the head."""
    across = points[EYES[1]] - points[EYES[0]]
    across = across / np.linalg.norm(across)
    down = points[NOSE] - points[BRIDGE]
    down = down - across * (down @ across)
    down = down / np.linalg.norm(down)
    return np.stack([across, down, np.cross(across, down)])


def measures(points: np.ndarray) -> dict[str, float]:
    """Distances of a face [478,3] (pixels), whatever its size and turn, in distances between its eyes."""
    place = points.astype(np.float64)
    local = (place - place[list(EYES)].mean(0)) @ axes(place).T
    local /= np.linalg.norm(place[EYES[1]] - place[EYES[0]])

    def gap(a: int, b: int) -> float:
        return float(np.linalg.norm(local[a] - local[b]))

    found = {
        "opening": gap(*LIPS),
        "width": gap(*CORNERS),
        "lift": float(local[LIPS[0], 1] - local[list(CORNERS), 1].mean()),
        "brow": -float(local[list(BROWS), 1].mean()),
    }
    found |= {
        name: gap(upper, lower) / gap(outer, inner) for name, (upper, lower, outer, inner) in LIDS.items()
    }
    gaze = 0.0
    for iris, left, right in IRISES:
        along = local[right, :2] - local[left, :2]
        offset = local[iris, :2] - (local[left, :2] + local[right, :2]) / 2
        gaze += float(offset @ along / (along @ along)) / len(IRISES)
    return found | {"gaze": gaze}


def copied_values(portrait: np.ndarray, photo: np.ndarray) -> dict[str, float]:
    """Slider and turn values that take a portrait's face [478,3] towards a photo's; those that are 0 are left out.

    ValueError for points that are no face.
    """
    own, other = measures(portrait), measures(photo)
    if not all(map(math.isfinite, (*own.values(), *other.values()))):
        raise ValueError(
            "copy_from: eyes, nose or mouth of the face lie in one point, so nothing can be measured."
        )
    change = {name: other[name] - own[name] for name in own}
    wider, opening = change["width"], change["opening"]
    smile = (change["lift"] + LIFTED * max(opening, 0.0)) / STEPS["smile"]
    controls = {
        "aaa": max(opening / STEPS["aaa"], 0.0),
        "woo": max(wider / STEPS["woo"], 0.0),
        "eee": max(wider / STEPS["eee"] - max(smile, 0.0), 0.0),  # a smile widens the mouth by itself
        "smile": smile,
        "eyebrow": change["brow"] / (STEPS["eyebrow"] if change["brow"] > 0 else FURROW_STEP),
    }
    left_open = {name: other[name] / max(own[name], 1e-3) for name in LIDS}
    controls |= {name: max(1 - part, 0.0) / SHUT for name, part in left_open.items()}
    if min(left_open.values()) > SEEN:
        controls["pupil_x"] = change["gaze"] / STEPS["pupil_x"]
    values = {name: in_units(name, value) for name, value in controls.items() if abs(value) >= LEAST[name]}
    turn = axes(portrait.astype(np.float64)).T @ axes(photo.astype(np.float64))
    degrees = pose_degrees(torch.from_numpy(turn)).reshape(3).tolist()
    values |= {name: angle for name, angle in zip(TURNS, degrees, strict=True) if abs(angle) >= LEAST_TURN}
    within = {name: min(max(value, limits(name)[0]), limits(name)[1]) for name, value in values.items()}
    return {name: round(value, 2) for name, value in within.items() if round(value, 2)}


def in_units(name: str, control: float) -> float:
    """A control's value as its slider writes it."""
    return control * (FURROW_UNIT if name == "eyebrow" and control < 0 else SLIDERS[name].unit)


def with_copied(
    tracks: Mapping[str, Tensor], copied: Mapping[str, float], amount: float
) -> Mapping[str, Tensor]:
    """Tracks [N] of sliders and turns with `amount` of copied values on top, each kept within its limits."""
    still = torch.zeros_like(next(iter(tracks.values())))
    result = dict(tracks)
    for name, value in copied.items():
        result[name] = (tracks.get(name, still) + amount * value).clamp(*limits(name))
    return result
