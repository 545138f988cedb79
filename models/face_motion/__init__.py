"""What a face does over time: the container, the rig between its two views, and how it meets a portrait."""

from .container import CONTROL_GROUPS, GROUPS, KEYPOINTS, FaceFrame, FaceMotion
from .resolve import ResolvedMotion, resolve
from .rig import CONTROLS, controls_to_expression, expression_to_controls
from .rotation import pose_degrees, rotation_matrix

__all__ = [
    "CONTROLS", "CONTROL_GROUPS", "GROUPS", "KEYPOINTS", "FaceFrame", "FaceMotion", "ResolvedMotion",
    "controls_to_expression", "expression_to_controls", "pose_degrees", "resolve", "rotation_matrix",
]  # fmt: skip
