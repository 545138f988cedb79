"""Motion about its rest made larger or smaller."""

from dataclasses import replace

import torch

from .container import FaceMotion
from .rest import pinned, rest_frame, turned_from
from .rotation import pose_degrees, rotation_matrix, slerp


def scale_intensity(motion: FaceMotion, expression: float = 1.0, head: float = 1.0) -> FaceMotion:
    """0 is still, 1 exactly unchanged; expression and head apart."""
    motion, rest = pinned(motion), rest_frame(motion)
    if expression != 1.0:
        motion = replace(
            motion,
            expression=rest.expression + expression * (motion.expression - rest.expression),
            controls=rest.controls + expression * (motion.controls - rest.controls),
        )
    if head != 1.0:
        turn = turned_from(motion, rest)
        scaled = slerp(torch.zeros_like(turn), turn, torch.full((len(motion),), float(head)))
        motion = replace(
            motion,
            pose=pose_degrees(rotation_matrix(scaled) @ rotation_matrix(rest.pose)),
            translation=rest.translation + head * (motion.translation - rest.translation),
            scale=rest.scale * (motion.scale / rest.scale) ** head,
        )
    return replace(motion)
