"""From speech to face motion: load a motion engine, generate a motion."""

from dataclasses import fields
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..models.engine import MotionEngine, MotionSettings, Speech, frame_rate
from ..models.published_weights import JOYVASA_KEYS, KDTALKER_KEYS
from ..models.takin.config import EMOTIONS
from .emotion_menu import EmotionMenu, check_emotion
from .engines import BUILT_IN, ENGINES, SHIPPED, EngineOptions, load_engine
from .gates import Node
from .progress import ticker
from .registry import chosen_fingerprint, weights_fingerprint

CATEGORY = "talking portrait/audio"
ENGINE_FILES = {"KDTalker": [*KDTALKER_KEYS, "liveportrait.motion"], "JoyVASA": JOYVASA_KEYS}
FaceMotionType = io.Custom("FACE_MOTION")


def optional(kind: type, name: str, tooltip: str, advanced: bool = True, **limits: Any) -> Any:
    """An input that a saved workflow may lack."""
    return kind(name, optional=True, advanced=advanced, tooltip=tooltip, **limits)


def takin_inputs() -> list:
    """What Takin-ADA alone reads."""
    return [
        optional(
            EmotionMenu, "emotion", "Takin-ADA: the mood of the whole face. The other engines have none.", False,
            options=list(EMOTIONS), default="neutral",
        ),
        optional(
            io.Float.Input, "emotion_intensity", "Takin-ADA: how strong the emotion is, from 0 (none) to 1 (full).", False,
            default=1.0, min=0.0, max=1.0, step=0.05,
        ),
        optional(
            io.String.Input, "emotion_mix", "Takin-ADA: several emotions with their weights instead of emotion (which stays "
            "neutral), such as: happy 2, surprised 1. Empty takes emotion.", default="",
        ),
        optional(
            io.Combo.Input, "takin_file", "Takin-ADA: the network; yours, from tools/takin_train_films.py, goes into "
            "models/takin/.", options=[SHIPPED, *folder_paths.get_filename_list("takin")], default=SHIPPED,
        ),
        optional(
            io.Combo.Input, "speech_encoder", "Takin-ADA: what hears the voice; it must be what takin_file was trained on. A "
            "HuBERT, such as facebook/hubert-large-ll60k (its model.safetensors, ~1260 MB, Apache-2.0), goes into "
            "models/audio_encoders/.",
            options=[BUILT_IN, *folder_paths.get_filename_list("audio_encoders")], default=BUILT_IN,
        ),
        optional(
            io.Float.Input, "audio_guidance", "Takin-ADA: how strongly the sound drives the face. 1 as learned, more exaggerates; "
            "0 leaves the sound out.", default=1.5, min=0.0, max=10.0, step=0.1,
        ),
        optional(
            io.Float.Input, "emotion_guidance", "Takin-ADA: how strongly the mood is followed. 1 as learned, more exaggerates; "
            "0 leaves the mood out.", default=1.0, min=0.0, max=10.0, step=0.1,
        ),
        FaceMotionType.Input(
            "exemplar", optional=True, tooltip="Takin-ADA: a mood to copy instead of emotion (which stays neutral): a motion of "
            "one person, calm in the first frame and in that mood in the others. That all show one person is not checked.",
        ),
        FaceMotionType.Input(
            "head", optional=True, tooltip="Takin-ADA: a motion whose head the face follows while it speaks, instead of a head "
            "motion of its own.",
        ),
    ]  # fmt: skip


class LoadMotionEngine(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadMotionEngine",
            display_name="Load Motion Engine",
            category=CATEGORY,
            description="Chooses what turns speech into face motion. The built-in engine needs no download.",
            search_aliases=["talking head", "lip sync", "speech to motion"],
            inputs=[
                io.Combo.Input(
                    "engine",
                    options=list(ENGINES),
                    tooltip="built-in: a small network for the mouth, rules for blinks, brows and head; works on any machine. "
                    "KDTalker: diffusion for the whole face and head; needs its files (non-commercial) and a portrait. "
                    "JoyVASA: diffusion for the whole face and head from the voice alone; needs its files. "
                    "Takin-ADA: diffusion with emotions; nothing to download, trained on synthetic speech and rule-made faces.",
                ),
                optional(
                    io.Int.Input, "steps", "Diffusion steps; 0 takes what suits the engine. KDTalker: 10, as good as the 50 of its "
                    "authors by their own measure; below 5 the lips suffer. JoyVASA: all that its file was trained with; fewer are "
                    "faster. Takin-ADA: 10. The built-in engine has none: leave 0.", default=0, min=0, max=1000,
                ),
                optional(
                    io.Float.Input, "guidance", "JoyVASA: how strongly the voice drives the face. 1 as learned, a third faster; 2 "
                    "to 2.8 as its authors use; more exaggerates.", default=2.0, min=1.0, max=5.0, step=0.1,
                ),
                optional(
                    io.Float.Input, "head_smoothing", "JoyVASA: share of the frame before that the head keeps. 0 none; 0.99 as its "
                    "authors do, which leaves the head nearly still.", default=0.0, min=0.0, max=0.99, step=0.01,
                ),
                optional(
                    io.Boolean.Input, "official_timing", "JoyVASA: on, the motion comes 80 ms after the sound, as from its "
                    "authors' program; off, in time.", default=False,
                ),
                *takin_inputs(),
            ],
            outputs=[io.Custom("MOTION_ENGINE").Output(tooltip="For Generate Face Motion.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, emotion=None) -> bool | str:
        return check_emotion(emotion, list(EMOTIONS))

    @classmethod
    def execute(cls, engine: str, **options) -> io.NodeOutput:
        return io.NodeOutput(load_engine(engine, EngineOptions(**options)))

    @classmethod
    def fingerprint_inputs(cls, engine: str, **options) -> list:
        chosen = [("takin", options.get("takin_file")), ("audio_encoders", options.get("speech_encoder"))]
        return weights_fingerprint(ENGINE_FILES.get(engine, [])) + chosen_fingerprint(chosen)


class GenerateFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitGenerateMotion",
            display_name="Generate Face Motion",
            category=CATEGORY,
            description="Makes the motion of a speaking face from speech: lips, blinks, brows and head.",
            search_aliases=["talking head", "lip sync", "audio to motion"],
            inputs=[
                io.Custom("MOTION_ENGINE").Input("motion_engine", tooltip="From Load Motion Engine."),
                io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo. Music under it disturbs the lips."),
                io.Float.Input(
                    "fps",
                    default=25.0,
                    min=0.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames per second. The video has round(seconds x fps) frames.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="Same seed, same motion. It changes blinks and head, and with KDTalker the lips a little.",
                ),
                io.Float.Input(
                    "mouth_amount",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Factor on lips and jaw: 0 keeps the mouth still, 1 as spoken, 2 twice as far.",
                ),
                io.Float.Input(
                    "head_amount",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    tooltip="Factor on head motion: 0 still, 1 natural (some degrees).",
                ),
                io.Float.Input(
                    "blink_rate",
                    default=18.0,
                    min=0.0,
                    max=60.0,
                    step=1.0,
                    tooltip="Built-in engine and Takin-ADA: blinks per minute, on average; 0 never blinks. People blink 15 to 20 "
                    "times. KDTalker and JoyVASA make their own.",
                ),
                io.Float.Input(
                    "brow_amount",
                    default=1.0,
                    min=0.0,
                    max=2.0,
                    step=0.05,
                    advanced=True,
                    tooltip="Built-in engine and Takin-ADA: factor on the brows, which rise on stressed words: 0 still, 1 natural.",
                ),
                io.Float.Input(
                    "silence_threshold",
                    default=-38.0,
                    min=-80.0,
                    max=-10.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Built-in engine and Takin-ADA: below this level, in dB relative to the loudest speech, the mouth "
                    "closes. Raise it for noisy audio.",
                ),
                io.Custom("PORTRAIT").Input(
                    "portrait",
                    optional=True,
                    tooltip="From Prepare Portrait: who speaks. KDTalker needs it; the others do not look at it.",
                ),
                io.Float.Input(
                    "lip_lead",
                    default=20.0,
                    min=-200.0,
                    max=200.0,
                    step=5.0,
                    optional=True,
                    advanced=True,
                    tooltip="Built-in engine: milliseconds by which the lips move before their sound, as people's do; below 0 "
                    "they come later.",
                ),
                io.Float.Input(
                    "blink_asymmetry",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    advanced=True,
                    tooltip="Built-in engine and Takin-ADA: 0 blinks with both eyes alike; at 1 the subject's right eye stays "
                    "open, which makes every blink a wink.",
                ),
            ],
            outputs=[FaceMotionType.Output(tooltip="For Render Portrait and the motion editors.")],
        )

    @classmethod
    def execute(cls, motion_engine, audio, fps, seed, portrait=None, **amounts) -> io.NodeOutput:
        settings = MotionSettings(**amounts)
        check_settings(motion_engine, settings)
        who = None if portrait is None else portrait.portrait
        return io.NodeOutput(
            motion_engine.generate(single_speech(audio), frame_rate(fps), seed, settings, ticker(), who)
        )


def check_settings(engine: MotionEngine, settings: MotionSettings) -> None:
    """ValueError that names every amount that is set and that this engine would ignore; engines that do not say read all."""
    said = []
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if value != setting.default and setting.name not in getattr(engine, "reads", {setting.name}):
            said.append(f"{setting.name} is {value:g}, but {engine.id} does not read it. Set it back to {setting.default:g}.")
    if said:
        raise ValueError(" ".join(said))


def single_speech(audio: dict) -> Speech:
    """The clip of an AUDIO that passed the gate."""
    return Speech(*single_clip(audio))


def single_clip(audio: dict) -> tuple[Tensor, int]:
    """Waveform [C,T] float32 on the CPU and sample rate of an AUDIO that passed the gate."""
    return audio["waveform"][0].float().cpu(), audio["sample_rate"]


NODES = [LoadMotionEngine, GenerateFaceMotion]
