"""FantasyTalking on core's Wan2.1: what core lacks, and nothing else."""

import torch
from comfy_api.latest import io

from ..models.fantasytalking.audio import FITS, segment
from ..models.fantasytalking.guidance import SHIFT, Share, sigmas, with_audio_guidance
from ..models.fantasytalking.patch import patched, with_audio_condition, with_face_condition
from ..models.fantasytalking.picture import prepared_picture
from ..models.fantasytalking.timing import FPS, MAX_FRAMES, official_frames, whole_frames
from ..models.fantasytalking.windows import audio_windows
from ..models.speech.sound import mono
from ..models.speech.wav2vec2 import encode_float32, normalised
from . import sockets
from .audio import single_clip
from .catalogue.encoders import fitting
from .catalogue.loading import LoadedModel
from .fantasytalking_loaders import CATEGORY, LoadFantasyTalking
from .gates import Node


class FantasyTalkingAudio(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingAudio",
            display_name="FantasyTalking Audio",
            category=CATEGORY,
            description="Puts speech into a positive conditioning for a MODEL from Apply FantasyTalking, and "
            "says how many frames the video must have.",
            search_aliases=["wan audio", "speech conditioning", "audio to video"],
            inputs=[
                sockets.FantasyTalking.Input("fantasytalking", tooltip="From Load FantasyTalking."),
                io.AudioEncoder.Input("audio_encoder", tooltip="From Load Speech Encoder: wav2vec2-base-960h."),
                io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo."),
                io.Conditioning.Input("positive",
                tooltip="The positive prompt, not the negative; it may be empty."),
                io.Int.Input(
                    "frames", default=0, min=0, max=100001,
                    tooltip="Frames of the video: 5, 9, 13, ...; 0 takes as many as the audio needs. 81 at a "
                    "time were trained; use core's context windows for more.",
                ),
                io.Float.Input(
                    "fps", default=float(FPS), min=1.0, max=60.0, step=0.01,
                    tooltip="Frames per second of the video. The weights know 23.",
                ),
                io.Combo.Input(
                    "fit", options=list(FITS),
                    tooltip="Where the audio is shorter than the frames: fill it with silence (lips stay in "
                    "time), or stretch it over them as the published script does, which makes 81 frames at "
                    "most; longer sound is cut there.",
                ),
                io.Int.Input(
                    "start_frame", default=0, min=0, max=1000001, optional=True, advanced=True,
                    tooltip="First frame of this part in the whole film. To continue 81 frames from their "
                    "last picture: 80.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With audio, for WanImageToVideo; "
                "the negative has none."),
                io.Int.Output(display_name="frames",
                tooltip="Frames of the video, for WanImageToVideo's length."),
                io.Audio.Output(display_name="audio",
                tooltip="The sound of exactly these frames, for the video."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, fantasytalking: LoadedModel, audio_encoder, audio, positive, frames, fps, fit, start_frame=0
    ) -> io.NodeOutput:
        encoder = fitting(audio_encoder, "FantasyTalking", "wav2vec2-base-960h").core
        wave, rate = single_clip(audio)
        seconds = wave.shape[-1] / rate - start_frame / fps
        if seconds < 0.025:
            raise ValueError(
                f"audio lasts {wave.shape[-1] / rate:.3f} s, so from frame {start_frame} at {fps:g} fps on "
                f"{max(seconds, 0):.3f} s are left; at least 0.025 s are needed for one sound token."
            )
        count = film_frames(frames, seconds, fps, fit)
        part = segment(mono(wave, rate), count, fps, fit, start_frame)
        vectors = encode_float32(encoder, normalised(part))
        tokens = projected(fantasytalking, vectors)
        windows = audio_windows(count, tokens.shape[1]).split(tokens)
        sound = film_sound(wave[None], rate, start_frame / fps, count / fps)
        return io.NodeOutput(with_audio_condition(positive, windows), count, sound)


def film_frames(frames: int, seconds: float, fps: float, fit: str) -> int:
    """The video's frames; ValueError unless 0 or 5, 9, 13, ..."""
    if frames == 0:
        return whole_frames(seconds, fps) if fit == FITS[0] else official_frames(seconds, MAX_FRAMES, fps)
    if frames < 5 or frames % 4 != 1:
        low = max(5, (frames - 1) // 4 * 4 + 1)
        raise ValueError(
            f"frames is {frames}; Wan makes 5, 9, 13, ... frames. Take {low} or {low + 4}, or 0."
        )
    return frames


def projected(model: LoadedModel, vectors: torch.Tensor) -> torch.Tensor:
    """Audio tokens [1,L,2048] in float32 on the CPU."""
    return model.ready().proj_model(vectors.to(model.device)).float().cpu()


def film_sound(waveform: torch.Tensor, rate: int, start: float, seconds: float) -> dict:
    """Sound of exactly so many seconds from `start` seconds on: cut, or filled with silence."""
    first, samples = round(start * rate), round(seconds * rate)
    waveform = waveform[..., first : first + samples]
    return {
        "waveform": torch.nn.functional.pad(waveform, (0, samples - waveform.shape[-1])),
        "sample_rate": rate,
    }


class ApplyFantasyTalking(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitApplyFantasyTalking",
            display_name="Apply FantasyTalking",
            category=CATEGORY,
            description="Lets a core Wan2.1-I2V MODEL hear the audio in its conditioning. LoRA, offloading, "
            "previews and context windows work as before.",
            search_aliases=["wan talking", "wan audio", "infinitetalk", "multitalk", "talking head", "lip sync"],
            inputs=[
                io.Model.Input("model", tooltip="Wan2.1-I2V-14B, in any form that core loads."),
                sockets.FantasyTalking.Input("fantasytalking", tooltip="From Load FantasyTalking."),
                io.Float.Input(
                    "audio_scale", default=1.0, min=0.0, max=5.0, step=0.05,
                    tooltip="Factor on what the video hears: 1 as trained, more moves the face more, 0 "
                    "nothing. Works on released weights.",
                ),
                io.Boolean.Input(
                    "masked", default=True, advanced=True,
                    tooltip="Ignore the empty places at the film's start and end, as the weights were "
                    "trained. Off: as the published code does without flash-attention.",
                ),
                io.Mask.Input(
                    "region", optional=True,
                    tooltip="White where the audio acts, black where it is not heard: with several people, "
                    "only one speaks. Of the picture from FantasyTalking Picture, any size. Not in the "
                    "paper.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="For core's samplers, with FantasyTalking Guidance or DualCFGGuider.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, model, fantasytalking: LoadedModel, audio_scale: float, masked: bool, region=None
    ) -> io.NodeOutput:
        if region is not None and not region.max() > 0:
            raise ValueError(
                "region is black everywhere: nobody would hear. Paint it white where the speaker is, or take it out."
            )
        if region is not None and audio_scale == 0:
            raise ValueError(
                "audio_scale is 0, so nobody hears and region would do nothing. Raise it, or take region out."
            )
        where = None if region is None else region[0]
        return io.NodeOutput(patched(model, fantasytalking.patcher, audio_scale, masked, where))


class FantasyTalkingGuidance(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingGuidance",
            display_name="FantasyTalking Guidance",
            category=CATEGORY,
            description="Guides by audio and by prompt apart, in core's KSampler, whose cfg is the prompt's "
            "scale. Up to 3 passes. Only the positive conditioning may carry audio.",
            search_aliases=["audio cfg", "audio guidance"],
            inputs=[
                io.Model.Input("model", tooltip="From Apply FantasyTalking."),
                io.Float.Input(
                    "audio_cfg", default=4.5, min=0.0, max=30.0, step=0.1,
                    tooltip="How strongly the lips follow the audio: 4.5 in the paper, 3 to 7 usual. Works "
                    "on released weights.",
                ),
                io.Float.Input(
                    "audio_cfg_end", default=4.5, min=0.0, max=30.0, step=0.1, advanced=True,
                    tooltip="The same at the last guided step; it changes in equal parts between. Equal to "
                    "audio_cfg: constant.",
                ),
                io.Float.Input(
                    "start_percent", default=0.0, min=0.0, max=1.0, step=0.01, optional=True, advanced=True,
                    tooltip="Share of the steps before audio guides, 0 to 1. In these the film hears "
                    "nothing, and a pass is saved.",
                ),
                io.Float.Input(
                    "end_percent", default=1.0, min=0.0, max=1.0, step=0.01, optional=True, advanced=True,
                    tooltip="Share of the steps up to which audio guides: 1 in all of them, 0.7 against "
                    "over-exposed pictures, by the authors' word. After it the prompt guides alone, and a "
                    "pass is saved.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="For KSampler, with cfg 5 as published.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        model,
        audio_cfg: float,
        audio_cfg_end: float,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
    ) -> io.NodeOutput:
        curve = (
            audio_cfg
            if audio_cfg == audio_cfg_end
            else (lambda part: audio_cfg + (audio_cfg_end - audio_cfg) * part)
        )
        return io.NodeOutput(with_audio_guidance(model, curve, Share(start_percent, end_percent)))


class FantasyTalkingFaceFocus(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingFaceFocus",
            display_name="FantasyTalking Face Focus (experimental)",
            category=CATEGORY,
            description="Lets every frame look at a crop of the face through Wan's own image branch, to keep "
            "the person. Not in the paper and not trained; 0 does nothing.",
            is_experimental=True,
            search_aliases=["keep identity", "face crop", "identity"],
            inputs=[
                io.Conditioning.Input("conditioning", tooltip="Positive or negative, before WanImageToVideo; "
                "best both alike."),
                io.ClipVisionOutput.Input("face", tooltip="From CLIP Vision Encode of a crop of the face."),
                io.Float.Input(
                    "strength", default=0.0, min=0.0, max=1.0, step=0.05,
                    tooltip="Factor on what is seen of the face: 0 nothing; the paper's trained identity "
                    "branch uses 0.5.",
                ),
            ],
            outputs=[io.Conditioning.Output(tooltip="For WanImageToVideo.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, conditioning, face, strength: float) -> io.NodeOutput:
        if strength == 0:
            return io.NodeOutput(conditioning)
        return io.NodeOutput(with_face_condition(conditioning, face.penultimate_hidden_states, strength))


class FantasyTalkingSigmas(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingSigmas",
            display_name="FantasyTalking Sigmas",
            category=CATEGORY,
            description="The exact noise levels of the published sampler, for SamplerCustom and "
            "SamplerCustomAdvanced with euler.",
            search_aliases=["scheduler", "noise levels", "flow shift"],
            inputs=[
                io.Int.Input(
                    "steps", default=30, min=1, max=1000, tooltip="30 as published; fewer blur the face."
                ),
                io.Float.Input(
                    "shift",
                    default=SHIFT,
                    min=0.1,
                    max=20.0,
                    step=0.1,
                    tooltip="5 as published; core's own default for Wan is 8.",
                ),
            ],
            outputs=[io.Sigmas.Output(tooltip="For SamplerCustom or SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, steps: int, shift: float) -> io.NodeOutput:
        return io.NodeOutput(sigmas(steps, shift))


class FantasyTalkingPicture(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFantasyTalkingPicture",
            display_name="FantasyTalking Picture",
            category=CATEGORY,
            description="Brings the portrait to the video's size as published: longest edge, then multiples of 16.",
            search_aliases=["resize", "scale to multiple", "wan size"],
            inputs=[
                io.Image.Input("image", tooltip="The portrait; one picture."),
                io.Int.Input(
                    "longest_edge",
                    default=512,
                    min=64,
                    max=2048,
                    step=16,
                    tooltip="Longest side of the video, in pixels.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="image", tooltip="For WanImageToVideo and CLIP Vision Encode (crop: none)."
                ),
                io.Int.Output(display_name="width", tooltip="For WanImageToVideo."),
                io.Int.Output(display_name="height", tooltip="For WanImageToVideo."),
            ],
        )

    @classmethod
    def execute(cls, image, longest_edge: int) -> io.NodeOutput:
        if image.shape[0] != 1:
            raise ValueError(
                f"image holds {image.shape[0]} pictures; it takes one. Choose one with Get Image from Batch."
            )
        picture = prepared_picture(image[0], longest_edge)
        return io.NodeOutput(picture[None], picture.shape[1], picture.shape[0])


NODES = [
    LoadFantasyTalking, FantasyTalkingAudio, ApplyFantasyTalking, FantasyTalkingGuidance,
    FantasyTalkingFaceFocus, FantasyTalkingSigmas, FantasyTalkingPicture,
]  # fmt: skip
