"""ACTalker's sampling in core's samplers: windows over a long film, guidance, and decoding."""

import torch
from comfy_api.latest import io

from ..models.actalker.context import with_windows
from ..models.actalker.core_model import ACTalkerModel
from ..models.actalker.guidance import ACTalkerGuider, with_guidance
from ..models.actalker.sampling import DECODED_TOGETHER, GUIDANCE, OVERLAP, PADDING, SHIFT, WINDOW
from .actalker_parts import CATEGORY, LOAD
from .gates import Node
from .progress import ticker

WINDOWS, GUIDED, GUIDER, DECODE = (
    "ACTalker Context Windows",
    "ACTalker Guidance",
    "ACTalker Guider",
    "ACTalker Decode",
)


def own_model(model):
    """The MODEL, if it is ACTalker's; ValueError if it is another, such as the plain SVD of the checkpoint
    that gives the VAE."""
    if not isinstance(model.model, ACTalkerModel):
        raise ValueError(f"model is {type(model.model).__name__}, not ACTalker. Connect the MODEL of {LOAD}.")
    return model


class ACTalkerContextWindows(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerContextWindows",
            display_name=WINDOWS,
            category=CATEGORY,
            description="Denoises a film of any length 25 frames at a time; windows move at every step, so "
            "that no seam stays.",
            search_aliases=["long video", "sliding window"],
            inputs=[
                io.Model.Input("model", tooltip="From Load ACTalker."),
                io.Int.Input(
                    "length", default=WINDOW, min=2, max=1000, tooltip="Frames at once; 25 were trained."
                ),
                io.Int.Input(
                    "overlap",
                    default=OVERLAP,
                    min=0,
                    max=999,
                    tooltip="Frames that two windows share; 0 as published.",
                ),
                io.Int.Input(
                    "shift",
                    default=SHIFT,
                    min=0,
                    max=1000,
                    tooltip="Frames by which all windows move each step.",
                ),
            ],
            outputs=[io.Model.Output(tooltip="For ACTalker Guidance or ACTalker Guider.")],
        )

    @classmethod
    def execute(cls, model, length: int, overlap: int, shift: int) -> io.NodeOutput:
        return io.NodeOutput(with_windows(own_model(model), length, overlap, shift))


def scale_inputs() -> list[io.Float.Input]:
    """The three scales of the guidance."""
    says = (
        ("image_cfg", "How strongly the film keeps to the portrait"),
        ("audio_cfg", "How strongly it follows sound"),
        ("motion_cfg", "How strongly it follows the driving motion"),
    )  # fmt: skip
    return [
        io.Float.Input(
            name, default=scale, min=0.0, max=30.0, step=0.1,
            tooltip=f"{text}: {scale:g} as published, 1 no guidance. Equal scales, and closed gates, save a pass.",
        )
        for (name, text), scale in zip(says, GUIDANCE, strict=True)
    ]  # fmt: skip


class ACTalkerGuidance(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerGuidance",
            display_name=GUIDED,
            category=CATEGORY,
            description="Guides by portrait, sound and motion apart, in core's KSampler, whose own cfg does "
            "nothing then.",
            search_aliases=["cfg", "audio guidance"],
            inputs=[io.Model.Input("model", tooltip="From ACTalker Context Windows."), *scale_inputs()],
            outputs=[io.Model.Output(tooltip="For KSampler: euler, karras, 25 steps, denoise 1.")],
        )

    @classmethod
    def execute(cls, model, image_cfg: float, audio_cfg: float, motion_cfg: float) -> io.NodeOutput:
        return io.NodeOutput(with_guidance(own_model(model), (image_cfg, audio_cfg, motion_cfg)))


class ACTalkerGuiderNode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerGuider",
            display_name=GUIDER,
            category=CATEGORY,
            description="The same guidance for SamplerCustomAdvanced.",
            search_aliases=["cfg", "sampler custom", "audio guidance"],
            inputs=[
                io.Model.Input("model", tooltip="From ACTalker Context Windows."),
                io.Conditioning.Input("positive", tooltip="From ACTalker Conditioning."),
                *scale_inputs(),
            ],
            outputs=[io.Guider.Output(tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    def execute(cls, model, positive, image_cfg: float, audio_cfg: float, motion_cfg: float) -> io.NodeOutput:
        return io.NodeOutput(ACTalkerGuider(own_model(model), positive, (image_cfg, audio_cfg, motion_cfg)))


class ACTalkerDecode(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerDecode",
            display_name=DECODE,
            category=CATEGORY,
            description="Decodes a film ten frames at a time from its first, as published, and drops the "
            "frames after its end.",
            search_aliases=["vae decode", "svd decode", "tiled decode"],
            inputs=[
                io.Latent.Input("samples", tooltip="From the sampler."),
                io.Vae.Input("vae", tooltip="Of Stable Video Diffusion XT."),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=1000000,
                    tooltip="From ACTalker Conditioning; 0: all but the last 25.",
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
                f"frames is {frames}, but samples holds {len(latents)}, of which the last {PADDING} are "
                "padding. Connect frames from ACTalker Conditioning."
            )
        tick, decoded = ticker(), []
        for start in range(0, wanted, DECODED_TOGETHER):
            decoded.append(vae.decode(latents[start : start + DECODED_TOGETHER])[: wanted - start].cpu())
            tick(min(start + DECODED_TOGETHER, wanted), wanted)
        return io.NodeOutput(torch.cat(decoded))


NODES = [ACTalkerContextWindows, ACTalkerGuidance, ACTalkerGuiderNode, ACTalkerDecode]
