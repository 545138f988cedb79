"""From speech to face motion: load a motion engine, generate a motion."""

from fractions import Fraction

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ..models.engine import MotionSettings, Speech, frame_rate
from ..models.published_weights import JOYVASA_KEYS, KDTALKER_KEYS
from ..models.takin.config import EMOTIONS
from .engines import BUILT_IN, ENGINES, SHIPPED, EngineOptions, load_engine
from .gates import Node
from .progress import ticker
from .registry import chosen_fingerprint, weights_fingerprint

CATEGORY = "talking portrait/audio"
NODE = "Generate Face Motion"
ENGINE_FILES = {"KDTalker": [*KDTALKER_KEYS, "liveportrait.motion"], "JoyVASA": JOYVASA_KEYS}


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
                io.Int.Input(
                    "steps",
                    default=0,
                    min=0,
                    max=1000,
                    optional=True,
                    advanced=True,
                    tooltip="Diffusion steps; 0 takes what suits the engine. KDTalker: 10, as good as the 50 of its authors by "
                    "their own measure; below 5 the lips suffer. JoyVASA: all that its file was trained with; fewer are faster. "
                    "Takin-ADA: 10. The built-in engine has none.",
                ),
                io.Float.Input(
                    "guidance",
                    default=2.0,
                    min=1.0,
                    max=5.0,
                    step=0.1,
                    optional=True,
                    advanced=True,
                    tooltip="JoyVASA: how strongly the voice drives the face. 1 as learned, a third faster; 2 to 2.8 as its "
                    "authors use; more exaggerates.",
                ),
                io.Float.Input(
                    "head_smoothing",
                    default=0.0,
                    min=0.0,
                    max=0.99,
                    step=0.01,
                    optional=True,
                    advanced=True,
                    tooltip="JoyVASA: share of the frame before that the head keeps. 0 none; 0.99 as its authors do, which "
                    "leaves the head nearly still.",
                ),
                io.Boolean.Input(
                    "official_timing",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="JoyVASA: on, the motion comes 80 ms after the sound, as from its authors' program; off, in time.",
                ),
                io.Combo.Input(
                    "emotion",
                    options=list(EMOTIONS),
                    default="neutral",
                    optional=True,
                    tooltip="Takin-ADA: the mood of the whole face. The other engines have none.",
                ),
                io.Float.Input(
                    "emotion_intensity",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    tooltip="Takin-ADA: how strong the emotion is, from 0 (none) to 1 (full).",
                ),
                io.String.Input(
                    "emotion_mix",
                    default="",
                    optional=True,
                    advanced=True,
                    tooltip="Takin-ADA: several emotions with their weights instead of emotion, such as: happy 2, surprised 1. "
                    "Empty takes emotion.",
                ),
                io.Combo.Input(
                    "takin_file",
                    options=[SHIPPED, *folder_paths.get_filename_list("takin")],
                    default=SHIPPED,
                    optional=True,
                    advanced=True,
                    tooltip="Takin-ADA: the network; yours, from tools/takin_train_films.py, goes into models/takin/.",
                ),
                io.Combo.Input(
                    "speech_encoder",
                    options=[BUILT_IN, *folder_paths.get_filename_list("audio_encoders")],
                    default=BUILT_IN,
                    optional=True,
                    advanced=True,
                    tooltip="Takin-ADA: what hears the voice; it must be what takin_file was trained on. A HuBERT, such as "
                    "facebook/hubert-large-ll60k (its model.safetensors, ~1260 MB, Apache-2.0), goes into models/audio_encoders/.",
                ),
            ],
            outputs=[io.Custom("MOTION_ENGINE").Output(tooltip="For Generate Face Motion.")],
        )

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
            display_name=NODE,
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
            ],
            outputs=[io.Custom("FACE_MOTION").Output(tooltip="For Render Portrait and the motion editors.")],
        )

    @classmethod
    def execute(
        cls, motion_engine, audio, fps, seed, mouth_amount, head_amount, blink_rate, brow_amount, silence_threshold,
        portrait=None,
    ) -> io.NodeOutput:  # fmt: skip
        settings = MotionSettings(
            mouth_amount=mouth_amount,
            head_amount=head_amount,
            blink_rate=blink_rate,
            brow_amount=brow_amount,
            silence_threshold=silence_threshold,
        )
        who = None if portrait is None else portrait.portrait
        motion = motion_engine.generate(single_speech(audio), checked_rate(fps), seed, settings, ticker(), who)
        return io.NodeOutput(motion)


def single_speech(audio: dict) -> Speech:
    """The one clip of an AUDIO; ValueError for a batch."""
    return Speech(*single_clip(audio, NODE))


def single_clip(audio: dict, node: str) -> tuple[Tensor, int]:
    """Waveform [C,T] float32 on the CPU and sample rate of an AUDIO; ValueError for a batch."""
    waveform = audio["waveform"]
    if waveform.shape[0] != 1:
        raise ValueError(f"{node}: audio holds {waveform.shape[0]} clips; it takes one. Split the batch first.")
    return waveform[0].float().cpu(), int(audio["sample_rate"])


def checked_rate(fps: float) -> Fraction:
    """Exact frame rate of a float widget; ValueError for 0."""
    if not fps > 0:
        raise ValueError(f"{NODE}: fps is {fps:g}; it must be above 0. Films have 24, 25 or 30.")
    return frame_rate(fps)


NODES = [LoadMotionEngine, GenerateFaceMotion]
