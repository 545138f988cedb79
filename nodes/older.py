"""Loaders as workflows before version 0.2 hold them: the options of all engines in one list, which has no names;
one speech encoder.

They stand in no menu; their new forms are in loaders.py and speech.py."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..models.contracts import ENGINES, Entry
from ..models.face_motion.emotion_names import EMOTIONS
from ..models.options import Option, Whole
from . import sockets
from .catalogue.emotion_menu import check_emotion
from .catalogue.encoders import WAV2VEC2, load_speech_encoder
from .catalogue.engines import OWN, load_engine
from .catalogue.file_menu import file_menu
from .catalogue.files_node import NodeWithFiles
from .catalogue.inputs import about, input_of
from .catalogue.menu import files_fingerprint
from .catalogue.node_names import LOAD_ENCODER, LOAD_ENGINE
from .gates import Node

ORDER = (  # of the values in saved workflows, which hold no names
    "steps", "guidance", "head_smoothing", "official_timing", "emotion", "emotion_intensity", "emotion_mix",
    "takin_file",
    "speech_encoder", "audio_guidance", "emotion_guidance", "exemplar", "head",
)  # fmt: skip
STEPS = Whole(
    id="steps",
    default=0,
    low=0,
    high=1000,
    tooltip="Diffusion steps; 0 takes what suits the engine, the built-in one has none.",
)


def readers(option: str) -> list[Entry]:
    """The engines that read an option."""
    return [entry for entry in OWN if option in (known.id for known in entry.options)]


def shown_as(name: str) -> Option:
    """An option as this node asks for it, of whatever engine."""
    return (
        STEPS
        if name == STEPS.id
        else next(option for option in readers(name)[0].options if option.id == name)
    )


class LoadMotionEngineOfOneList(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadMotionEngine",
            display_name=f"{LOAD_ENGINE} (older)",
            is_deprecated=True,
            category="talking portrait/audio",
            description="Chooses what turns speech into face motion, in workflows that were saved with it. "
            "Load Motion Engine shows what the chosen engine reads, and no more.",
            inputs=[
                io.Combo.Input(
                    "engine", options=[entry.id for entry in OWN],
                    tooltip=about({entry.id: entry for entry in OWN})
                ),
                *(input_of(shown_as(name)) for name in ORDER),
            ],
            outputs=[sockets.MotionEngine.Output(tooltip="For Generate Face Motion.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, emotion=None) -> bool | str:
        return check_emotion(emotion, list(EMOTIONS))

    @classmethod
    def execute(cls, engine: str, **options) -> io.NodeOutput:
        return io.NodeOutput(load_engine(engine, read_options(engine, options)))

    @classmethod
    def fingerprint_inputs(cls, engine: str, **options) -> list:
        return files_fingerprint(ENGINES[engine], options)


def read_options(engine: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are set; ValueError that names every one that this engine would ignore, who reads it,
    and its default."""
    chosen = {name: value for name, value in given.items() if value != shown_as(name).default}
    said = []
    for name in (name for name in chosen if engine not in [entry.id for entry in readers(name)]):
        default, value = shown_as(name).default, chosen[name]
        back = "Take it off" if default is None else f"Set it back to {in_words(default)}"
        what = "is connected" if default is None else f"is {in_words(value)}"
        others = " or ".join(entry.id for entry in readers(name))
        said.append(f"{name} {what}, but {engine} does not read it. {back}, or choose {others}.")
    if said:
        raise ValueError(" ".join(said))
    return chosen


def in_words(value: object) -> str:
    """An option's value as the page shows it."""
    return (
        {True: "on", False: "off", "": "empty"}.get(value, str(value))
        if isinstance(value, (bool, str))
        else f"{value:g}"
    )


class LoadWav2Vec2(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadSpeechEncoder",
            display_name=f"{LOAD_ENCODER} (float32) (older)",
            is_deprecated=True,
            category="talking portrait/fantasytalking",
            description="Loads wav2vec2-base-960h, in workflows that were saved with it. Load Speech Encoder "
            "loads every encoder.",
            inputs=[file_menu("file", "fantasytalking.wav2vec2", tooltip="wav2vec2-base-960h.")],
            outputs=[io.AudioEncoder.Output(tooltip="For FantasyTalking Audio.")],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(load_speech_encoder(WAV2VEC2, {"file": file}))


NODES = [LoadMotionEngineOfOneList, LoadWav2Vec2]
