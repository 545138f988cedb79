"""Emotions laid on the motion of any engine, without touching what the speech needs of the lips.

An emotion is a fixed offset in the rig's space (rig.py), so it reaches both views of a motion. What it adds
is linear in its intensity, hence smooth and monotone. Each part then gets a weight per frame that depends on
the motion alone:

- room: a control that is already far out is pushed less, and a blink shuts whatever the emotion does to the lids;
- parting the lips stops where speech shuts them, pressing them stops where speech opens them;
- the shape of the lips (corners, width, rounding) is halved while the voice speaks, as the table's source asks;
- where corners that rise or fall would still flatten a small opening, or part shut lips, the jaw makes up for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .container import KEYPOINTS, FaceMotion
from .curve import Curve
from .lip_protection import LOWER_LIP, UPPER_LIP, LipState, lip_gap, lip_state
from .mix import add
from .rest import rest_frame
from .rig import BROW, CONTROLS, FURROW_NAME, SIGNED, Y, rig_matrix

NEUTRAL = "neutral"
ROWS = (*CONTROLS, FURROW_NAME)
PARTING = tuple(ROWS.index(name) for name in ("jawOpen", "mouthClose", "teethShow"))
SHAPE = tuple(ROWS.index(name) for name in ("mouthPucker", "mouthStretch", "mouthRollLower", "mouthSmile"))
LIDS = tuple(ROWS.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight"))
JAW = ROWS.index("jawOpen")
SIGNED_LIMIT = 1.5  # of smile, brow and gaze, at which nothing more is added
SHAPE_KEPT = 0.5  # of the lips' shape while the voice speaks
GAP_KEPT = 0.7  # of an opening that speech makes


@dataclass(frozen=True)
class Emotion:
    """An offset at intensity 1: rig [13] (ROWS), extra [21,3] keypoint units beyond the rig, pose [3] degrees."""

    name: str
    rig: Tensor
    extra: Tensor
    pose: Tensor
    licence: str = ""

    @classmethod
    def from_controls(
        cls, name: str, controls: Mapping[str, float], pose: tuple[float, ...] = (0, 0, 0), licence: str = ""
    ) -> "Emotion":
        """From named parts of the rig (ROWS) and pitch, yaw, roll in degrees."""
        rig = torch.tensor([float(controls.get(row, 0.0)) for row in ROWS])
        return cls(name, rig, torch.zeros(21, 3), torch.tensor(pose, dtype=torch.float32), licence)

    @classmethod
    def from_expression(cls, name: str, expression: Tensor, pose: Tensor, licence: str = "") -> "Emotion":
        """From a difference of expressions [21,3] and of poses [3]: the rig's share by least squares, the
        rest as it is."""
        matrix = rig_matrix()
        rig = expression.reshape(63) @ torch.linalg.pinv(matrix.double()).float()
        return cls(name, rig, expression - (rig @ matrix).reshape(21, 3), pose, licence)


def with_emotion(
    motion: FaceMotion, weights: Mapping[str, Curve], emotions: Mapping[str, Emotion],
    intensity: Curve | None = None,
    lip_protection: float = 1.0, head: float = 1.0,
) -> FaceMotion:  # fmt: skip
    """The motion with emotions: `weights` are shares (made to sum to 1), `intensity` 0..1 says how much of them.

    lip_protection 0..1: how far the speech's lips are kept; head: factor on the emotions' own tilt of the
    head. Frames where the emotion is neutral or the intensity 0 stay exactly as they were. ValueError for
    unknown names and for wrong numbers.
    """
    for name, value in (("lip_protection", lip_protection), ("head", head)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name} is {value:g}; it must be within 0 and 1.")
    seconds = (torch.arange(len(motion), dtype=torch.float64) + 0.5) / float(motion.fps)
    amount = (intensity or Curve.constant(1)).at(seconds)
    if len(amount) and (amount.min() < 0 or amount.max() > 1):
        raise ValueError(f"intensity reaches {float(amount.max()):g}; it must be within 0 and 1.")
    shares = simplex(weights, emotions, seconds) * amount[:, None]
    if not shares[:, [name != NEUTRAL for name in weights]].any():
        return replace(motion)
    chosen = [emotions[name] for name in weights]
    rig, extra, pose = (
        mixed(shares, [getattr(emotion, part) for emotion in chosen]) for part in ("rig", "extra", "pose")
    )
    rig = rig * room(motion, rig)
    change = spoken_around(rig, extra, lip_state(motion), lip_protection)
    return on_top(motion, change, head * pose, {name: curve.points for name, curve in weights.items()})


def simplex(weights: Mapping[str, Curve], emotions: Mapping[str, Emotion], seconds: Tensor) -> Tensor:
    """Shares [N,K] that sum to 1 in every frame; ValueError for unknown names, negative weights, or a sum of 0."""
    if unknown := [name for name in weights if name not in emotions]:
        raise ValueError(
            f"there is no emotion {', '.join(map(repr, unknown))}; there are {', '.join(emotions)}."
        )
    if not weights:
        raise ValueError(f"no emotion is given; name one of {', '.join(emotions)}.")
    values = torch.stack([curve.at(seconds) for curve in weights.values()], 1)
    if (values < 0).any():
        raise ValueError("a weight is below 0; weights are shares, 0 or above.")
    total = values.sum(1, keepdim=True)
    if (total <= 0).any():
        when = float(seconds[(total[:, 0] <= 0).int().argmax()])
        raise ValueError(
            f"the weights sum to 0 at {when:.2f} s, so no emotion is chosen there; add {NEUTRAL} for a calm face."
        )
    return values / total


def mixed(shares: Tensor, offsets: list[Tensor]) -> Tensor:
    """Shares [N,K] of K offsets [...] -> [N,...]."""
    return torch.einsum("nk,k...->n...", shares, torch.stack(offsets))


def room(motion: FaceMotion, rig: Tensor) -> Tensor:
    """[N,13] in 0..1: how far each offset can still go from where the control is, as a change from the
    motion's rest."""
    own = motion.controls - rest_frame(motion).controls
    own = torch.cat([own, -own[:, BROW : BROW + 1]], 1)
    inside = own.clamp(0, 1)
    left = torch.where(rig < 0, inside, 1 - inside)
    signed = [ROWS.index(name) for name in (*SIGNED, FURROW_NAME)]
    left[:, signed] = (1 - rig[:, signed].sign() * own[:, signed] / SIGNED_LIMIT).clamp(0, 1)
    left[:, LIDS] = 1 - inside[:, LIDS]  # below 0 a lid is wide open, but in a blink it must still shut
    return left


def spoken_around(rig: Tensor, extra: Tensor, lips: LipState, protection: float) -> Tensor:
    """Change of expression [N,21,3] of offsets rig [N,13] and extra [N,21,3], its lips weighted for speech."""
    rows = rig_matrix()
    effect = lip_gap(rows.reshape(-1, 21, 3))
    shape = 1 - (1 - SHAPE_KEPT) * protection * lips.speech
    rig, extra = rig.clone(), extra.clone()
    parting = torch.where(
        rig * effect > 0, (1 - protection * lips.shut)[:, None], (1 - protection * lips.open)[:, None]
    )
    rig[:, PARTING] *= parting[:, PARTING]
    rig[:, SHAPE] *= shape[:, None]
    gap = lip_gap(extra) * torch.where(
        lip_gap(extra) > 0, 1 - protection * lips.shut, 1 - protection * lips.open
    )
    extra[:, list(KEYPOINTS["lips"])] *= shape[:, None, None]
    spread = (gap - lip_gap(extra)) / 2
    extra[:, LOWER_LIP, Y] += spread
    extra[:, UPPER_LIP, Y] -= spread
    change = rig @ effect + gap
    lost = (-change - (1 - GAP_KEPT) * lips.gap).clamp(min=0) * lips.open
    gained = change.clamp(min=0) * lips.shut
    rig[:, JAW] += protection * (lost - gained) / effect[JAW]
    return (rig @ rows).reshape(-1, 21, 3) + extra


def on_top(motion: FaceMotion, expression: Tensor, pose: Tensor, record: Mapping[str, object]) -> FaceMotion:
    """The motion with changes [N,21,3] and turns [N,3] (degrees) added; frames without a turn keep their pose
    to the bit."""
    count = len(motion)
    change = FaceMotion.from_expression(
        expression,
        pose,
        torch.zeros(count, 3),
        torch.ones(count),
        motion.fps,
        source={},
        absolute=frozenset(),
    )
    changed = add(motion, change)
    turned = pose.any(1, keepdim=True)
    return replace(
        changed,
        pose=torch.where(turned, changed.pose, motion.pose),
        source={**motion.source, "emotion": dict(record)},
    )
