"""ACTalker's conditioning: portrait, sound and motion together, each with its region and its gate."""

import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ..models.actalker.conditioning import Gate, Scene, Stream, conditioning, film_frames
from ..models.actalker.core_model import AS_TRAINED, Liveliness
from ..models.actalker.geometry import working_size
from ..models.actalker.pictures import (
    FPS,
    face_box,
    face_box_picture,
    identity_picture,
    portrait_picture,
    region_mask,
)
from ..models.actalker.regions import Regions, level_region
from ..models.face.landmarks import select_face
from ..models.face.regions import region_masks
from ..models.face_motion.curve import EXAMPLE, Curve
from . import sockets
from .actalker_parts import CATEGORY, CONDITION, actalker_part, part_menu
from .catalogue.files_node import NodeWithFiles
from .catalogue.loading import ready_together
from .face import to_uint8
from .portrait import check_same_size, single_mask, single_picture

SEPARATE, OFFICIAL = "each in its region", "official"
FEATHER = 16.0
AS_START = -0.05  # one step below 0


class ACTalkerConditioning(NodeWithFiles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitACTalkerConditioning",
            display_name=CONDITION,
            category=CATEGORY,
            description="Brings portrait, sound and motion together: what each drives (masks), and how far (gates).",
            search_aliases=["parallel control", "mask drop", "motion bucket", "svd conditioning"],
            inputs=[
                io.Vae.Input("vae", tooltip="Of Stable Video Diffusion XT."),
                io.Image.Input("image", tooltip="The portrait; one picture."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same picture."
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face, 0 is the largest."),
                sockets.ACTalkerAudio.Input("actalker_audio", optional=True, tooltip="From ACTalker Audio."),
                sockets.ACTalkerMotion.Input("actalker_motion", optional=True,
                tooltip="From ACTalker Motion from Video."),
                io.Mask.Input(
                    "audio_mask", optional=True,
                    tooltip="Where sound acts, in the portrait's size; the mamba layers hear only where it "
                    "is fully white. Empty: see regions. Nothing while audio_gate is closed.",
                ),
                io.Mask.Input("motion_mask", optional=True,
                tooltip="Where the driving motion acts, like audio_mask."),
                gate_input("audio"),
                gate_input("motion"),
                io.Combo.Input(
                    "regions", options=[SEPARATE, OFFICIAL],
                    tooltip=f"Without masks. {SEPARATE}: sound moves the mouth, motion the rest of the face; "
                    f"one alone all of it. {OFFICIAL}: as the published script, where both together act "
                    "everywhere.",
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
                curve_input("audio"),
                curve_input("motion"),
                *liveliness_inputs(),
                part_menu("arcface", "The network that knows the person."),
                part_menu("identity", "From the person to ACTalker's tokens."),
                part_menu("pose", "What sees the face's place."),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="For ACTalker Guider, or KSampler."),
                io.Conditioning.Output(display_name="negative",
                tooltip="Sees and hears nothing; for KSampler."),
                io.Latent.Output(display_name="latent", tooltip="For the sampler: the portrait in every "
                "frame, and 25 more."),
                io.Int.Output(display_name="frames", tooltip="Frames of the film, for ACTalker Decode."),
                io.Float.Output(display_name="fps", tooltip="Frames per second of the film: 12.5."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, vae, image, face_landmarks, face_index, audio_gate, motion_gate, regions, frames, short_side,
        audio_gate_end,
        motion_gate_end, actalker_audio=None, actalker_motion=None, audio_mask=None, motion_mask=None,
        audio_gate_curve="",
        motion_gate_curve="", motion_bucket=int(AS_TRAINED.motion_bucket),
        expression_bucket=int(AS_TRAINED.expression_bucket),
        adapter_scale=AS_TRAINED.adapter_scale, arcface_file=None, identity_file=None, pose_file=None,
    ) -> io.NodeOutput:  # fmt: skip
        picture = single_picture(image, CONDITION)
        check_same_size(picture, face_landmarks, CONDITION)
        points = select_face(face_landmarks, face_index)[:, :2]
        check_acts("audio", actalker_audio, audio_gate, audio_gate_end, audio_gate_curve, audio_mask)
        check_acts("motion", actalker_motion, motion_gate, motion_gate_end, motion_gate_curve, motion_mask)
        gates = (
            gate("audio", audio_gate, audio_gate_end, audio_gate_curve),
            gate("motion", motion_gate, motion_gate_end, motion_gate_curve),
        )
        heard, seen = streams = [
            None if g.closed else stream
            for stream, g in zip((actalker_audio, actalker_motion), gates, strict=True)
        ]
        count = film_frames([stream for stream in streams if stream is not None], frames)
        size = working_size(picture.shape[1], picture.shape[0], short_side)
        face = face_box_picture(to_uint8(picture), face_box(points), short_side)
        usual = usual_regions(regions, streams, face_landmarks, face_index, face[:, :1], size)
        masks = {"audio_mask": audio_mask, "motion_mask": motion_mask}
        check_needed(regions, masks)
        audio_region, motion_region = (
            default if mask is None or stream is None else own_region(mask, picture, name, size)
            for (name, mask), default, stream in zip(masks.items(), usual, streams, strict=True)
        )
        files = {"arcface": arcface_file, "identity": identity_file, "pose": pose_file}
        scene = prepared_scene(vae, to_uint8(picture), face_box(points), face, short_side, files)
        liveliness = Liveliness(motion_bucket, expression_bucket, adapter_scale)
        positive, negative, latent = conditioning(
            scene, count, heard, seen, gates, Regions(audio_region, motion_region), liveliness=liveliness
        )
        return io.NodeOutput(positive, negative, {"samples": latent}, count, float(FPS))


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


def curve_input(name: str) -> io.String.Input:
    return io.String.Input(
        f"{name}_gate_curve", default="", optional=True, advanced=True,
        tooltip=f"Factor on {name}_gate over time, seconds:value from 0 to 1, such as {EXAMPLE}. Empty: constant.",
    )  # fmt: skip


def liveliness_inputs() -> list[io.Int.Input | io.Float.Input]:
    """How much the film moves beside what drives it."""
    trained = "as published; which others it was trained with is not known"
    return [
        io.Int.Input(
            "motion_bucket", default=int(AS_TRAINED.motion_bucket), min=0, max=127, optional=True,
            advanced=True,
            tooltip=f"How much the head moves, 0 to 127: 12 {trained}. Try 6 for calmer, 24 for livelier.",
        ),
        io.Int.Input(
            "expression_bucket", default=int(AS_TRAINED.expression_bucket), min=0, max=127, optional=True,
            advanced=True,
            tooltip=f"How much the face moves, 0 to 127: 20 {trained}. Try 10 for calmer, 40 for livelier.",
        ),
        io.Float.Input(
            "adapter_scale", default=AS_TRAINED.adapter_scale, min=0.0, max=5.0, step=0.05, optional=True,
            advanced=True,
            tooltip="Factor on the attention to sound and motion, beside the mamba layers: 1.25 as trained, "
            "0 leaves them to the mamba layers alone.",
        ),
    ]  # fmt: skip


def check_acts(
    name: str, stream: Stream | None, start: float, end: float, curve: str, mask: Tensor | None
) -> None:
    """ValueError where something is set for a signal that is not connected. A gate of 0 may stay: it says the same."""
    given = {
        f"{name}_gate": start not in (0.0, 1.0), f"{name}_gate_end": end > 0,
        f"{name}_gate_curve": curve.strip(),
        f"{name}_mask": mask is not None,
    }  # fmt: skip
    idle = [label for label, value in given.items() if value]
    if stream is None and idle:
        raise ValueError(
            f"{' and '.join(idle)} would do nothing, since actalker_{name} is empty. Connect it, or take them back."
        )


def check_needed(regions: str, masks: dict[str, Tensor | None]) -> None:
    """ValueError where `regions` would do nothing, since masks say where both signals act."""
    if regions == OFFICIAL and all(mask is not None for mask in masks.values()):
        raise ValueError(
            f"regions is {OFFICIAL}, but {' and '.join(masks)} say where both act. Take them out, or set {SEPARATE}."
        )


def gate(name: str, start: float, end: float, curve: str) -> Gate:
    """A signal's two sliders and its curve as a gate."""
    factor = (
        Curve.parse(curve, f"{CONDITION}: {name}_gate_curve", 1.0) if curve.strip() else Curve.constant(1)
    )
    return Gate(start, start if end < 0 else end, factor)


def usual_regions(
    regions: str,
    streams: list[Stream | None],
    landmarks: dict,
    index: int,
    face: Tensor,
    size: tuple[int, int],
) -> tuple[Tensor | None, Tensor | None]:
    """Where sound and motion act without masks of the artist; None is everywhere, `face` [1,1,h,w] the face's box."""
    if any(stream is None for stream in streams):
        return face, face
    if regions == OFFICIAL:
        return None, None
    masks = region_masks(landmarks, index, None, FEATHER, 0.0, "error")
    return region_mask(masks.mouth[0], *size), region_mask(masks.expression[0], *size)


def own_region(mask: Tensor, picture: Tensor, name: str, size: tuple[int, int]) -> Tensor:
    """The artist's mask [1,1,h,w] in the film's size; ValueError if it is empty, of another size, or leaves
    nothing to a layer."""
    single = single_mask(mask, picture, name, CONDITION)
    if not single.max() > 0:
        raise ValueError(
            f"{name} is black everywhere, so nothing could move there. Paint it, take it out, or set the gate to 0."
        )
    width, height = size
    region = region_mask(single, width, height)
    level = level_region(region, height // 8, width // 8)
    if level.closed:
        raise ValueError(
            f"{name} is too small: nothing of it is left where a film of {width}x{height} pixels is "
            "denoised, with one point for 8x8 pixels. Paint it larger, or raise short_side."
        )
    if level.tokens is not None and len(level.tokens) == 0:
        raise ValueError(
            f"{name} is nowhere fully white over 8x8 pixels of the film (its lightest value is "
            f"{single.max():.2f}), so the mamba layers would hear and see nothing. Make it white where the "
            "signal acts; only its edge may be grey."
        )
    return region


def prepared_scene(
    vae, picture: np.ndarray, box: tuple, face: Tensor, short_side: int, files: dict[str, str | None]
) -> Scene:
    """The portrait [H,W,3] bytes as ACTalker sees it; `files` are chosen for each of its networks."""
    latent = vae.encode(portrait_picture(picture, short_side).movedim(1, -1))
    if latent.ndim != 4 or latent.shape[1] != 4:
        raise ValueError(
            f"vae makes latents of shape {list(latent.shape)}; Stable Video Diffusion's VAE is needed."
        )
    arcface, projector, guider = (actalker_part(name, CONDITION, file) for name, file in files.items())
    networks = ready_together([arcface, projector, guider])
    identity = networks[1](networks[0](identity_picture(picture, box).to(arcface.device)))
    return Scene(
        latent.float().cpu(), identity.float().cpu(), networks[2](face.to(guider.device)).float().cpu()
    )


NODES = [ACTalkerConditioning]
