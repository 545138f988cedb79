"""Emotion on the motion of any engine: presets, mixtures, a face to copy, all of it over time."""

from collections.abc import Iterable

from comfy_api.latest import io

from ..models.face_motion.curve import EXAMPLE, Curve
from ..models.face_motion.emotion import with_emotion
from ..models.face_motion.emotion_names import EMOTIONS, emotion_name
from ..models.face_motion.emotion_presets import load_presets, preset_names
from ..models.face_motion.exemplar import exemplar_emotion
from . import sockets
from .catalogue.emotion_menu import EmotionMenu, check_emotion, check_one_mood
from .gates import Node
from .motion import CATEGORY


class EmotionNode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitEmotion",
            display_name="Emotion",
            category=CATEGORY,
            description="Lays an emotion on a motion of any engine. Lips still close for p, b and m, and "
            "open for vowels.",
            search_aliases=["emotion", "happy", "sad", "angry", "surprise", "mood", "facial expression", "smile"],
            inputs=[
                sockets.FaceMotion.Input("face_motion", tooltip="From Generate Face Motion, or any motion node."),
                EmotionMenu("emotion", options=preset_names(), tooltip="The mood; neutral changes nothing."),
                io.Float.Input(
                    "intensity", default=0.7, min=0.0, max=1.0, step=0.05, tooltip="How strong it is: 0 "
                    "nothing, 1 in full."
                ),
                io.String.Input(
                    "intensity_curve", default="", optional=True,
                    tooltip=f"Factor on intensity over time, seconds:value from 0 to 1, such as {EXAMPLE}. "
                    "Empty: constant.",
                ),
                io.String.Input(
                    "mix", default="", multiline=True, optional=True,
                    tooltip="Several moods instead of one (emotion stays neutral), a line each: the name and "
                    "its weight, also over time, such as: happy 0:1, 3:0. The weights are shares.",
                ),
                sockets.FaceMotion.Input(
                    "exemplar", optional=True,
                    tooltip="Instead of a preset (emotion stays neutral), a mood to copy: a motion of one "
                    "person, calm in the first frame and in that mood in the others, from Face Motion from "
                    "Video of two pictures. That both show one person is not checked.",
                ),
                io.Float.Input(
                    "lip_protection", default=1.0, min=0.0, max=1.0, step=0.05, optional=True, advanced=True,
                    tooltip="How far the speech's lips are kept: 1 fully, 0 not at all (the mood may open shut lips).",
                ),
                io.Float.Input(
                    "head", default=1.0, min=0.0, max=1.0, step=0.05, optional=True, advanced=True,
                    tooltip="Factor on the mood's own tilt of the head, some degrees: 0 none, 1 in full.",
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="The motion in that mood.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, emotion=None) -> bool | str:
        return check_emotion(emotion, preset_names())

    @classmethod
    def execute(
        cls,
        face_motion,
        emotion,
        intensity,
        intensity_curve="",
        mix="",
        exemplar=None,
        lip_protection=1.0,
        head=1.0,
    ) -> io.NodeOutput:
        emotions = load_presets()
        weights = mixture(mix, emotions)
        check_one_mood(emotion, weights, exemplar)
        if exemplar is not None:
            emotions["exemplar"] = exemplar_emotion(exemplar)
            weights = {"exemplar": Curve.constant(1)}
        amount = Curve.constant(1)
        if intensity_curve.strip():
            amount = Curve.parse(intensity_curve, "intensity_curve", 1.0)
        amount = Curve(tuple((seconds, intensity * value) for seconds, value in amount.points))
        chosen = weights or {emotion: Curve.constant(1)}
        return io.NodeOutput(with_emotion(face_motion, chosen, emotions, amount, lip_protection, head))


def mixture(text: str, known: Iterable[str] = EMOTIONS) -> dict[str, Curve]:
    """Lines of `name weight` or `name seconds:value, ...`; ValueError that names the line that is neither."""
    weights: dict[str, Curve] = {}
    for line in filter(None, (part.strip() for part in text.replace(";", "\n").splitlines())):
        word, _, weight = line.partition(" ")
        name = emotion_name(word, known) or word
        if name in weights:
            raise ValueError(f"mix names {name} twice; write each mood in one line.")
        weights[name] = Curve.parse(weight.strip() or "1", f"mix, {name}")
    return weights


NODES = [EmotionNode]
