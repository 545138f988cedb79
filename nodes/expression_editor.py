"""The expression editor: sliders for one portrait, an expression copied from a photo, keyframes over time.

In the page it draws while a slider moves (web/expression_editor.js, editor_route.py); without the page it is a plain
node.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import torch
from comfy_api.latest import io, ui
from comfy_execution.utils import get_executing_context
from torch import Tensor

from ..models.engine import frame_rate
from ..models.face.landmarks import select_face
from ..models.face_motion import FaceMotion
from ..models.face_motion.mix import add
from ..models.liveportrait.expression_copy import copied_values, with_copied
from ..models.liveportrait.expression_keyframes import Keyframe, frame_times, parse_keyframes, values_at
from ..models.liveportrait.expression_sliders import (
    LARGEST_TURN,
    LEAST_RATE,
    SLIDERS,
    TURNS,
    expression_motion,
    repeated,
)
from . import sockets
from .editor_portraits import KEPT, KeptPortrait
from .gates import Node
from .portrait import PreparedPortrait
from .rendering import drawn_frames

FINE, COARSE = 0.1, 0.5  # steps of the sliders


class ExpressionEditor(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        sliders = [
            io.Float.Input(
                name, default=0.0, min=slider.low, max=slider.high, step=FINE if slider.high < 2 else COARSE,
                tooltip=f"{sentence(slider.meaning)}; LivePortrait's units, 0 as in the picture.",
            )
            for name, slider in SLIDERS.items()
        ]  # fmt: skip
        turns = [
            io.Float.Input(
                name, default=0.0, min=-LARGEST_TURN, max=LARGEST_TURN, step=COARSE,
                tooltip=f"{sentence(meaning)}, in degrees.",
            )
            for name, meaning in TURNS.items()
        ]  # fmt: skip
        return io.Schema(
            node_id="TalkingPortraitExpressionEditor",
            display_name="Expression Editor",
            category="talking portrait/motion",
            description="Changes the expression of one portrait by sliders while you watch its face; copies an "
            "expression from a photo; goes from expression to expression by keyframes. Works with every renderer.",
            search_aliases=[
                "expression", "smile", "wink", "blink", "gaze", "eyes", "facial expression", "keyframes",
                "advanced liveportrait", "pose a face", "copy expression",
            ],  # fmt: skip
            is_output_node=True,
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                *sliders,
                *turns,
                sockets.FaceMotion.Input(
                    "face_motion", optional=True, tooltip="A motion to lay the change on; empty: one frame, or "
                    "the keyframes alone."
                ),
                sockets.FaceLandmarks.Input(
                    "copy_from", optional=True,
                    tooltip="Copies the expression of another photo: connect Detect Face Landmarks (MediaPipe) "
                    "of it. What landmarks show is copied, as a change from this portrait's own face: opening, "
                    "width and corners of the mouth, each eye's lid, brows, gaze to the sides, turn of the head. Not: "
                    "teeth, cheeks, wrinkles, gaze up or down. Of several faces the largest is taken.",
                ),
                io.Float.Input(
                    "copy_amount", default=1.0, min=0.0, max=1.5, step=0.05, optional=True,
                    tooltip="How much of copy_from lies under the sliders: 0 nothing, 1 as in the photo.",
                ),
                io.String.Input(
                    "keyframes", default="", multiline=True, optional=True,
                    tooltip="Expressions over time, a line each: seconds: slider=value, ... such as 1.5: smile=0.8, "
                    "yaw=5. Sliders that a line does not name are 0 there. The sliders above then make image alone.",
                ),
                io.Float.Input(
                    "fps", default=0.0, min=0.0, max=120.0, step=1.0, optional=True,
                    tooltip="Frames per second of the motion that is made; 0: as face_motion, 25 without one.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The portrait with the sliders' expression."),
                sockets.FaceMotion.Output(
                    tooltip="The sliders' change as one frame, or the keyframes' change over time; on face_motion, "
                    "if there is one."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, portrait: PreparedPortrait, pitch, yaw, roll, face_motion=None, copy_from=None, copy_amount=1.0,
        keyframes="", fps=0.0, **sliders,
    ) -> io.NodeOutput:  # fmt: skip
        rate = chosen_rate(fps, face_motion)
        times = parse_keyframes(keyframes)
        copied = (
            {} if copy_from is None else copied_values(portrait.portrait.face.points, copied_face(copy_from))
        )
        values = {**sliders, "pitch": pitch, "yaw": yaw, "roll": roll}
        change = changed(one_frame(values), copied, copy_amount, rate)
        image = next(drawn_frames(portrait, change))
        motion = edited(change, times, copied, copy_amount, face_motion)
        kept = KEPT.keep(node_id(), portrait, image[0], copied)
        shown = ui.PreviewImage(image, cls=cls).as_dict() | {"expression_editor": [told(kept)]}
        return io.NodeOutput(image, motion, ui=shown)


def edited(
    change: FaceMotion, keyframes: tuple[Keyframe, ...], copied: Mapping[str, float], amount: float,
    face_motion: FaceMotion | None,
) -> FaceMotion:  # fmt: skip
    """The node's motion: `change` (one frame), or the keyframes; on `face_motion`, as long as that, if there is one."""
    frames = None if face_motion is None else len(face_motion)
    if keyframes and frames != 0:
        tracks = values_at(keyframes, frame_times(keyframes, change.fps, frames))
        change = changed(tracks, copied, amount, change.fps)
    elif frames is not None:
        change = repeated(change, frames, change.fps)
    return change if face_motion is None else add(face_motion, change)


def changed(
    tracks: Mapping[str, Tensor], copied: Mapping[str, float], amount: float, rate: Fraction
) -> FaceMotion:
    """The change that tracks [N] of sliders and turns make, on top of a copied expression."""
    return expression_motion(with_copied(tracks, copied, amount), rate)


def one_frame(values: Mapping[str, float]) -> dict[str, Tensor]:
    """Values as tracks of one frame."""
    return {name: torch.tensor([value], dtype=torch.float32) for name, value in values.items()}


def chosen_rate(fps: float, face_motion: FaceMotion | None) -> Fraction:
    """The rate of the motion that is made; ValueError if face_motion has another one than fps says."""
    if fps == 0:
        return LEAST_RATE if face_motion is None else face_motion.fps
    rate = frame_rate(fps)
    if face_motion is not None and face_motion.fps != rate:
        raise ValueError(
            f"fps is {fps:g}, but face_motion has {float(face_motion.fps):g} frames per second. Set fps to 0, or "
            "make the motion at this rate."
        )
    return rate


def copied_face(landmarks: Mapping[str, Any]) -> Any:
    """The largest face [478,3] of the photo to copy from; ValueError that names copy_from."""
    try:
        return select_face(landmarks)
    except ValueError as error:
        raise ValueError(str(error).replace("face_landmarks", "copy_from")) from None


def node_id() -> str:
    """Of the node that runs; empty where none does."""
    context = get_executing_context()
    return "" if context is None else str(context.node_id)


def told(kept: KeptPortrait) -> dict[str, Any]:
    """What a run tells the page."""
    return {"key": kept.key, "at_once": bool(kept.close_ups), "copied": dict(kept.copied)}


def sentence(words: str) -> str:
    """Words with a capital first letter."""
    return f"{words[0].upper()}{words[1:]}"


NODES = [ExpressionEditor]
