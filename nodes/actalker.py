"""ACTalker: one portrait driven by speech, by a driving video, or by both, each in its region, as a core MODEL."""

from collections.abc import Iterator
from pathlib import Path

import folder_paths
import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.actalker.conditioning import Gate, Scene, Stream, conditioning, film_frames
from ..models.actalker.context import with_windows
from ..models.actalker.core_model import core_state, load_core_model
from ..models.actalker.geometry import working_size
from ..models.actalker.guidance import ACTalkerGuider, with_guidance
from ..models.actalker.pictures import (
    FPS,
    expression_picture,
    face_box,
    face_box_picture,
    frames_at,
    head_box,
    head_picture,
    identity_picture,
    portrait_picture,
    region_mask,
)  # fmt: skip
from ..models.actalker.regions import Regions
from ..models.actalker.sampling import DECODED_TOGETHER, GUIDANCE, OVERLAP, PADDING, SHIFT, WINDOW
from ..models.actalker.streams import motion_stream, speech_stream
from ..models.engine import frame_rate
from ..models.face_regions import follow_face, region_masks, select_face
from ..models.sound import mono
from .actalker_parts import actalker_part
from .audio import single_clip
from .face import to_uint8
from .loading import converted, read_weights, ready_together
from .portrait import check_same_size, single_mask, single_picture
from .progress import ticker
from .registry import weights_fingerprint

CATEGORY = "talking portrait/actalker"
LOAD, AUDIO, VIDEO, CONDITION = "Load ACTalker", "ACTalker Audio", "ACTalker Motion from Video", "ACTalker Conditioning"
AudioStreamType, MotionStreamType = io.Custom("ACTALKER_AUDIO"), io.Custom("ACTALKER_MOTION")
PRECISIONS = {
    "default": None, "fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32, "fp8_e4m3fn": torch.float8_e4m3fn,
}  # fmt: skip
SEPARATE, OFFICIAL = "each in its region", "official"
FEATHER = 16.0
AS_START = -0.05  # one step below 0


class LoadACTalker(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadACTalker",
            display_name=LOAD,
            category=CATEGORY,
            description="Loads ACTalker's denoiser as a MODEL for core's samplers. mamba-ssm is not needed, but used where it is.",
            search_aliases=["mamba", "parallel control", "svd talking head"],
            inputs=[
                io.Combo.Input(
                    "file", options=folder_paths.get_filename_list("diffusion_models"),
                    tooltip="In models/diffusion_models/: unet-136000.pth as published, or saved again by ComfyUI.",
                ),
                io.Combo.Input(
                    "weight_dtype", options=list(PRECISIONS), advanced=True,
                    tooltip="How weights are kept. default: what core thinks best for this device.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="For ACTalker Context Windows and ACTalker Guidance; LoRA and offloading as usual.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, file: str, weight_dtype: str) -> io.NodeOutput:
        path = Path(folder_paths.get_full_path_or_raise("diffusion_models", file))
        content, _ = read_weights(path, LOAD)
        state = converted(content, core_state, path, LOAD)
        try:
            return io.NodeOutput(load_core_model(state, PRECISIONS[weight_dtype]))
        except ValueError as problem:
            raise ValueError(f"{LOAD}: file {path.name} does not fit ACTalker's UNet: {problem}.") from None


class ACTalkerAudio(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerAudio",
            display_name=AUDIO,
            category=CATEGORY,
            description="Hears speech with Whisper-tiny, as ACTalker's sound tokens at 12.5 frames per second.",
            inputs=[io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo.")],
            outputs=[
                AudioStreamType.Output(display_name="actalker_audio", tooltip="For ACTalker Conditioning."),
                io.Int.Output(display_name="frames", tooltip="Frames at 12.5 per second that this sound lasts."),
            ],
        )

    @classmethod
    def execute(cls, audio) -> io.NodeOutput:
        wave, rate = single_clip(audio, AUDIO)
        if not torch.isfinite(wave).all():
            raise ValueError(f"{AUDIO}: audio has samples that are not numbers (NaN or infinite); export it again.")
        encoder, projector = (actalker_part(name, AUDIO) for name in ("whisper", "audio"))
        networks = ready_together([encoder, projector])
        try:
            stream = speech_stream(*networks, torch.from_numpy(mono(wave, rate)), encoder.device, ticker())
        except ValueError as problem:
            raise ValueError(f"{AUDIO}: audio cannot be used: {problem}.") from None
        return io.NodeOutput(stream, len(stream.tokens))

    @classmethod
    def fingerprint_inputs(cls, **given) -> list:
        return weights_fingerprint(["actalker.whisper", "actalker.audio"])


class ACTalkerMotionFromVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerMotionFromVideo",
            display_name=VIDEO,
            category=CATEGORY,
            description="Reads expression and head rotation of a driving video, as motion tokens at 12.5 frames per second. "
            "A FACE_MOTION of any engine drives it too: render it with Render Portrait and give its images here.",
            inputs=[
                io.Image.Input("images", tooltip="The driving video's frames, from Get Video Components or Render Portrait."),
                io.Custom("FACE_LANDMARKS").Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same frames; missing frames: empty."
                ),
                io.Float.Input(
                    "fps", default=25.0, min=0.0, max=120.0, step=0.001, tooltip="Frames per second of the driving video."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face of the first frame, 0 is the first."),
                io.Combo.Input(
                    "missing_face", options=["error", "hold"],
                    tooltip="Frames without a face: stop and say which, or go on with the last face's place, as published.",
                ),
            ],
            outputs=[
                MotionStreamType.Output(display_name="actalker_motion", tooltip="For ACTalker Conditioning."),
                io.Int.Output(display_name="frames", tooltip="Frames at 12.5 per second that this video lasts."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, images, face_landmarks, fps, face_index, missing_face) -> io.NodeOutput:
        if len(images) == 0:
            raise ValueError(f"{VIDEO}: images holds 0 frames, so there is no motion in it.")
        if not fps > 0:
            raise ValueError(f"{VIDEO}: fps is {fps:g}; it must be above 0.")
        found = follow_face(face_landmarks, face_index, None, VIDEO)
        if len(found) != len(images):
            raise ValueError(f"{VIDEO}: images has {len(images)} frames, but face_landmarks {len(found)}; give both one video.")
        chosen = frames_at(len(images), frame_rate(fps))
        points = driving_points(found, chosen, missing_face == "hold")
        parts = [actalker_part(name, VIDEO) for name in ("expression", "head", "motion")]
        pictures = driving_pictures(images, chosen, points)
        stream = motion_stream(*ready_together(parts), pictures, len(chosen), parts[0].device, ticker())
        return io.NodeOutput(stream, len(chosen))

    @classmethod
    def fingerprint_inputs(cls, **given) -> list:
        return weights_fingerprint(["actalker.driver", "actalker.motion"])


def driving_points(found: list[np.ndarray | None], chosen: list[int], hold: bool) -> list[np.ndarray]:
    """Face points of the chosen frames; ValueError that lists frames without a face, unless the last face holds."""
    missed = [index for index in chosen if found[index] is None]
    if missed and (not hold or found[chosen[0]] is None):
        names = ", ".join(map(str, missed[:10])) + (", ..." if len(missed) > 10 else "")
        advice = "Choose another video" if found[chosen[0]] is None else "Choose missing_face: hold, or another video"
        raise ValueError(f"{VIDEO}: no face in {len(missed)} of {len(chosen)} frames ({names}). {advice}.")
    points = []
    for index in chosen:
        points.append(points[-1] if found[index] is None else found[index][:, :2])
    return points


def driving_pictures(images: Tensor, chosen: list[int], points: list[np.ndarray]) -> Iterator[tuple[Tensor, Tensor]]:
    """(face, head) of every chosen frame, as ACTalker's driving networks take them."""
    box = head_box(points[0], *images.shape[1:3])
    for index, face in zip(chosen, points, strict=True):
        frame = to_uint8(images[index])
        try:
            yield expression_picture(frame, face), head_picture(frame, box)
        except ValueError as problem:
            raise ValueError(f"{VIDEO}: frame {index} of images cannot be used: {problem}.") from None


class ACTalkerConditioning(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerConditioning",
            display_name=CONDITION,
            category=CATEGORY,
            description="Brings portrait, sound and motion together: what each drives (masks), and how far (gates).",
            inputs=[
                io.Vae.Input("vae", tooltip="Of Stable Video Diffusion XT."),
                io.Image.Input("image", tooltip="The portrait; one picture."),
                io.Custom("FACE_LANDMARKS").Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same picture."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face, 0 is the first."),
                AudioStreamType.Input("actalker_audio", optional=True, tooltip="From ACTalker Audio."),
                MotionStreamType.Input("actalker_motion", optional=True, tooltip="From ACTalker Motion from Video."),
                io.Mask.Input(
                    "audio_mask", optional=True,
                    tooltip="Where sound acts, in the portrait's size; the mamba layer hears only where it is fully white. "
                    "Empty: see regions.",
                ),
                io.Mask.Input("motion_mask", optional=True, tooltip="Where the driving motion acts, like audio_mask."),
                gate_input("audio"),
                gate_input("motion"),
                io.Combo.Input(
                    "regions", options=[SEPARATE, OFFICIAL],
                    tooltip=f"Without masks. {SEPARATE}: sound moves the mouth, motion the rest of the face; one alone all of it. "
                    f"{OFFICIAL}: as the published script, where both together act everywhere.",
                ),
                io.Int.Input(
                    "frames", default=0, min=0, max=1000000,
                    tooltip="Frames of the film at 12.5 per second; 0 takes as many as sound and motion both have.",
                ),
                io.Int.Input(
                    "short_side", default=576, min=64, max=2048, step=64,
                    tooltip="The film's shorter side in pixels; both sides become multiples of 64. 576 was trained.",
                ),
                end_input("audio"),
                end_input("motion"),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="For ACTalker Guider, or KSampler."),
                io.Conditioning.Output(display_name="negative", tooltip="Sees and hears nothing; for KSampler."),
                io.Latent.Output(display_name="latent", tooltip="For the sampler: the portrait in every frame, and 25 more."),
                io.Int.Output(display_name="frames", tooltip="Frames of the film, for ACTalker Decode."),
                io.Float.Output(display_name="fps", tooltip="Frames per second of the film: 12.5."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vae, image, face_landmarks, face_index, audio_gate, motion_gate, regions, frames, short_side, audio_gate_end,
        motion_gate_end, actalker_audio=None, actalker_motion=None, audio_mask=None, motion_mask=None,
    ) -> io.NodeOutput:  # fmt: skip
        picture = single_picture(image, CONDITION)
        check_same_size(picture, face_landmarks, CONDITION)
        points = select_face(face_landmarks, 0, face_index, None, CONDITION)[:, :2]
        gates = gate(audio_gate, audio_gate_end), gate(motion_gate, motion_gate_end)
        streams = [None if g.closed else stream for stream, g in zip((actalker_audio, actalker_motion), gates, strict=True)]
        count = film_frames([stream for stream in streams if stream is not None], frames, CONDITION)
        size = working_size(picture.shape[1], picture.shape[0], short_side)
        face = face_box_picture(to_uint8(picture), face_box(points), short_side)
        usual = usual_regions(regions, streams, face_landmarks, face_index, face[:, :1], size)
        given = (audio_mask, "audio_mask"), (motion_mask, "motion_mask")
        masks = [
            default if mask is None or stream is None else own_region(mask, picture, name, size)
            for (mask, name), default, stream in zip(given, usual, streams, strict=True)
        ]
        scene = prepared_scene(vae, to_uint8(picture), face_box(points), face, short_side)
        positive, negative, latent = conditioning(scene, count, *streams, gates, Regions(*masks))
        return io.NodeOutput(positive, negative, {"samples": latent}, count, float(FPS))

    @classmethod
    def fingerprint_inputs(cls, **given) -> list:
        return weights_fingerprint(["actalker.arcface", "actalker.identity", "actalker.pose"])


def gate_input(name: str) -> io.Float.Input:
    return io.Float.Input(
        f"{name}_gate", default=1.0, min=0.0, max=1.0, step=0.05,
        tooltip=f"How far {name} drives the film: 1 fully, 0 not at all (then it costs nothing).",
    )  # fmt: skip


def end_input(name: str) -> io.Float.Input:
    return io.Float.Input(
        f"{name}_gate_end", default=AS_START, min=AS_START, max=1.0, step=0.05, advanced=True,
        tooltip=f"{name}_gate at the last frame; it changes in equal steps between. Below 0: the same throughout.",
    )  # fmt: skip


def gate(start: float, end: float) -> Gate:
    """The two sliders as a gate."""
    return Gate(start, start if end < 0 else end)


def usual_regions(
    regions: str, streams: list[Stream | None], landmarks: dict, index: int, face: Tensor, size: tuple[int, int]
) -> tuple[Tensor | None, Tensor | None]:
    """Where sound and motion act without masks of the artist; None is everywhere, `face` [1,1,h,w] the face's box."""
    if any(stream is None for stream in streams):
        return face, face
    if regions == OFFICIAL:
        return None, None
    masks = region_masks(landmarks, index, None, FEATHER, 0.0, "error", CONDITION)
    return region_mask(masks.mouth[0], *size), region_mask(masks.expression[0], *size)


def own_region(mask: Tensor, picture: Tensor, name: str, size: tuple[int, int]) -> Tensor:
    """The artist's mask [1,1,h,w] in the film's size; ValueError if it is a batch, empty or of another size."""
    if mask.ndim == 3 and mask.shape[0] != 1:
        raise ValueError(f"{CONDITION}: {name} holds {mask.shape[0]} masks; it takes one, which holds for all frames.")
    single = single_mask(mask, picture, name, CONDITION)
    if not single.max() > 0:
        raise ValueError(
            f"{CONDITION}: {name} is black everywhere, so nothing could move there. Paint it, take it out, or set the gate to 0."
        )
    return region_mask(single, *size)


def prepared_scene(vae, picture: np.ndarray, box: tuple, face: Tensor, short_side: int) -> Scene:
    """The portrait [H,W,3] bytes as ACTalker sees it."""
    latent = vae.encode(portrait_picture(picture, short_side).movedim(1, -1))
    if latent.ndim != 4 or latent.shape[1] != 4:
        raise ValueError(f"{CONDITION}: vae makes latents of shape {list(latent.shape)}; Stable Video Diffusion's VAE is needed.")
    arcface, projector, guider = (actalker_part(name, CONDITION) for name in ("arcface", "identity", "pose"))
    networks = ready_together([arcface, projector, guider])
    identity = networks[1](networks[0](identity_picture(picture, box).to(arcface.device)))
    return Scene(latent.float().cpu(), identity.float().cpu(), networks[2](face.to(guider.device)).float().cpu())


class ACTalkerContextWindows(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerContextWindows",
            display_name="ACTalker Context Windows",
            category=CATEGORY,
            description="Denoises a film of any length 25 frames at a time; windows move at every step, so that no seam stays.",
            inputs=[
                io.Model.Input("model", tooltip="From Load ACTalker."),
                io.Int.Input("length", default=WINDOW, min=2, max=1000, tooltip="Frames at once; 25 were trained."),
                io.Int.Input("overlap", default=OVERLAP, min=0, max=999, tooltip="Frames that two windows share; 0 as published."),
                io.Int.Input("shift", default=SHIFT, min=0, max=1000, tooltip="Frames by which all windows move each step."),
            ],
            outputs=[io.Model.Output(tooltip="For ACTalker Guidance or ACTalker Guider.")],
        )

    @classmethod
    def execute(cls, model, length: int, overlap: int, shift: int) -> io.NodeOutput:
        return io.NodeOutput(with_windows(model, length, overlap, shift))


def scale_inputs() -> list[io.Float.Input]:
    """The three scales of the guidance."""
    says = (
        ("image_cfg", "How strongly the film keeps to the portrait"), ("audio_cfg", "How strongly it follows sound"),
        ("motion_cfg", "How strongly it follows the driving motion"),
    )  # fmt: skip
    return [
        io.Float.Input(
            name, default=scale, min=0.0, max=30.0, step=0.1,
            tooltip=f"{text}: {scale:g} as published, 1 no guidance. Equal scales, and closed gates, save a pass.",
        )
        for (name, text), scale in zip(says, GUIDANCE, strict=True)
    ]  # fmt: skip


class ACTalkerGuidance(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerGuidance",
            display_name="ACTalker Guidance",
            category=CATEGORY,
            description="Guides by portrait, sound and motion apart, in core's KSampler, whose own cfg does nothing then.",
            inputs=[io.Model.Input("model", tooltip="From ACTalker Context Windows."), *scale_inputs()],
            outputs=[io.Model.Output(tooltip="For KSampler: euler, karras, 25 steps, denoise 1.")],
        )

    @classmethod
    def execute(cls, model, image_cfg: float, audio_cfg: float, motion_cfg: float) -> io.NodeOutput:
        return io.NodeOutput(with_guidance(model, (image_cfg, audio_cfg, motion_cfg)))


class ACTalkerGuiderNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerGuider",
            display_name="ACTalker Guider",
            category=CATEGORY,
            description="The same guidance for SamplerCustomAdvanced.",
            inputs=[
                io.Model.Input("model", tooltip="From ACTalker Context Windows."),
                io.Conditioning.Input("positive", tooltip="From ACTalker Conditioning."),
                *scale_inputs(),
            ],
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, model, positive, image_cfg: float, audio_cfg: float, motion_cfg: float) -> io.NodeOutput:
        return io.NodeOutput(ACTalkerGuider(model, positive, (image_cfg, audio_cfg, motion_cfg)))


class ACTalkerDecode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerDecode",
            display_name="ACTalker Decode",
            category=CATEGORY,
            description="Decodes a film ten frames at a time from its first, as published, and drops the frames after its end.",
            inputs=[
                io.Latent.Input("samples", tooltip="From the sampler."),
                io.Vae.Input("vae", tooltip="Of Stable Video Diffusion XT."),
                io.Int.Input(
                    "frames", default=0, min=0, max=1000000, tooltip="From ACTalker Conditioning; 0: all but the last 25."
                ),
            ],
            outputs=[io.Image.Output(tooltip="For Create Video, at 12.5 frames per second.")],
        )

    @classmethod
    def execute(cls, samples, vae, frames: int) -> io.NodeOutput:
        latents = samples["samples"]
        wanted = frames or len(latents) - PADDING
        if not 0 < wanted <= len(latents):
            raise ValueError(
                f"ACTalker Decode: frames is {frames}, but samples holds {len(latents)}, of which the last {PADDING} are padding. "
                "Connect frames from ACTalker Conditioning."
            )
        tick, decoded = ticker(), []
        for start in range(0, wanted, DECODED_TOGETHER):
            decoded.append(vae.decode(latents[start : start + DECODED_TOGETHER])[: wanted - start].cpu())
            tick(min(start + DECODED_TOGETHER, wanted), wanted)
        return io.NodeOutput(torch.cat(decoded))


NODES = [
    LoadACTalker, ACTalkerAudio, ACTalkerMotionFromVideo, ACTalkerConditioning, ACTalkerContextWindows, ACTalkerGuidance,
    ACTalkerGuiderNode, ACTalkerDecode,
]  # fmt: skip
