"""From a picture and a face motion to frames, by any renderer: prepare a portrait, render it."""

from collections.abc import Iterator
from dataclasses import dataclass

import comfy.model_management
import numpy as np
import psutil
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.contracts import PortraitRenderer
from ..models.face.landmarks import select_face
from ..models.face.weights import load_person_segmenter
from ..models.face_motion import FaceMotion, resolve
from ..models.media.video_stream import VideoStreamWriter
from ..models.portrait import FaceLandmarks478, Portrait
from ..models.speech.sound import frame_count
from . import sockets
from .films import TempFilm, lost_films, new_film_path
from .gates import Node
from .progress import Estimate, FrameProgress, tell

CATEGORY = "talking portrait/portrait"
PREPARE = "Prepare Portrait"


@dataclass(frozen=True)
class PreparedPortrait:
    """What travels on a PORTRAIT socket: the portrait and the renderer that can draw it."""

    renderer: PortraitRenderer
    portrait: Portrait


class PreparePortrait(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitPrepare",
            display_name="Prepare Portrait",
            category=CATEGORY,
            description="Makes one face of a picture ready to be moved. Done once per picture, however long the film.",
            inputs=[
                sockets.PortraitRenderer.Input("renderer", tooltip="From Load Portrait Renderer."),
                io.Image.Input(
                    "image", tooltip="One picture, any size; the whole picture stays in the video."
                ),
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    tooltip="From Detect Face Landmarks (MediaPipe) or Face Landmarks from Box, for the same picture.",
                ),
                io.Int.Input(
                    "face_index",
                    default=0,
                    min=0,
                    max=63,
                    tooltip="Which face, if there are several: 0 is the first that the detector lists.",
                ),
                # a socket only: the page's own widget would always hold some box
                sockets.BoundingBox.Input(
                    "face_box",
                    extra_dict={"forceInput": True},
                    optional=True,
                    tooltip="Instead of the index: the face that overlaps this box most, in pixels.",
                ),
                io.Mask.Input(
                    "person_mask",
                    optional=True,
                    tooltip="White where the person is; background stays still behind the head. Made for you "
                    "when empty.",
                ),
            ],
            outputs=[sockets.Portrait.Output(tooltip="For Render Portrait and Render Portrait Video.")],
        )

    @classmethod
    def execute(
        cls, renderer, image, face_landmarks, face_index, face_box=None, person_mask=None
    ) -> io.NodeOutput:
        picture = single_picture(image)
        check_same_size(picture, face_landmarks)
        points = select_face(face_landmarks, face_index, face_box)
        if person_mask is None:
            mask = load_person_segmenter().mask(picture)
        else:
            mask = white_on_face(single_mask(person_mask, picture), points)
        face = FaceLandmarks478(points)
        portrait = Portrait.of(renderer.prepare(picture, face, mask), picture, face, renderer.id)
        return io.NodeOutput(PreparedPortrait(renderer, portrait))


class RenderPortrait(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitRender",
            display_name="Render Portrait",
            category=CATEGORY,
            description="Draws every frame of a motion as images, to be edited further. For a finished or a "
            "long film, Render Portrait Video needs far less memory.",
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                sockets.FaceMotion.Input(
                    "face_motion", tooltip="From Generate Face Motion or any motion node."
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", tooltip="One image per frame, in the picture's own size."
                ),
                io.Float.Output(
                    display_name="fps", tooltip="Frames per second of the motion, for Create Video."
                ),
            ],
        )

    @classmethod
    def execute(cls, portrait: PreparedPortrait, face_motion: FaceMotion) -> io.NodeOutput:
        check_frames(face_motion)
        check_memory(portrait.portrait, len(face_motion))
        progress = FrameProgress(len(face_motion))
        height, width = portrait.portrait.image.shape[:2]
        images = torch.empty(
            (len(face_motion), height, width, 3),
            dtype=comfy.model_management.intermediate_dtype(),
            device=comfy.model_management.intermediate_device(),
        )
        for frames in render_in_batches(portrait, face_motion):
            images[progress.done : progress.done + len(frames)] = frames.to(images)
            progress.advance(frames)
        return io.NodeOutput(images, float(face_motion.fps))


class RenderPortraitVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitRenderVideo",
            display_name="Render Portrait Video",
            category=CATEGORY,
            description="Draws a motion straight into a video with its sound. Memory does not grow with length.",
            search_aliases=["talking head", "lip sync", "animate portrait"],
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                sockets.FaceMotion.Input(
                    "face_motion", tooltip="From Generate Face Motion or any motion node."
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The sound of the video; as long as the motion. Empty: a silent video.",
                ),
                io.Float.Input(
                    "crf",
                    default=16.0,
                    min=0.0,
                    max=40.0,
                    step=1.0,
                    advanced=True,
                    tooltip="H.264 constant quality: 0 is lossless, 16 looks lossless, 23 is small, higher is worse.",
                ),
            ],
            outputs=[
                io.Video.Output(tooltip="For Save Video. An odd width or height grows by one pixel (H.264).")
            ],
        )

    @classmethod
    def execute(
        cls, portrait: PreparedPortrait, face_motion: FaceMotion, crf: float, audio=None
    ) -> io.NodeOutput:
        check_frames(face_motion)
        waveform, sample_rate = soundtrack(audio, face_motion)
        path = new_film_path()
        progress = FrameProgress(len(face_motion))
        estimate = Estimate(len(face_motion), face_motion.fps)
        with VideoStreamWriter(path, face_motion.fps, waveform, sample_rate, crf) as writer:
            for frames in render_in_batches(portrait, face_motion):
                writer.write(frames)
                progress.advance(frames)
                estimate.update(progress.done)
        return io.NodeOutput(TempFilm(path))

    @classmethod
    def fingerprint_inputs(cls, **given) -> int:
        return lost_films()


def render_in_batches(prepared: PreparedPortrait, motion: FaceMotion) -> Iterator[Tensor]:
    """Frames [n,H,W,3] of a motion, n as the renderer's memory bound allows."""
    device = comfy.model_management.get_torch_device()
    renderer, portrait = prepared.renderer, prepared.portrait
    resolved = resolve(motion, portrait.motion, portrait.policy)
    batch = renderer.frames_per_batch(portrait, device)
    for start in range(0, len(motion), batch):
        part = resolved.slice(start, min(start + batch, len(motion)))
        yield checked_frames(
            renderer, renderer.render(portrait, part, device), (len(part), *portrait.image.shape)
        )


def checked_frames(renderer: PortraitRenderer, frames: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The frames; ValueError in the renderer's name if they are none of this shape."""
    if not isinstance(frames, Tensor) or tuple(frames.shape) != shape or not frames.is_floating_point():
        found = tuple(frames.shape) if isinstance(frames, Tensor) else type(frames).__name__
        raise ValueError(
            f"{renderer.id} drew {found} where {shape} in 0..1 was asked for; the renderer is at fault."
        )
    return frames


def single_picture(image: Tensor, node: str = PREPARE) -> Tensor:
    """[1,H,W,C] -> [H,W,3] float32 on the CPU; ValueError for a batch or for values that are no numbers."""
    if image.shape[0] != 1:
        raise ValueError(
            f"{node}: image holds {image.shape[0]} pictures; it takes one. Choose one with Get Image from Batch."
        )
    picture = image[0].float().cpu()
    picture = picture.expand(-1, -1, 3) if picture.shape[-1] == 1 else picture[..., :3]
    if not torch.isfinite(picture).all():
        raise ValueError(
            f"{node}: image has values that are not numbers (NaN); look at the node that made it."
        )
    return picture.clamp(0, 1).contiguous()


def single_mask(mask: Tensor, picture: Tensor, name: str = "person_mask", node: str = PREPARE) -> Tensor:
    """[1,h,w] or [h,w] -> [H,W]; ValueError if it is of another size than the picture."""
    mask = mask.reshape(-1, *mask.shape[-2:])[0].float().cpu()
    if mask.shape != picture.shape[:2]:
        raise ValueError(
            f"{node}: {name} is {mask.shape[1]}x{mask.shape[0]}, but image is "
            f"{picture.shape[1]}x{picture.shape[0]}; they must be of one size."
        )
    return mask


def check_same_size(picture: Tensor, face_landmarks: dict, node: str = PREPARE) -> None:
    """ValueError if the landmarks were found in a picture of another size."""
    height, width = face_landmarks["image_size"]
    if (height, width) != tuple(picture.shape[:2]):
        raise ValueError(
            f"{node}: face_landmarks were found in a {width}x{height} picture, but image is "
            f"{picture.shape[1]}x{picture.shape[0]}; detect the landmarks in the same picture."
        )


def white_on_face(mask: Tensor, points: np.ndarray) -> Tensor:
    """The person's mask [H,W], if it is white where the face [478,3] is; ValueError if it is the wrong way round."""
    height, width = mask.shape
    x = torch.from_numpy(points[:, 0]).long().clamp(0, width - 1)
    y = torch.from_numpy(points[:, 1]).long().clamp(0, height - 1)
    if mask[y, x].mean() < 0.5:
        raise ValueError(
            "person_mask is black where the face is; it must be white where the person is. Use Invert Mask: "
            "the mask of Load Image, for one, is white where the picture is transparent."
        )
    return mask


def check_frames(motion: FaceMotion) -> None:
    """ValueError if there is nothing to render."""
    if len(motion) == 0:
        raise ValueError("face_motion has 0 frames, so there is nothing to render.")


def check_memory(portrait: Portrait, frames: int) -> None:
    """ValueError if that many frames would not fit into the free memory."""
    needed = frames * portrait.image.numel() * 4
    free = psutil.virtual_memory().available
    if needed > 0.9 * free:
        raise ValueError(
            f"{frames} frames would take {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free. Use Render "
            "Portrait Video: it keeps only a few frames in memory."
        )


def soundtrack(audio: dict | None, motion: FaceMotion) -> tuple[Tensor | None, int]:
    """Waveform [C,T] and rate of a video's sound; ValueError if it does not last as long as the motion."""
    if audio is None:
        return None, 0
    waveform, rate = audio["waveform"][0], audio["sample_rate"]
    seconds = waveform.shape[-1] / rate
    if abs(frame_count(seconds, motion.fps) - len(motion)) > 1:
        raise ValueError(
            f"audio lasts {seconds:.2f} s, but face_motion has {len(motion)} frames "
            f"({float(len(motion) / motion.fps):.2f} s at {float(motion.fps):g} fps). Give both the same "
            "audio, or trim one."
        )
    note_loudness(waveform)
    return waveform, rate


def note_loudness(waveform: Tensor) -> None:
    """Say it when a sound [C,T] is louder than a film can hold."""
    if waveform.numel() and (peak := float(max(map(abs, waveform.aminmax())))) > 1:
        tell(
            f"audio is louder than full scale (its peak is {peak:.3g}), so the film's sound is cut to 1; "
            "lower its volume."
        )


NODES = [PreparePortrait, RenderPortrait, RenderPortraitVideo]
