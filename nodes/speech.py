"""The first stage: a speech encoder, and a clip as it hears it, once for any number of seeds and moods."""

import psutil
from comfy_api.latest import io

from ..models.contracts import SPEECH_ENCODERS
from ..models.speech.encoding import core_output
from ..models.speech.sound import RATE
from .audio import CATEGORY, single_clip
from .catalogue.encoders import load_speech_encoder
from .catalogue.loader import About, Loader
from .catalogue.node_names import LOAD_ENCODER
from .gates import Node
from .progress import ticker

ENCODE = "Encode Speech"


class LoadSpeechEncoder(Loader):
    menu, choice, load = SPEECH_ENCODERS, "speech_encoder", staticmethod(load_speech_encoder)
    about = About(
        "TalkingPortraitSpeechEncoder",
        LOAD_ENCODER,
        CATEGORY,
        "Chooses what hears: the first stage of every system. Core's Encode Audio takes it too.",
        io.AudioEncoder.Output(
            tooltip="For Encode Speech, Load Motion Engine, ACTalker Audio and FantasyTalking Audio."
        ),
        ("HuBERT", "Whisper", "wav2vec2", "Wav2Lip", "audio encoder"),
    )


class EncodeSpeech(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitEncodeSpeech",
            display_name=ENCODE,
            category=CATEGORY,
            description="Hears a clip once, so that another seed, mood or amount does not hear it again. The "
            "whole clip is kept in memory.",
            search_aliases=["audio features", "encode audio", "hear speech"],
            inputs=[
                io.AudioEncoder.Input("audio_encoder", tooltip="From Load Speech Encoder."),
                io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo."),
            ],
            outputs=[
                io.AudioEncoderOutput.Output(tooltip="For Generate Face Motion and ACTalker Audio."),
                io.Float.Output(
                    display_name="frame_rate", tooltip="Features per second: 50, for Wav2Lip 25."
                ),
            ],
        )

    @classmethod
    def execute(cls, audio_encoder, audio) -> io.NodeOutput:
        if not hasattr(audio_encoder, "kind"):
            raise ValueError(
                "audio_encoder comes from another loader. Take it from Load Speech Encoder, or use Encode Audio."
            )
        wave, rate = single_clip(audio)
        seconds = wave.shape[-1] / rate
        if seconds < 0.04:
            raise ValueError(f"audio is {seconds:.3f} s long; at least 0.040 s is needed.")
        check_memory(audio_encoder.bytes_per_second * seconds, seconds)
        encoded = audio_encoder.encode(wave, rate, ticker())
        samples = round(wave.shape[-1] * RATE / rate)
        return io.NodeOutput(core_output(encoded, samples), float(encoded.rate))


def check_memory(needed: float, seconds: float) -> None:
    """ValueError if a clip as it is encoded does not fit what memory is free."""
    free = psutil.virtual_memory().available
    if needed > 0.8 * free:
        raise ValueError(
            f"audio of {seconds / 60:.0f} min would take {needed / 1e9:.1f} GB encoded, but {free / 1e9:.1f} "
            f"GB are free. Leave {ENCODE} out: engines then hear piece by piece."
        )


NODES = [LoadSpeechEncoder, EncodeSpeech]
