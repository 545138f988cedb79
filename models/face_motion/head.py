"""What the head does while the face goes on: its own motion, another one's, none; calmer; turned aside."""

from dataclasses import replace

import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from .container import FaceMotion
from .intensity import scale_intensity
from .mix import credited
from .rest import HEAD, as_changes, pinned
from .rotation import pose_degrees, rotation_matrix
from .time import retime

HEAD_MODES = ("scale", "hold", "follow", "add")
LED = ("follow", "add")


def head_motion(
    motion: FaceMotion, mode: str, amount: float = 1.0, smoothing: float = 0.0,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0), leader: FaceMotion | None = None,
) -> FaceMotion:  # fmt: skip
    """A motion with another head: HEAD_MODES, factor, seconds, degrees; ValueError for what a mode lacks or ignores."""
    if mode in LED and leader is None:
        raise ValueError(
            f"mode is {mode}, but leader is not connected. Connect the motion whose head is wanted."
        )
    if mode not in LED and leader is not None:
        raise ValueError(
            f"leader is connected, but mode {mode} does not look at it. Choose follow or add, or take it off."
        )
    if mode == "hold" and amount != 1:
        raise ValueError(f"amount is {amount:g}, but mode hold has no amount. Set it to 1, or choose scale.")
    if leader is not None:
        led = scale_intensity(leader, head=amount)
        motion = follow_head(motion, led) if mode == "follow" else add_head(motion, led)
    else:
        motion = scale_intensity(motion, head=0.0 if mode == "hold" else amount)
    return turn_head(smooth_head(motion, smoothing), *turn)


def follow_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The face of `motion` with the head of `leader`, as changes, brought to the same rate and length."""
    led = as_changes(retime(leader, motion.fps, len(motion)), HEAD)
    return replace(
        as_changes(motion, HEAD),
        pose=led.pose,
        translation=led.translation,
        scale=led.scale,
        source=credited(motion, leader),
    )


def add_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The head of `leader`, as a change, on top of the head of `motion`, brought to the same rate and length."""
    led = as_changes(retime(leader, motion.fps, len(motion)), HEAD)
    return replace(
        pinned(motion), pose=pose_degrees(rotation_matrix(led.pose) @ rotation_matrix(motion.pose)),
        translation=motion.translation + led.translation, scale=motion.scale * led.scale,
        source=credited(motion, leader),
    )  # fmt: skip


def smooth_head(motion: FaceMotion, seconds: float) -> FaceMotion:
    """Gaussian smoothing of the head; `seconds` is the filter's standard deviation, 0 changes nothing."""
    sigma = seconds * float(motion.fps)
    if sigma <= 0 or len(motion) < 2:
        return replace(motion)

    def filtered(track: Tensor) -> Tensor:
        return torch.from_numpy(
            gaussian_filter1d(track.double().numpy(), sigma, axis=0, mode="nearest")
        ).float()

    return replace(pinned(motion), **{name: filtered(getattr(motion, name)) for name in HEAD})


def turn_head(motion: FaceMotion, pitch: float, yaw: float, roll: float) -> FaceMotion:
    """The whole motion turned by constant angles in degrees; what it is relative to stays, so the turn is seen."""
    if not (pitch or yaw or roll):
        return replace(motion)
    extra = rotation_matrix(torch.tensor([pitch, yaw, roll], dtype=torch.float32))
    return replace(pinned(motion), pose=pose_degrees(rotation_matrix(motion.pose) @ extra))
