"""From speech to face motion, by any engine."""

from dataclasses import fields, replace

from comfy_api.latest import io
from torch import Tensor

from ..models.contracts import MotionEngine
from ..models.engine import MotionSettings, Speech, frame_rate
from ..models.generation import generate_motion
from ..models.speech.encoding import EncodedSpeech, check_clip, check_kind, encoded_speech
from . import sockets
from .gates import Node
from .progress import ticker

CATEGORY = "talking portrait/audio"


def factor(name: str, tooltip: str, **options) -> io.Float.Input:
    """A slider from 0 to 2 in the middle of which everything stays as it is."""
    return io.Float.Input(name, default=1.0, min=0.0, max=2.0, step=0.05, tooltip=tooltip, **options)


class GenerateFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitGenerateMotion",
            display_name="Generate Face Motion",
            category=CATEGORY,
            description="Makes the motion of a speaking face from speech: lips, blinks, brows and head.",
            search_aliases=[
                "talking head",
                "lip sync",
                "lipsync",
                "audio to motion",
                "audio to video",
                "voice to face",
                "avatar",
                "wav2lip",
                "sadtalker",
                "sonic",
                "hallo",
                "echomimic",
                "musetalk",
                "latentsync",
                "kdtalker",
                "joyvasa",
                "vasa",
            ],
            inputs=[
                sockets.MotionEngine.Input("motion_engine", tooltip="From Load Motion Engine."),
                io.Audio.Input(
                    "audio",
                    tooltip="Speech; any sample rate, mono or stereo. Music under it disturbs the lips.",
                ),
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
                factor(
                    "mouth_amount",
                    "Factor on lips and jaw: 0 keeps the mouth still, 1 as spoken, 2 twice as far.",
                ),
                factor("head_amount", "Factor on head motion: 0 still, 1 natural (some degrees)."),
                io.Float.Input(
                    "blink_rate",
                    default=18.0,
                    min=0.0,
                    max=60.0,
                    step=1.0,
                    tooltip="Built-in engine and Takin-ADA: blinks per minute, on average; 0 never blinks. "
                    "People blink 15 to 20 times. KDTalker and JoyVASA make their own.",
                ),
                factor(
                    "brow_amount",
                    "Built-in engine and Takin-ADA: factor on the brows, which rise on stressed "
                    "words: 0 still, 1 natural.",
                    advanced=True,
                ),
                io.Float.Input(
                    "silence_threshold",
                    default=-38.0,
                    min=-80.0,
                    max=-10.0,
                    step=1.0,
                    advanced=True,
                    tooltip="Built-in engine and Takin-ADA: below this level, in dB relative to the loudest "
                    "speech, the mouth closes. Raise it for noisy audio.",
                ),
                sockets.Portrait.Input(
                    "portrait",
                    optional=True,
                    tooltip="From Prepare Portrait: who speaks. KDTalker needs it; the others do not look at it.",
                ),
                io.AudioEncoderOutput.Input(
                    "audio_encoder_output",
                    optional=True,
                    tooltip="From Encode Speech, of the same audio: engines other than built-in do not hear it again.",
                ),
                io.Float.Input(
                    "lip_lead",
                    default=20.0,
                    min=-200.0,
                    max=200.0,
                    step=5.0,
                    optional=True,
                    advanced=True,
                    tooltip="Built-in engine: milliseconds by which the lips move before their sound, as "
                    "people's do; below 0 they come later.",
                ),
                io.Float.Input(
                    "blink_asymmetry",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    optional=True,
                    advanced=True,
                    tooltip="Built-in engine and Takin-ADA: 0 blinks with both eyes alike; at 1 the "
                    "subject's right eye stays open, which makes every blink a wink.",
                ),
                factor(
                    "gaze_amount",
                    "Built-in engine: factor on how far the eyes look around; 0 holds them as in the photo.",
                    optional=True,
                    advanced=True,
                ),
                factor(
                    "life_amount",
                    "Built-in engine: factor on breath, swallowing and lips that are not quite still, also "
                    "where nobody speaks; 0 for none.",
                    optional=True,
                    advanced=True,
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="For Render Portrait and the motion editors.")],
        )

    @classmethod
    def execute(
        cls, motion_engine, audio, fps, seed, portrait=None, audio_encoder_output=None, **amounts
    ) -> io.NodeOutput:
        settings = MotionSettings(**amounts)
        check_settings(motion_engine, settings)
        who = None if portrait is None else portrait.portrait
        speech = single_speech(audio)
        if audio_encoder_output is not None:
            speech = replace(speech, encoded=encoded_speech(audio_encoder_output))
        return io.NodeOutput(
            generate_motion(motion_engine, speech, frame_rate(fps), seed, settings, ticker(), who)
        )


def check_settings(engine: MotionEngine, settings: MotionSettings) -> None:
    """ValueError that names every amount that is set and that this engine would ignore."""
    said = []
    for setting in fields(settings):
        value = getattr(settings, setting.name)
        if value != setting.default and setting.name not in engine.reads:
            said.append(
                f"{setting.name} is {value:g}, but {engine.id} does not read it. Set it back to {setting.default:g}."
            )
    if said:
        raise ValueError(" ".join(said))


def single_speech(audio: dict) -> Speech:
    """The clip of an AUDIO that passed the gate."""
    return Speech(*single_clip(audio))


def single_clip(audio: dict) -> tuple[Tensor, int]:
    """Waveform [C,T] float32 on the CPU and sample rate of an AUDIO that passed the gate."""
    return audio["waveform"][0].float().cpu(), audio["sample_rate"]


def given_speech(output: dict, wave: Tensor, rate: int, system: str, *kinds: str) -> EncodedSpeech:
    """An AUDIO_ENCODER_OUTPUT; ValueError unless it is of this clip, and of an encoder that a system was trained on."""
    encoded = encoded_speech(output)
    check_kind(encoded.kind, kinds, system, "audio_encoder_output")
    check_clip(encoded, wave, rate)
    return encoded


NODES = [GenerateFaceMotion]
