"""Emotions: how they are asked for, what an example of one is, and what each does to a face in LivePortrait's
keypoints.

The table of faces is ours, made of the directions that LivePortrait publishes for its sliders; the tiny
network was trained on it.
"""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ..face_motion import CONTROLS
from ..face_motion.emotion_names import emotion_name
from ..face_motion.rig import rig_matrix
from .config import EMOTIONS, EXPRESSION

FURROW = len(CONTROLS)  # the rig's last row
FROWN = {(14, 1): 0.014, (20, 1): 0.008}  # corners of the mouth down; (keypoint, axis): keypoint units
SMIRK = {(17, 0): 0.0054, (17, 1): -0.0054}  # what LivePortrait's wink does to the upper lip

# control (or "furrow", "frown", "smirk") at intensity 1; "pitch" in degrees, positive looks down
FACES: dict[str, dict[str, float]] = {
    "angry": {"furrow": 1.0, "lids": 0.12, "frown": 0.4},
    "disgusted": {"furrow": 0.7, "lids": 0.3, "frown": 0.7},
    "fearful": {"browInnerUp": 0.8, "furrow": 0.3, "lids": -0.25, "mouthStretch": 0.5},
    "happy": {"mouthSmile": 1.0, "browInnerUp": 0.2, "lids": 0.12},
    "neutral": {},
    "sad": {"browInnerUp": 0.3, "furrow": 0.4, "lids": 0.25, "frown": 0.9, "pitch": 4.0},
    "surprised": {"browInnerUp": 1.2, "lids": -0.3, "jawOpen": 0.15, "pitch": -3.0},
    "contemptuous": {"mouthSmile": 0.35, "browInnerUp": 0.2, "lids": 0.2, "eyeBlinkRight": 0.3, "smirk": 0.3},
}


def _row(direction: Mapping[tuple[int, int], float]) -> Tensor:
    row = torch.zeros(21, 3)
    for (keypoint, axis), amount in direction.items():
        row[keypoint, axis] = amount
    return row.flatten()


def emotion_faces() -> tuple[Tensor, Tensor]:
    """Of every emotion at intensity 1: change of the expression [8,63] in keypoint units, of the pitch [8] in
    degrees."""
    rig = rig_matrix()
    rows = {name: rig[k] for k, name in enumerate(CONTROLS)}
    rows |= {"furrow": rig[FURROW], "frown": _row(FROWN), "smirk": _row(SMIRK)}
    rows["lids"] = rows["eyeBlinkLeft"] + rows["eyeBlinkRight"]
    faces = torch.zeros(len(EMOTIONS), EXPRESSION)
    for k, name in enumerate(EMOTIONS):
        for part, amount in FACES[name].items():
            if part != "pitch":
                faces[k] += amount * rows[part]
    return faces, torch.tensor([FACES[name].get("pitch", 0.0) for name in EMOTIONS])


def emotion_weights(asked: str, name: str = "emotion") -> dict[str, float]:
    """ "happy", or a mixture such as "happy 2, surprised 1" -> weight of each; ValueError says what is wrong
    with input `name`."""
    weights: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in asked.split(","))):
        found = re.fullmatch(r"([^\d\s:]+)[\s:]*(\S+)?", part)
        word = found.group(1) if found else part
        emotion = emotion_name(word, EMOTIONS)
        if emotion is None:
            raise ValueError(
                f"{name} has {word.lower()!r}, which is unknown; there are {', '.join(EMOTIONS)}."
            )
        if emotion in weights:
            raise ValueError(f"{name} has {emotion} twice; write each emotion once.")
        try:
            weights[emotion] = float((found and found.group(2)) or 1)
        except ValueError:
            raise ValueError(
                f'{name} has {part!r}; a name and a number are needed, such as "happy 2, sad 1".'
            ) from None
    return weights


def emotion_label(weights: Mapping[str, float], intensity: float, name: str = "emotion") -> Tensor:
    """[8] shares of EMOTIONS (they sum to 1) times intensity 0..1; ValueError that says what is wrong with
    input `name`."""
    if unknown := set(weights) - set(EMOTIONS):
        raise ValueError(
            f"{name} has {sorted(unknown)[0]!r}, which is unknown; there are {', '.join(EMOTIONS)}."
        )
    if not (math.isfinite(intensity) and 0 <= intensity <= 1):
        raise ValueError(f"emotion_intensity is {intensity:g}; it must be between 0 (none) and 1 (full).")
    label = torch.tensor([float(weights.get(emotion, 0.0)) for emotion in EMOTIONS])
    if not torch.isfinite(label).all() or (label < 0).any():
        raise ValueError(f"{name} has a weight that is negative or no number; weights are shares, 0 or more.")
    if label.sum() == 0:
        raise ValueError(f"the weights of {name} sum to 0; give at least one emotion a weight above 0.")
    return label / label.sum() * intensity


def exemplar_means(expression: Tensor, frames: int) -> Tensor:
    """[...,N,63] -> mean over a window of K frames around every frame, cut at the ends.

    Long enough a window averages the lips' speech away and keeps the mood (section 3.2, "clean expression feature").
    """
    *lead, count, width = expression.shape
    flat = expression.reshape(-1, count, width).transpose(1, 2)
    before, after = frames // 2, (frames - 1) // 2

    def summed(track: Tensor) -> Tensor:
        return F.avg_pool1d(F.pad(track, (before, after)), frames, 1) * frames

    means = summed(flat) / summed(torch.ones_like(flat[:1, :1]))
    return means.transpose(1, 2).reshape(*lead, count, width)
