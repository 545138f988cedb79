"""ACTalker: one portrait driven by speech, by a driving video, or by both, each in its region, as a core MODEL."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.actalker.core_model import core_state, load_core_model
from ..models.actalker.pictures import expression_picture, frames_at, frames_shown, head_box, head_picture
from ..models.actalker.streams import motion_stream, speech_stream
from ..models.engine import frame_rate
from ..models.face.following import follow_face, missing_text
from ..models.face.landmarks import check_upright
from ..models.speech.sound import mono
from ..models.speech.whisper import heard_pieces
from . import actalker_conditioning, actalker_sampling, sockets
from .actalker_parts import (
    AUDIO,
    CATEGORY,
    LOAD,
    VIDEO,
    actalker_part,
    part_menu,
)  # fmt: skip
from .audio import given_speech, single_clip
from .catalogue.encoders import WHISPER, fitting, load_speech_encoder
from .catalogue.file_menu import file_menu
from .catalogue.files_node import NodeWithFiles
from .catalogue.loading import converted, read_weights, ready_together
from .catalogue.shared_models import shared
from .face import to_uint8
from .liveportrait import shown_at
from .portrait import check_same_size
from .progress import ticker

PRECISIONS = {
    "default": None, "fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32,
    "fp8_e4m3fn": torch.float8_e4m3fn,
}  # fmt: skip


class LoadACTalker(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadACTalker",
            display_name=LOAD,
            category=CATEGORY,
            description="Loads ACTalker's denoiser as a MODEL for core's samplers. mamba-ssm is not needed, "
            "but used where it is.",
            search_aliases=["mamba", "parallel control", "svd talking head", "talking head"],
            inputs=[
                file_menu("file", "actalker.unet", tooltip="As published, or saved again by ComfyUI."),
                io.Combo.Input(
                    "weight_dtype", options=list(PRECISIONS), advanced=True,
                    tooltip="How weights are kept. default: what core thinks best for this device.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="For ACTalker Context Windows and ACTalker Guidance; LoRA and "
            "offloading as usual.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, file: str, weight_dtype: str) -> io.NodeOutput:
        path = cls.file("file", file)
        dtype = PRECISIONS[weight_dtype]
        patcher = shared("actalker", path, (dtype,), lambda: actalker_model(path, dtype))
        # what another node changes of it stays there; the weights are shared
        return io.NodeOutput(patcher.clone())


def actalker_model(path: Path, dtype: torch.dtype | None) -> Any:
    """The ModelPatcher of a UNet's file; ValueError if it is another's, or damaged."""
    content, _ = read_weights(path, LOAD)
    state = converted(content, core_state, path, LOAD)
    try:
        return load_core_model(state, dtype)
    except ValueError as problem:
        raise ValueError(f"file {path.name} does not fit ACTalker's UNet: {problem}.") from None


class ACTalkerAudio(NodeWithFiles):
    unless = {"whisper_file": ("audio_encoder", "audio_encoder_output")}

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerAudio",
            display_name=AUDIO,
            category=CATEGORY,
            description="Hears speech with Whisper-tiny, as ACTalker's sound tokens at 12.5 frames per second.",
            search_aliases=["whisper", "svd audio", "speech tokens"],
            inputs=[
                io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo."),
                file_menu(
                    "whisper_file", "actalker.whisper", optional=True, advanced=True,
                    tooltip="Whisper-tiny, which hears.",
                ),
                part_menu("projector", "From what was heard to ACTalker's tokens.", "audio"),
                io.AudioEncoder.Input(
                    "audio_encoder", optional=True,
                    tooltip="From Load Speech Encoder: Whisper-tiny, in the place of whisper_file.",
                ),
                io.AudioEncoderOutput.Input(
                    "audio_encoder_output", optional=True,
                    tooltip="From Encode Speech with Whisper-tiny, of the same audio: it is not heard again.",
                ),
            ],
            outputs=[
                sockets.ACTalkerAudio.Output(display_name="actalker_audio", tooltip="For ACTalker Conditioning."),
                io.Int.Output(
                    display_name="frames", tooltip="Frames at 12.5 per second that this sound lasts."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, audio, whisper_file=None, projector_file=None, audio_encoder=None, audio_encoder_output=None
    ) -> io.NodeOutput:
        wave, rate = single_clip(audio)
        projector = actalker_part("audio", AUDIO, projector_file, "projector_file")
        sound = torch.from_numpy(mono(wave, rate))
        if audio_encoder_output is None:
            encoder: Any = audio_encoder or load_speech_encoder(WHISPER, {"file": whisper_file})
            fitting(encoder, "ACTalker", "whisper-tiny")
            whisper, network = ready_together([encoder, projector])
            pieces = heard_pieces(whisper, sound, encoder.device)
        else:
            encoded = given_speech(audio_encoder_output, wave, rate, "ACTalker", "whisper-tiny")
            network, pieces = projector.ready(), iter([encoded.layers.transpose(0, 1)])
        try:
            stream = speech_stream(pieces, len(sound), network, projector.device, ticker())
        except ValueError as problem:
            raise ValueError(f"audio cannot be used: {problem}.") from None
        return io.NodeOutput(stream, len(stream.tokens))


class ACTalkerMotionFromVideo(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerMotionFromVideo",
            display_name=VIDEO,
            category=CATEGORY,
            description="Reads expression and head rotation of a driving video, as motion tokens at 12.5 "
            "frames per second. A FACE_MOTION of any engine drives it too: render it with Render Portrait "
            "and give its images here.",
            search_aliases=["driving video", "motion transfer", "reenactment"],
            inputs=[
                io.Image.Input("images", tooltip="The driving video's frames, from Get Video Components or "
                "Render Portrait."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same frames; "
                    "missing frames: empty."
                ),
                io.Float.Input(
                    "fps", default=25.0, min=0.0, max=120.0, step=0.001, tooltip="Frames per second of the "
                    "driving video."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face of the first frame, "
                "0 is the first."),
                io.Combo.Input(
                    "missing_face", options=["error", "hold"],
                    tooltip="Frames without the face: stop and say which, or go on with the last face's "
                    "place, as published.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed. "
                    "One box for each frame chooses in each, over cuts too.",
                ),
                io.Video.Input(
                    "video", optional=True,
                    tooltip="The video that images come from, from Load Video: when its frames are shown is "
                    "read from it, so that a film with a changing frame rate stays in time. fps then does "
                    "nothing.",
                ),
                part_menu("driver", "The networks that see face and head.", "expression"),
                part_menu("projector", "From what was seen to ACTalker's tokens.", "motion"),
            ],
            outputs=[
                sockets.ACTalkerMotion.Output(display_name="actalker_motion", tooltip="For ACTalker Conditioning."),
                io.Int.Output(display_name="frames",
                tooltip="Frames at 12.5 per second that this video lasts."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, images, face_landmarks, fps, face_index, missing_face, face_box=None, video=None,
        driver_file=None, projector_file=None,
    ) -> io.NodeOutput:  # fmt: skip
        if len(images) == 0:
            raise ValueError("images holds 0 frames, so there is no motion in it.")
        found = follow_face(face_landmarks, face_index, face_box)
        if len(found) != len(images):
            raise ValueError(
                f"images has {len(images)} frames, but face_landmarks {len(found)}; give both one video."
            )
        check_same_size(images[0], face_landmarks, VIDEO)
        check_upright(found)
        times = None if video is None else shown_at(video, len(images))
        chosen = frames_at(len(images), frame_rate(fps)) if times is None else frames_shown(times)
        points = driving_points(found, chosen, face_landmarks, missing_face == "hold")
        parts = [actalker_part(name, VIDEO, driver_file, "driver_file") for name in ("expression", "head")]
        parts.append(actalker_part("motion", VIDEO, projector_file, "projector_file"))
        pictures = driving_pictures(images, chosen, points)
        expression, head, motion = ready_together(parts)
        stream = motion_stream(expression, head, motion, pictures, len(chosen), parts[0].device, ticker())
        return io.NodeOutput(stream, len(chosen))


def driving_points(
    found: list[np.ndarray | None], chosen: list[int], face_landmarks: Mapping[str, Any], hold: bool
) -> list[np.ndarray]:
    """Face points of the chosen frames; ValueError that lists frames without the face, unless the last face holds."""
    problem = missing_text(found, face_landmarks, chosen)
    if problem and (not hold or found[chosen[0]] is None):
        advice = (
            "Choose another video"
            if found[chosen[0]] is None
            else "Choose missing_face: hold, or another video"
        )
        raise ValueError(f"{problem}. {advice}.")
    points = []
    for index in chosen:
        points.append(points[-1] if found[index] is None else found[index])
    return points


def driving_pictures(
    images: Tensor, chosen: list[int], points: list[np.ndarray]
) -> Iterator[tuple[Tensor, Tensor]]:
    """(face, head) of every chosen frame, as ACTalker's driving networks take them."""
    box = head_box(points[0], *images.shape[1:3])
    for index, face in zip(chosen, points, strict=True):
        frame = to_uint8(images[index])
        try:
            yield expression_picture(frame, face), head_picture(frame, box)
        except ValueError as problem:
            raise ValueError(f"frame {index} of images cannot be used: {problem}.") from None


NODES = [
    LoadACTalker,
    ACTalkerAudio,
    ACTalkerMotionFromVideo,
    *actalker_conditioning.NODES,
    *actalker_sampling.NODES,
]
