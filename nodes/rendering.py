"""A motion on a prepared portrait as images, or straight into a film."""

from collections.abc import Iterator
from functools import partial

import comfy.model_management
import psutil
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.face.weights import load_person_segmenter
from ..models.face_motion import CONTROLS, FaceMotion
from ..models.media.beside import Beside
from ..models.media.pixels import laid_on
from ..models.media.video_stream import VideoStreamWriter
from ..models.portrait import Portrait
from ..models.rendering import Canvas, drawn_part, masks, render_bytes, render_parts
from ..models.speech.sound import frame_count
from . import sockets
from .films import TempFilm, lost_films, new_film_path
from .gates import Node
from .portrait import CATEGORY, PreparedPortrait, single_mask
from .progress import Estimate, FrameProgress, picture_bytes, tell, ticker

MASK = "Render Portrait Mask"
SOUND_LENGTHS = ("fit the motion", "must be equal")
MOVES = 0.02  # of the jaw's range: less is a mouth that does not move


class RenderPortrait(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitRender",
            display_name="Render Portrait",
            category=CATEGORY,
            description="Draws every frame of a motion as images, to be edited further. For a finished or a "
            "long film, Render Portrait Video needs far less memory.",
            search_aliases=["animate photo", "animate portrait", "avatar frames", "face frames"],
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
        for frames in drawn_frames(portrait, face_motion):
            images[progress.done : progress.done + len(frames)] = frames
            progress.advance(len(frames), partial(picture_bytes, frames[-1]))
        return io.NodeOutput(images, float(face_motion.fps))


class RenderPortraitVideo(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitRenderVideo",
            display_name="Render Portrait Video",
            category=CATEGORY,
            description="Draws a motion straight into a video with its sound. Memory does not grow with length.",
            search_aliases=[
                "talking head",
                "talking avatar",
                "avatar",
                "lip sync video",
                "audio to video",
                "speech to video",
                "image to video",
                "animate photo",
                "animate portrait",
                "photo to video",
                "dub",
            ],
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                sockets.FaceMotion.Input(
                    "face_motion", tooltip="From Generate Face Motion or any motion node."
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The sound of the video, which begins with it. Empty: a silent video.",
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
                io.Combo.Input(
                    "sound_length",
                    options=list(SOUND_LENGTHS),
                    default=SOUND_LENGTHS[0],
                    optional=True,
                    advanced=True,
                    tooltip="Where audio is longer or shorter than the motion: cut it or end in silence, and say "
                    "so under the node; or stop.",
                ),
            ],
            outputs=[
                io.Video.Output(tooltip="For Save Video. An odd width or height grows by one pixel (H.264).")
            ],
        )

    @classmethod
    def execute(
        cls,
        portrait: PreparedPortrait,
        face_motion: FaceMotion,
        crf: float,
        audio=None,
        sound_length: str = SOUND_LENGTHS[0],
    ) -> io.NodeOutput:
        check_frames(face_motion)
        waveform, sample_rate, notes = soundtrack(audio, face_motion, sound_length)
        path = new_film_path()
        estimate = Estimate(len(face_motion), face_motion.fps, notes)
        drawing = FilmDrawing(portrait, len(face_motion))
        with VideoStreamWriter(path, face_motion.fps, waveform, sample_rate, crf) as writer:
            for done in drawing.frames(face_motion, writer):
                estimate.update(done)
        estimate.finish()
        return io.NodeOutput(TempFilm(path))

    @classmethod
    def fingerprint_inputs(cls, **given) -> int:
        return lost_films()


class RenderPortraitMask(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitRenderMask",
            display_name=MASK,
            category=CATEGORY,
            description="Where the person is in every frame of a motion, for cutting the person out: join it to the "
            "images of Render Portrait with Join Image with Alpha (inverted).",
            search_aliases=["alpha", "transparent", "matte", "remove background", "cut out"],
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                sockets.FaceMotion.Input("face_motion", tooltip="The motion that Render Portrait draws."),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="A mask of the picture, in the size in which it is drawn, that moves with the head. Empty: "
                    "the person that Prepare Portrait found or was given.",
                ),
            ],
            outputs=[io.Mask.Output(tooltip="White where the person is, one mask per frame.")],
        )

    @classmethod
    def execute(cls, portrait: PreparedPortrait, face_motion: FaceMotion, mask=None) -> io.NodeOutput:
        check_frames(face_motion)
        own = portrait.portrait
        given = portrait.person if mask is None else single_mask(mask, own.image, "mask", MASK)
        device = comfy.model_management.get_torch_device()
        if mask is not None and given is not None and not given.any():
            raise ValueError(
                "mask is black everywhere, so nothing would be cut out. Paint the person white, or take it out."
            )
        moved = None if given is None else masks(portrait.renderer, own, given, face_motion, device)
        if moved is None:
            moved = found_persons(portrait, face_motion, mask)
        tick, parts, done = ticker(), [], 0
        for part in moved:
            parts.append(part.cpu())
            done += len(part)
            tick(done, len(face_motion))
        return io.NodeOutput(torch.cat(parts))


def found_persons(prepared: PreparedPortrait, motion: FaceMotion, mask: Tensor | None) -> Iterator[Tensor]:
    """Masks [n,H,W] of the person, found in each drawn frame; ValueError if a mask was given, which cannot move."""
    if mask is not None:
        raise ValueError(
            f"mask cannot move along, for {prepared.portrait.renderer} draws the face anew. Take it out: then the "
            "person is found in every frame. Or choose built-in warp in Load Portrait Renderer."
        )
    segmenter = load_person_segmenter()
    for frames in drawn_frames(prepared, motion):
        yield torch.stack([segmenter.mask(frame.float().cpu()) for frame in frames])


def drawn_frames(prepared: PreparedPortrait, motion: FaceMotion) -> Iterator[Tensor]:
    """Frames [n,H,W,3] of a motion in 0..1, n as the renderer's memory bound allows."""
    renderer, portrait = prepared.renderer, prepared.portrait
    box = drawn_part(renderer, portrait)
    for parts in render_parts(renderer, portrait, motion, comfy.model_management.get_torch_device()):
        yield laid_on(portrait.image, box, parts.to(portrait.image.device))


class FilmDrawing:
    """Draws motions of one portrait into a film of `total` frames, with progress and previews.

    A thread fetches what was drawn, lays it on the picture and encodes it, so that drawing waits for neither.
    """

    def __init__(self, prepared: PreparedPortrait, total: int):
        self.renderer, self.portrait = prepared.renderer, prepared.portrait
        self.progress = FrameProgress(total)
        self.canvas = Canvas(self.portrait.image, drawn_part(self.renderer, self.portrait))

    def frames(self, motion: FaceMotion, writer: VideoStreamWriter) -> Iterator[int]:
        """Draw and write all of a motion; gives how many frames of the film are done, batch by batch."""
        device = comfy.model_management.get_torch_device()

        @torch.inference_mode()  # which is a thread's own
        def encode(parts: Tensor) -> None:
            for part in parts.cpu():
                writer.write(self.canvas.lay(part)[None])

        with Beside(encode) as encoding:
            for drawn in render_bytes(self.renderer, self.portrait, motion, device):
                encoding.give(drawn)
                self.progress.advance(len(drawn), partial(self.canvas.with_part, drawn[-1]))
                yield self.progress.done


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


def soundtrack(audio: dict | None, motion: FaceMotion, length: str) -> tuple[Tensor | None, int, list[str]]:
    """Waveform [C,T] and rate of a film's sound, and what the artist should know of it.

    ValueError if it must last as long as the motion and does not.
    """
    if audio is None:
        return None, 0, []
    waveform, rate = audio["waveform"][0], audio["sample_rate"]
    notes = loudness_notes(waveform) + mouth_notes(motion)
    seconds, film = waveform.shape[-1] / rate, float(len(motion) / motion.fps)
    if abs(frame_count(seconds, motion.fps) - len(motion)) <= 1:
        return waveform, rate, notes
    if length == SOUND_LENGTHS[1]:
        raise ValueError(
            f"audio lasts {seconds:.2f} s, but face_motion has {len(motion)} frames "
            f"({film:.2f} s at {float(motion.fps):g} fps). Give both the same "
            f"audio, trim one, or set sound_length to {SOUND_LENGTHS[0]}."
        )
    if seconds > film:
        return waveform, rate, [*notes, f"the last {seconds - film:.1f} s of audio are left out"]
    return (
        waveform,
        rate,
        [*notes, f"audio ends {film - seconds:.1f} s before the film, which goes on in silence"],
    )


def loudness_notes(waveform: Tensor) -> list[str]:
    """What to say where a sound [C,T] is louder than a film can hold."""
    peak = float(max(map(abs, waveform.aminmax()))) if waveform.numel() else 0.0
    if peak <= 1:
        return []
    return [
        f"audio is louder than full scale (its peak is {peak:.3g}), so the film's sound is cut to 1; lower its volume"
    ]


def mouth_notes(motion: FaceMotion) -> list[str]:
    """What to say of a film with sound whose mouth stays as it is."""
    low, high = motion.controls[:, CONTROLS.index("jawOpen")].aminmax()
    return ["no speech was heard, so the mouth rests"] if high - low < MOVES else []


NODES = [RenderPortrait, RenderPortraitVideo, RenderPortraitMask]
