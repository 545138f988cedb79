"""Dub a film: learn it once, then give its person new lips, as a film or as images."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import comfy.model_management
import psutil
import torch
from comfy_api.latest import io
from torch import Tensor

from ..models.builtin.dub import WarpDubber
from ..models.builtin.styles import PICTURE_STYLES
from ..models.builtin.warp import WarpRenderer
from ..models.contracts import PortraitRenderer
from ..models.face.landmarks import select_face
from ..models.face_motion import FaceMotion
from ..models.footage.dubbing import Dubber, Dubbing
from ..models.footage.footage import Footage, Shot, learn
from ..models.footage.redrawing import RedrawingDubber
from ..models.footage.voice import LONGER, OUTSIDE, Line, line_of
from ..models.media.beside import Beside
from ..models.media.film_sound import laid_over
from ..models.media.pixels import rounded_bytes
from ..models.media.video_stream import VideoStreamWriter
from . import sockets
from .films import TempFilm, lost_films, new_film_path
from .gates import Node
from .portrait import check_same_size, single_picture
from .progress import Estimate, FrameProgress, picture_bytes, tell, ticker
from .rendering import loudness_notes, mouth_notes
from .videos import film_of, frames_expected, sound_of

CATEGORY = "talking portrait/video"
FOOTAGE, DUB, IMAGES = "Prepare Footage", "Dub Video", "Dub Video (images)"
TEETH = ("footage", "drawn")
TOLD_EVERY = 8  # frames


@dataclass(frozen=True)
class PreparedFootage(Footage):
    """What travels on a FOOTAGE socket: the learnt film, and the VIDEO that it was."""

    video: Any = None


class PrepareFootage(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitPrepareFootage",
            display_name=FOOTAGE,
            category=CATEGORY,
            description="Learns a film of a speaking person, so that its lips can say something else. Done once per "
            "film, whatever is said then.",
            search_aliases=["dub", "lip sync video", "lipsync", "video to video", "source video", "footage"],
            inputs=[
                io.Video.Input("video", tooltip="From Load Video. It is read frame by frame, however long it is."),
                sockets.FaceDetectionModel.Input(
                    "face_detection_model", tooltip="From Load Face Detector (built-in)."
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=5,
                    tooltip="Whose lips, if there are several faces: 0 is the largest in the first frame of each shot. "
                    "It is then followed.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", extra_dict={"forceInput": True}, optional=True,
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed. One box for "
                    "each frame chooses in each.",
                ),
                io.Image.Input(
                    "reference", optional=True,
                    tooltip="A picture of the same person with closed lips, for films that have no closed mouth, or "
                    "only blurred ones.",
                ),
                sockets.FaceLandmarks.Input(
                    "reference_landmarks", optional=True,
                    tooltip="From Detect Face Landmarks (MediaPipe), for the picture at reference.",
                ),
            ],
            outputs=[
                sockets.Footage.Output(display_name="footage", tooltip="For Dub Video."),
                io.Float.Output(
                    display_name="fps", tooltip="Frames per second of the film, for Generate Face Motion."
                ),
                io.Int.Output(display_name="frames", tooltip="How many frames the film has."),
                io.String.Output(
                    display_name="report", tooltip="Shots, the frame each takes its mouth from, and frames that stay "
                    "as filmed and why. Show it with Preview as Text.",
                ),
                io.Image.Output(
                    display_name="reference", tooltip="The closed mouth of each shot, whose texture is used."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video, face_detection_model, face_index, face_box=None, reference=None, reference_landmarks=None
    ) -> io.NodeOutput:
        if not hasattr(face_detection_model, "detect_batch"):
            raise ValueError(
                "face_detection_model cannot look for faces. Connect Load Face Detector (built-in)."
            )
        if face_box is not None and face_index:
            raise ValueError(
                f"face_index is {face_index}, but face_box chooses the face already. Set face_index to 0, or take "
                "face_box out."
            )
        known = learn(
            film_of(video), face_detection_model, face_index, face_box, given_reference(reference, reference_landmarks),
            ticker(), frames_expected(video),
        )  # fmt: skip
        footage = PreparedFootage(**vars(known), video=video)
        report = footage.report()
        tell(report.replace("\n", " "))
        sources = {id(shot.reference): shot.reference for shot in footage.shots if shot.reference is not None}
        shown = torch.stack([source.shown() for source in sources.values()])
        return io.NodeOutput(footage, float(footage.fps), len(footage), report, shown)


def given_reference(reference: Tensor | None, landmarks: dict | None) -> tuple[Tensor, Any] | None:
    """A picture and its landmarks; ValueError if only one of them is there."""
    if (reference is None) != (landmarks is None):
        raise ValueError(
            "reference and reference_landmarks belong together: connect Detect Face Landmarks (MediaPipe) for that "
            "picture too, or neither."
        )
    if reference is None or landmarks is None:
        return None
    picture = single_picture(reference, FOOTAGE)
    check_same_size(picture, landmarks, FOOTAGE)
    try:
        return picture, select_face(landmarks)
    except ValueError as error:
        raise ValueError(str(error).replace("face_landmarks", "reference_landmarks")) from None


def dubbing_inputs() -> list:
    """What both nodes ask for."""
    masks = sockets.MaskPerFrame(
        "keep_mask", optional=True,
        tooltip="White stays as filmed: a hand, a microphone, another person's beard. One mask, or one for each frame "
        "of the new film.",
    )  # fmt: skip
    return [
        sockets.Footage.Input("footage", tooltip="From Prepare Footage."),
        sockets.FaceMotion.Input(
            "face_motion", tooltip="From Generate Face Motion, at the fps of Prepare Footage; only its lips are used."
        ),
        io.Float.Input(
            "start", default=0.0, min=0.0, max=86400.0, step=0.04, tooltip="Where the voice begins, in seconds.",
        ),
        io.Float.Input(
            "keep_expression", default=1.0, min=0.0, max=1.0, step=0.05,
            tooltip="How much of the smile in the footage stays: 0 a calm mouth, or the motion's smile; 1 all of it.",
        ),
        io.Combo.Input(
            "outside_voice", options=list(OUTSIDE),
            tooltip="Before and after the voice: the film as it was, over 0.2 s, or a closed mouth.",
        ),
        io.Combo.Input(
            "if_voice_longer", options=list(LONGER),
            tooltip="Where the voice ends after the film: stop, or let the film run backwards and forwards.",
        ),
        io.Float.Input(
            "edge", default=0.22, min=0.02, max=0.6, step=0.01, advanced=True,
            tooltip="Width of the soft edge around the new mouth, in mouth widths.",
        ),
        io.Combo.Input(
            "teeth", options=list(TEETH), advanced=True,
            tooltip="footage: the upper row that the film shows, where it shows one well; drawn: drawn ones in the "
            "film's colours.",
        ),
        masks,
        sockets.PortraitRenderer.Input(
            "renderer", optional=True,
            tooltip="Who draws the lips: from Load Portrait Renderer, LivePortrait for one. Empty: the built-in way, "
            "with nothing downloaded.",
        ),
    ]  # fmt: skip


class DubVideo(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitDubVideo",
            display_name=DUB,
            category=CATEGORY,
            description="The same film with lips that say the new words; all around the mouth stays as filmed. Memory "
            "does not grow with length.",
            search_aliases=[
                "dub", "dubbing", "lip sync", "lipsync", "lip sync video", "video to video", "wav2lip", "latentsync",
                "musetalk", "replace voice", "translate video", "redub",
            ],
            inputs=[
                *dubbing_inputs(),
                io.Audio.Input(
                    "audio", optional=True, tooltip="The new voice, which begins at start. Empty: a silent film."
                ),
                io.Float.Input(
                    "original_sound", default=0.0, min=0.0, max=1.0, step=0.05, advanced=True,
                    tooltip="How loud the footage's own sound stays under the voice: 0 none, 1 as it was.",
                ),
                io.Float.Input(
                    "crf", default=16.0, min=0.0, max=40.0, step=1.0, advanced=True,
                    tooltip="H.264 constant quality: 0 is lossless, 16 looks lossless, 23 is small, higher is worse.",
                ),
            ],
            outputs=[
                io.Video.Output(tooltip="For Save Video. An odd width or height grows by one pixel (H.264).")
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, footage, face_motion, audio=None, original_sound=0.0, crf=16.0, **given
    ) -> io.NodeOutput:
        dubbing = new_dubbing(footage, face_motion, **given)
        sound = new_sound(footage, dubbing.line, audio, given["start"], original_sound)
        notes = sound_notes(sound, face_motion) if audio is not None else []
        waveform, rate = sound or (None, 0)
        line, path = dubbing.line, new_film_path()
        estimate, progress = Estimate(len(line), footage.fps, notes), FrameProgress(len(line))
        times = None if line.even else line.seconds.tolist()
        writer = VideoStreamWriter(path, footage.fps, waveform, rate, crf, times)
        with writer, Beside(writer.write) as encoding:
            for picture, _, _ in dubbing.frames():
                drawn = rounded_bytes(picture)
                encoding.give(drawn[None])
                progress.advance(1, drawn.cpu)
                if progress.done % TOLD_EVERY == 0:
                    estimate.update(progress.done)
        estimate.finish()
        if covered := dubbing.covered():
            tell(covered)
        return io.NodeOutput(TempFilm(path))

    @classmethod
    def fingerprint_inputs(cls, **given) -> int:
        return lost_films()


class DubVideoImages(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitDubVideoImages",
            display_name=IMAGES,
            category=CATEGORY,
            description="Dub Video with images as its output, and a mask of what was changed, to be edited further.",
            search_aliases=["dub frames", "lip sync frames", "lipsync", "video to video"],
            inputs=dubbing_inputs(),
            outputs=[
                io.Image.Output(display_name="images", tooltip="All frames, in the film's own size."),
                io.Mask.Output(display_name="changed", tooltip="White where a frame was drawn anew, 0 to 1."),
            ],
        )

    @classmethod
    def execute(cls, footage, face_motion, **given) -> io.NodeOutput:
        dubbing = new_dubbing(footage, face_motion, **given)
        check_memory(footage, len(dubbing.line))
        return io.NodeOutput(*all_frames(dubbing))


def all_frames(dubbing: Dubbing) -> tuple[Tensor, Tensor]:
    """Images [n,H,W,3] and masks [n,H,W] of a whole dubbed film."""
    count, (height, width) = len(dubbing.line), dubbing.footage.size
    images = torch.empty(
        (count, height, width, 3),
        dtype=comfy.model_management.intermediate_dtype(),
        device=comfy.model_management.intermediate_device(),
    )
    masks = torch.zeros(count, height, width)
    progress = FrameProgress(count)
    for picture, changed, (x0, y0, x1, y1) in dubbing.frames():
        images[progress.done] = picture
        if changed is not None:
            masks[progress.done, y0:y1, x0:x1] = changed
        progress.advance(1, partial(picture_bytes, picture))
    tell(dubbing.covered() or f"{count} frames drawn")
    return images, masks


def new_dubbing(
    footage: PreparedFootage, motion: FaceMotion, start: float, keep_expression: float, outside_voice: str,
    if_voice_longer: str, edge: float, teeth: str, keep_mask: Tensor | None = None,
    renderer: PortraitRenderer | None = None,
) -> Dubbing:  # fmt: skip
    """A dubbing; ValueError where its parts do not fit each other."""
    line = line_of(footage, motion, start, outside_voice, if_voice_longer)
    keep = None if keep_mask is None else fitting_masks(keep_mask, footage, len(line))
    return Dubbing(footage, line, dubber_of(renderer, edge, teeth), keep_expression, keep)


def dubber_of(renderer: PortraitRenderer | None, edge: float, teeth: str) -> Callable[[Shot], Dubber]:
    """What draws the shots of a film; ValueError for choices that this renderer does not read."""
    if renderer is None or (isinstance(renderer, WarpRenderer) and renderer.style == PICTURE_STYLES[0]):
        return lambda shot: WarpDubber(shot, edge, teeth == TEETH[0])
    if isinstance(renderer, WarpRenderer):
        raise ValueError(
            f"renderer has style {renderer.style}, which a film has not: it gives its own colours. Set style to "
            f"{PICTURE_STYLES[0]} in Load Portrait Renderer, or leave renderer empty."
        )
    if teeth != TEETH[0]:
        raise ValueError(
            f"teeth is {teeth}, but {renderer.id} draws teeth in its own way. Set teeth to {TEETH[0]}, or leave "
            "renderer empty."
        )
    device = comfy.model_management.get_torch_device()
    return lambda shot: RedrawingDubber(renderer, shot, edge, device)


def fitting_masks(masks: Tensor, footage: Footage, count: int) -> Tensor:
    """[1 or count,H,W] masks on the CPU; ValueError if they are of another size or number."""
    if tuple(masks.shape[1:]) != footage.size:
        height, width = footage.size
        raise ValueError(
            f"keep_mask is {masks.shape[2]}x{masks.shape[1]}, but footage is {width}x{height}; both must be of "
            "one size."
        )
    if len(masks) not in (1, count):
        raise ValueError(
            f"keep_mask holds {len(masks)} masks, but the new film has {count} frames; give 1 or {count}."
        )
    if len(masks) == 1 and not masks.any():
        raise ValueError(
            "keep_mask is black everywhere, so nothing would be kept. Paint white what is to stay, or take it out."
        )
    return masks.float().cpu()


def new_sound(
    footage: PreparedFootage, line: Line, audio: dict | None, start: float, original: float
) -> tuple[Tensor, int] | None:
    """The new film's sound."""
    voice = None if audio is None else (audio["waveform"][0].cpu(), audio["sample_rate"])
    film = sound_of(footage.video) if original else None
    return laid_over(voice, start, film, original)


def sound_notes(sound: tuple[Tensor, int] | None, motion: FaceMotion) -> list[str]:
    """What an artist should know of the sound."""
    return mouth_notes(motion) + (loudness_notes(sound[0]) if sound else [])


def check_memory(footage: Footage, frames: int) -> None:
    """ValueError if that many frames would not fit into the free memory."""
    needed, free = frames * footage.size[0] * footage.size[1] * 16, psutil.virtual_memory().available
    if needed > 0.9 * free:
        raise ValueError(
            f"{frames} frames of footage would take {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free. Use "
            f"{DUB}: it keeps only a few frames in memory."
        )


NODES = [PrepareFootage, DubVideo, DubVideoImages]
