"""FantasyTalking's files: its own weights, and the speech encoder that they were trained with."""

from pathlib import Path
from typing import Any

import comfy.ops
import folder_paths
from comfy_api.latest import io

from ..models.fantasytalking.checkpoint import fantasytalking_state
from ..models.fantasytalking.network import build_fantasytalking
from ..models.speech.wav2vec2 import check_is_960h, load_base_encoder
from .catalogue.loading import Builder, converted, load_shared, read_weights
from .catalogue.shared_models import shared
from .catalogue.weight_files import chosen_file, chosen_fingerprint
from .gates import Node

CATEGORY = "talking portrait/fantasytalking"
FantasyTalkingType = io.Custom("FANTASYTALKING")
LOAD, ENCODER = "Load FantasyTalking", "Load Speech Encoder (float32)"


class LoadFantasyTalking(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadFantasyTalking",
            display_name=LOAD,
            category=CATEGORY,
            description="Loads FantasyTalking's audio weights for Wan2.1-I2V-14B.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folder_paths.get_filename_list("model_patches"),
                    tooltip="In models/model_patches/: fantasytalking_model.ckpt, or its safetensors "
                    "editions (fp32 or fp16).",
                )
            ],
            outputs=[FantasyTalkingType.Output(tooltip="For FantasyTalking Audio and Apply FantasyTalking.")],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        path = chosen_file("model_patches", file, "file", LOAD)
        build = casting(build_fantasytalking)
        return io.NodeOutput(
            load_shared("fantasytalking", path, None, build, LOAD, fantasytalking_state, exact=True)
        )

    @classmethod
    def fingerprint_inputs(cls, file: str) -> list:
        return chosen_fingerprint([("model_patches", file)])


def casting(build: Builder) -> Builder:
    """A builder of networks whose weights follow the type of what they are given, whatever they are kept in."""
    return lambda state, metadata, device=None, dtype=None, operations=None: build(
        state, metadata, device, dtype, comfy.ops.manual_cast
    )


class LoadSpeechEncoder(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadSpeechEncoder",
            display_name=ENCODER,
            category=CATEGORY,
            description="Loads wav2vec2-base-960h into core's audio encoder in float32; refuses other "
            "encoders of its size.",
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folder_paths.get_filename_list("audio_encoders"),
                    tooltip="In models/audio_encoders/: facebook/wav2vec2-base-960h, not chinese-wav2vec2-base.",
                )
            ],
            outputs=[io.AudioEncoder.Output(tooltip="For FantasyTalking Audio.")],
        )

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        path = chosen_file("audio_encoders", file, "file", ENCODER)
        return io.NodeOutput(shared("wav2vec2", path, (), lambda: speech_encoder(path)))

    @classmethod
    def fingerprint_inputs(cls, file: str) -> list:
        return chosen_fingerprint([("audio_encoders", file)])


def speech_encoder(path: Path) -> Any:
    """The encoder in a file; ValueError if it is another's, or damaged."""

    def checked(content: dict) -> dict:
        check_is_960h(content)
        return dict(content)

    content, _ = read_weights(path, ENCODER)
    state = converted(content, checked, path, ENCODER)
    try:
        return load_base_encoder(state)
    except ValueError as problem:
        raise ValueError(f"{path} cannot be used: {problem}. Put the right file in its place.") from None
