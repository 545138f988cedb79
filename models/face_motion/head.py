"""What the head does, the face going on: hold, scale, follow another motion, smooth, turn."""

from dataclasses import replace

import torch

from .container import FaceMotion
from .intensity import rest_frame, scale_intensity
from .operations import HEAD, pinned, retime, smooth
from .rotation import pose_degrees, rotation_matrix

NODE = "Head Motion"
MODES = ("scale", "hold", "follow", "add")


def head_motion(
    motion: FaceMotion, mode: str, amount: float = 1.0, smoothing: float = 0.0,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0), leader: FaceMotion | None = None,
) -> FaceMotion:  # fmt: skip
    """A motion with another head: MODES, factor, seconds, degrees; ValueError if the leader is missing or not wanted."""
    if mode in ("follow", "add"):
        if leader is None:
            raise ValueError(f"{NODE}: mode is {mode}, but leader is not connected; connect the motion whose head is wanted.")
        led = scale_intensity(leader, head=amount)
        motion = follow_head(motion, led) if mode == "follow" else add_head(motion, led)
    else:
        motion = scale_intensity(motion, head=0.0 if mode == "hold" else amount)
    return turn_head(smooth(motion, smoothing), *turn)


def hold_head(motion: FaceMotion) -> FaceMotion:
    """The head as in the photo, the face as it was."""
    return scale_intensity(motion, head=0.0)


def head_as_change(motion: FaceMotion) -> FaceMotion:
    """The same motion with its head given as a change from its rest."""
    if not motion.absolute & set(HEAD):
        return motion
    motion, rest = pinned(motion), rest_frame(motion)
    return replace(
        motion, pose=pose_degrees(rotation_matrix(motion.pose) @ rotation_matrix(rest.pose).T),
        translation=motion.translation - rest.translation, scale=motion.scale / rest.scale,
        absolute=motion.absolute - set(HEAD),
    )  # fmt: skip


def follow_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The face of `motion` with the head of `leader`, as changes, brought to the same rate and length."""
    led = head_as_change(retime(leader, motion.fps, len(motion)))
    return replace(head_as_change(motion), pose=led.pose, translation=led.translation, scale=led.scale)


def add_head(motion: FaceMotion, leader: FaceMotion) -> FaceMotion:
    """The head of `leader`, as a change, on top of the head of `motion`, brought to the same rate and length."""
    led = head_as_change(retime(leader, motion.fps, len(motion)))
    return replace(
        pinned(motion), pose=pose_degrees(rotation_matrix(led.pose) @ rotation_matrix(motion.pose)),
        translation=motion.translation + led.translation, scale=motion.scale * led.scale,
    )  # fmt: skip


def turn_head(motion: FaceMotion, pitch: float, yaw: float, roll: float) -> FaceMotion:
    """The whole motion turned by constant angles in degrees; what it is relative to stays, so the turn is seen."""
    if not (pitch or yaw or roll):
        return motion
    extra = rotation_matrix(torch.tensor([pitch, yaw, roll], dtype=torch.float32))
    return replace(pinned(motion), pose=pose_degrees(rotation_matrix(motion.pose) @ extra))
