"""What LivePortrait adds: how it animates, and motion from a driving video."""

from dataclasses import replace

import numpy as np
import torch
from comfy_api.latest import InputImpl, io

from ..models.engine import frame_rate
from ..models.face.following import follow_face, missing_text
from ..models.face.landmarks import check_upright
from ..models.face_motion.time import sample_motion
from ..models.liveportrait.animation import REGIONS, AnimationOptions, motion_policy
from ..models.liveportrait.renderer import LivePortraitFeatures, face_alone, with_options
from ..models.liveportrait.video_motion import smoothed, video_motion
from ..models.media.frame_times import even_positions, frame_times
from . import sockets
from .catalogue.renderers import liveportrait_model
from .gates import Node
from .portrait import PreparedPortrait
from .progress import ticker

CATEGORY = "talking portrait/portrait"
MODES = ("lips as given, rest relative", "relative", "absolute")
OUTPUTS = ("whole picture", "face alone (512x512)")
AS_DRIVEN = -0.05  # one step below 0: no opening is asked for
VIDEO = "Face Motion from Video"


class LivePortraitAnimation(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLivePortraitAnimation",
            display_name="LivePortrait Animation",
            category=CATEGORY,
            description="How LivePortrait carries a motion over to this portrait: stitching, regions, "
            "openings of eyes and lips.",
            search_aliases=["liveportrait", "stitching", "retargeting", "relative motion", "driving multiplier"],
            inputs=[
                sockets.Portrait.Input("portrait",
                tooltip="From Prepare Portrait with the LivePortrait renderer."),
                io.Boolean.Input("stitching", default=True, tooltip="Keeps shoulders and neck where they are "
                "in the picture."),
                io.Combo.Input(
                    "motion_mode",
                    options=list(MODES),
                    tooltip="relative: changes since the motion's reference, on top of the portrait's own "
                    "face. absolute: the driver's values, as LivePortrait takes them. The first choice takes "
                    "the lips as they are, the rest relative.",
                ),
                io.Combo.Input(
                    "region",
                    options=list(REGIONS),
                    tooltip="What moves: all; exp (expression without head); pose (head alone); lip; eyes.",
                ),
                io.Float.Input(
                    "multiplier", default=1.0, min=0.0, max=3.0, step=0.05,
                    tooltip="Factor on how far every keypoint moves from the picture: 1 as driven.",
                ),
                io.Boolean.Input(
                    "keep_proportions", default=False, advanced=True,
                    tooltip="LivePortrait's 'expression-friendly': the first frame is the picture itself, "
                    "and motion is sized by the two faces' sizes. For drivers whose face is much larger or "
                    "smaller.",
                ),
                io.Boolean.Input(
                    "close_lips", default=False, advanced=True,
                    tooltip="A portrait with an open mouth starts from closed lips (lip normalisation).",
                ),
                opening("eyes_open", "eyes", 0.8),
                opening("lips_open", "lips", 0.8),
                io.Boolean.Input(
                    "official_retargeting", default=False, advanced=True,
                    tooltip="With eyes_open or lips_open: forget the driver's motion, as the published script does.",
                ),
                io.Combo.Input(
                    "output", options=list(OUTPUTS), advanced=True,
                    tooltip="The whole picture with the face pasted back, or the drawn face alone, as "
                    "KDTalker publishes it.",
                ),
            ],
            outputs=[sockets.Portrait.Output(tooltip="For Render Portrait and Render Portrait Video.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, portrait: PreparedPortrait, stitching, motion_mode, region, multiplier, keep_proportions,
        close_lips, eyes_open,
        lips_open, official_retargeting, output,
    ) -> io.NodeOutput:  # fmt: skip
        if not isinstance(portrait.portrait.features, LivePortraitFeatures):
            raise ValueError(
                f"portrait was prepared by {portrait.portrait.renderer}. Choose LivePortrait in Load "
                "Portrait Renderer, or take this node out."
            )
        options = AnimationOptions(
            stitching,
            multiplier,
            keep_proportions,
            close_lips,
            wanted(eyes_open),
            wanted(lips_open),
            official_retargeting,
        )
        policy = motion_policy(relative=motion_mode != "absolute", region=region)
        if motion_mode == MODES[0] and policy["lips"] == "relative":
            policy["lips"] = "absolute"
        changed = replace(with_options(portrait.portrait, options), policy=policy)
        return io.NodeOutput(
            PreparedPortrait(portrait.renderer, face_alone(changed) if output == OUTPUTS[1] else changed)
        )


def opening(name: str, what: str, high: float) -> io.Float.Input:
    """A slider for the opening of eyes or lips."""
    return io.Float.Input(
        name, default=AS_DRIVEN, min=AS_DRIVEN, max=high, step=0.05, advanced=True,
        tooltip=f"Opening of the {what}, height over width: 0 closed, about 0.4 open; below 0 as driven. "
        "Needs stitching's file.",
    )  # fmt: skip


def wanted(opening: float) -> float | None:
    """The slider's value, or None for 'as driven'."""
    return None if opening < 0 else opening


class FaceMotionFromVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFaceMotionFromVideo",
            display_name=VIDEO,
            category="talking portrait/motion",
            description="Reads the motion of a face in a driving video, with LivePortrait's motion extractor or "
            "another one that is connected.",
            search_aliases=[
                "driving video", "motion transfer", "reenactment", "face capture", "motion capture", "mocap",
                "liveportrait",
            ],
            inputs=[
                io.Image.Input("images", tooltip="The driving video's frames, from Get Video Components."),
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe) for the same frames; "
                    "missing frames: empty."
                ),
                io.Float.Input(
                    "fps", default=25.0, min=0.0, max=120.0, step=0.001,
                    tooltip="Frames per second of the driving video, from Get Video Components. It takes "
                    "them as evenly spaced; films of phones and webcams often are not: connect video too.",
                ),
                io.Int.Input("face_index", default=0, min=0, max=63, tooltip="Which face of the first frame, "
                "0 is the first."),
                io.Combo.Input(
                    "missing_face", options=["error", "bridge"],
                    tooltip="Frames without a face: stop and say which, or bridge them from their neighbours "
                    "and list them.",
                ),
                io.Float.Input(
                    "smoothing", default=0.3, min=0.0, max=1000.0, step=0.1, advanced=True,
                    tooltip="Kalman smoothing of rotation and expression, observation variance x 10^-6: 0 "
                    "none, 0.3 as LivePortrait, more is smoother.",
                ),
                io.Boolean.Input(
                    "animal", default=False, advanced=True, tooltip="Use the motion extractor for animals "
                    "(folder animal/)."
                ),
                io.Video.Input(
                    "video", optional=True,
                    tooltip="The video that images come from, from Load Video: when its frames are shown is "
                    "read from it, so that a film with a changing frame rate stays in time with its sound.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed; "
                    "one box for each frame chooses in each, over cuts too.",
                ),
                sockets.KeypointExtractor.Input(
                    "keypoint_extractor", optional=True,
                    tooltip="From Load Keypoint Extractor, in the place of LivePortrait's own; animal then stays off.",
                ),
            ],
            outputs=[
                sockets.FaceMotion.Output(tooltip="Absolute motion whose reference is the first frame with a face."),
                io.String.Output(display_name="missed_frames",
                tooltip="Numbers of the frames without a face, from 0."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        images,
        face_landmarks,
        fps,
        face_index,
        missing_face,
        smoothing,
        animal,
        video=None,
        face_box=None,
        keypoint_extractor=None,
    ) -> io.NodeOutput:
        rate = frame_rate(fps)
        times = None if video is None else shown_at(video, len(images))
        found = follow_face(face_landmarks, face_index, face_box)
        if len(found) != len(images):
            raise ValueError(
                f"images has {len(images)} frames, but face_landmarks {len(found)}; give both one video."
            )
        check_upright(found)
        missed = [number for number, points in enumerate(found) if points is None]
        if missed and missing_face == "error":
            raise ValueError(
                f"{missing_text(found, face_landmarks)}. Choose missing_face: bridge, or another video."
            )
        if keypoint_extractor is not None and animal:
            raise ValueError(
                "animal is on, but keypoint_extractor says what reads the face. Turn animal off, and choose "
                "the animals' extractor in its loader."
            )
        extractor = keypoint_extractor or liveportrait_model(
            "motion", torch.float32, VIDEO, "animal" if animal else ""
        )
        motion = video_motion(extractor.ready(), images, found, rate, ticker(), extractor.device)
        motion = smoothed(motion, smoothing * 1e-6)
        if times is not None:
            motion = sample_motion(motion, even_positions(times, rate))
        return io.NodeOutput(motion, ", ".join(map(str, missed)))


def shown_at(video, count: int) -> np.ndarray | None:
    """[count] seconds at which a VIDEO's frames are shown, None where it was made from images; ValueError for
    another video."""
    if not isinstance(video, InputImpl.VideoFromFile):
        return None
    times = frame_times(video.get_stream_source(), *video.get_active_trim_window())
    if len(times) != count:
        raise ValueError(
            f"images has {count} frames, but video {len(times)}; take images from this video's Get Video Components."
        )
    return times


NODES = [LivePortraitAnimation, FaceMotionFromVideo]
