"""Change, mix, keep and look at face motion."""

from typing import Any

from comfy_api.latest import io, ui

from ..models.face_motion import FaceMotion
from ..models.face_motion.eyes import scale_blinks
from ..models.face_motion.head import HEAD_MODES, head_motion
from ..models.face_motion.intensity import scale_intensity
from ..models.face_motion.mix import blend
from ..models.face_motion.plot import plot_motion
from ..models.face_motion.storage import FORMATS, save_any
from ..models.face_motion.time import retime
from . import sockets
from .audio import factor, single_clip
from .gates import Node
from .paths import new_file

CATEGORY = "talking portrait/motion"
LENGTHS = ("must be equal", "fit motion_b")
REGIONS = {
    "lips": ("lips",),
    "eyes": ("eyes",),
    "rest of face": ("rest",),
    "head": ("pose", "translation", "scale"),
}


def angle(name: str, tooltip: str) -> io.Float.Input:
    """An angle in degrees, 0 by default."""
    return io.Float.Input(name, default=0.0, min=-30.0, max=30.0, step=0.5, tooltip=tooltip, advanced=True)


class FaceMotionIntensity(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFaceMotionIntensity",
            display_name="Face Motion Intensity",
            category=CATEGORY,
            description="Makes the expression and the head move more or less, each on its own.",
            search_aliases=[
                "motion scale",
                "expression strength",
                "amplify",
                "exaggerate",
                "blink",
                "mouth open",
            ],
            inputs=[
                sockets.FaceMotion.Input("face_motion", tooltip="Any face motion."),
                factor(
                    "expression", "Factor on lips, eyes and brows: 0 still, 1 as generated, 2 twice as far."
                ),
                factor(
                    "head",
                    "Factor on turning, moving and scaling of the head: 0 still, 1 as generated, 2 twice as far.",
                ),
                factor(
                    "blink", "Further factor on how far blinks close: 0 keeps the eyes open.", advanced=True
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="The motion with its new intensity.")],
        )

    @classmethod
    def execute(cls, face_motion: FaceMotion, expression: float, head: float, blink: float) -> io.NodeOutput:
        return io.NodeOutput(scale_blinks(scale_intensity(face_motion, expression, head), blink))


class HeadMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitHeadMotion",
            display_name="Head Motion",
            category=CATEGORY,
            description="Holds the head still (the face goes on), scales its motion, or lets it follow another motion.",
            search_aliases=["head pose", "hold head", "freeze head", "head turn", "nod", "stabilize"],
            inputs=[
                sockets.FaceMotion.Input("face_motion", tooltip="The motion whose head is changed."),
                io.Combo.Input(
                    "mode",
                    options=list(HEAD_MODES),
                    tooltip="scale: its own head times amount; hold: as in the photo (amount stays 1); "
                    "follow: the head of leader instead; add: the head of leader on top of its own.",
                ),
                factor(
                    "amount",
                    "Factor on its own head (scale) or the leader's (follow, add): 0 still, 1 unchanged.",
                ),
                io.Float.Input(
                    "smoothing",
                    default=0.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Smooths the head's motion over this time, in seconds; 0 leaves it as it is.",
                ),
                angle("pitch", "Turns the whole motion, in degrees; positive looks down."),
                angle("yaw", "Turns the whole motion, in degrees; positive turns to the picture's left."),
                angle("roll", "Tilts the whole motion, in degrees; positive tilts clockwise."),
                sockets.FaceMotion.Input(
                    "leader", optional=True, tooltip="follow and add: whose head; brought to the same length."
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="The face as before, with its new head motion.")],
        )

    @classmethod
    def execute(
        cls, face_motion: FaceMotion, mode: str, amount: float, smoothing: float, pitch: float, yaw: float,
        roll: float,
        leader: FaceMotion | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        return io.NodeOutput(head_motion(face_motion, mode, amount, smoothing, (pitch, yaw, roll), leader))


class BlendFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitBlendFaceMotion",
            display_name="Blend Face Motion",
            category=CATEGORY,
            description="Takes regions of one motion over into another: lips from the voice, the rest from a "
            "driving video. Any two motions fit, whoever made them.",
            search_aliases=["mix motion", "combine motion", "merge", "lips from audio"],
            inputs=[
                sockets.FaceMotion.Input(
                    "motion_a",
                    tooltip="The motion that stays where nothing is blended, such as a driving video's.",
                ),
                sockets.FaceMotion.Input("motion_b", tooltip="The motion to blend in, such as a voice's."),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="0 keeps motion_a; 1 takes the regions as motion_b alone would show them; "
                    "between lies between.",
                ),
                *(
                    io.Boolean.Input(
                        name.replace(" ", "_"), default=name == "lips", tooltip=f"Blend the {name}."
                    )
                    for name in REGIONS
                ),
                io.Combo.Input(
                    "lengths",
                    options=list(LENGTHS),
                    optional=True,
                    tooltip="If the two differ in frame rate or length: stop, or bring motion_b to "
                    "motion_a's (cut, or its last frame held).",
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="The blended motion.")],
        )

    @classmethod
    def execute(
        cls,
        motion_a: FaceMotion,
        motion_b: FaceMotion,
        weight: float,
        lengths: str = LENGTHS[0],
        **regions: bool,
    ) -> io.NodeOutput:
        if lengths == LENGTHS[1]:
            motion_b = retime(motion_b, motion_a.fps, len(motion_a))
        elif (motion_a.fps, len(motion_a)) != (motion_b.fps, len(motion_b)):
            raise ValueError(
                f"motion_a has {in_words(motion_a)}, motion_b {in_words(motion_b)}. Choose lengths: "
                f"{LENGTHS[1]}, or make both equal."
            )
        groups = [
            group for name, parts in REGIONS.items() if regions[name.replace(" ", "_")] for group in parts
        ]
        return io.NodeOutput(blend(motion_a, motion_b, weight, groups))


def in_words(motion: FaceMotion) -> str:
    """How long a motion is, and how fast."""
    return f"{len(motion)} frames at {float(motion.fps):g} per second"


class SaveFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitSaveFaceMotion",
            display_name="Save Face Motion",
            category=CATEGORY,
            description="Keeps a motion as a file in ComfyUI's output folder, exactly, or as a LivePortrait "
            "motion template.",
            search_aliases=["export motion", "motion template", "pkl", "keep motion"],
            is_output_node=True,
            inputs=[
                sockets.FaceMotion.Input("face_motion", tooltip="The motion to keep."),
                io.String.Input(
                    "filename_prefix",
                    default="motion/face_motion",
                    tooltip="Name of the file in ComfyUI's output folder, with / or \\ for folders in it; a "
                    "number is added.",
                ),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="safetensors",
                    optional=True,
                    advanced=True,
                    tooltip="safetensors: comes back exactly with Load Face Motion; LivePortrait template: a "
                    ".pkl that LivePortrait reads, where changes are written as changes from a neutral face.",
                ),
            ],
            outputs=[io.String.Output(display_name="file", tooltip="Path of the file.")],
        )

    @classmethod
    def execute(
        cls, face_motion: FaceMotion, filename_prefix: str, format: str = "safetensors"
    ) -> io.NodeOutput:
        path = new_file(filename_prefix, FORMATS[format])
        save_any(face_motion, path)
        return io.NodeOutput(str(path))


class PlotFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitPlotFaceMotion",
            display_name="Plot Face Motion",
            category=CATEGORY,
            description="Draws the curves of a motion over time: mouth, eyes and brows, head.",
            search_aliases=["graph", "curves", "chart", "visualize motion"],
            is_output_node=True,
            inputs=[
                sockets.FaceMotion.Input("face_motion", tooltip="The motion to draw."),
                io.Audio.Input("audio", optional=True, tooltip="Its sound, drawn behind the mouth's curves."),
            ],
            outputs=[io.Image.Output(tooltip="Picture of 1280x720 pixels.")],
        )

    @classmethod
    def execute(cls, face_motion: FaceMotion, audio: dict[str, Any] | None = None) -> io.NodeOutput:
        waveform, rate = (None, 0) if audio is None else single_clip(audio)
        picture = plot_motion(face_motion, waveform, rate)[None]
        return io.NodeOutput(picture, ui=ui.PreviewImage(picture, cls=cls))


NODES = [FaceMotionIntensity, HeadMotion, BlendFaceMotion, SaveFaceMotion, PlotFaceMotion]
