"""Performance capture without downloads: an actor's landmarks as a motion."""

from comfy_api.latest import io

from ..models.builtin.landmark_motion import NEUTRALS, Amounts, landmark_motion
from ..models.engine import frame_rate
from ..models.face.following import followed_face, missing_text
from ..models.face.landmarks import check_upright
from . import sockets
from .audio import factor
from .gates import Node

CATEGORY = "talking portrait/motion"


class FaceMotionFromLandmarks(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitFaceMotionFromLandmarks",
            display_name="Face Motion from Landmarks",
            category=CATEGORY,
            description="An actor's face moves the portrait, with nothing downloaded: lips, lids, gaze, brows and "
            "head, measured on landmarks against the actor's own calm face.",
            search_aliases=[
                "performance capture", "motion capture", "mocap", "face capture", "driving video", "reenactment",
                "be the portrait", "webcam", "vtuber",
            ],
            inputs=[
                sockets.FaceLandmarks.Input(
                    "face_landmarks", tooltip="From Detect Face Landmarks (MediaPipe), for all frames of the video; "
                    "missing frames: empty.",
                ),
                io.Float.Input(
                    "fps", default=25.0, min=0.0, max=120.0, step=0.001,
                    tooltip="Frames per second of the video, from Get Video Components.",
                ),
                io.Int.Input(
                    "face_index", default=0, min=0, max=63,
                    tooltip="Which face of the first frame: 0 is the largest. It is then followed.",
                ),
                io.Combo.Input(
                    "missing_face", options=["error", "bridge"],
                    tooltip="Frames without the face: stop and say which, or bridge them from their neighbours.",
                ),
                io.Combo.Input(
                    "neutral", options=list(NEUTRALS),
                    tooltip="What the actor's changes are measured from: the frames with the calmest closed mouth, or "
                    "a frame of your choice.",
                ),
                io.Int.Input(
                    "neutral_frame", default=0, min=0, max=1_000_000,
                    tooltip="With neutral: frame number. Its number, from 0; face the camera with closed lips there.",
                ),
                factor("mouth_amount", "Factor on lips and jaw: 1 as performed."),
                factor("eyes_amount", "Factor on lids, gaze and brows: 1 as performed."),
                factor("head_amount", "Factor on the turns of the head: 1 as performed."),
                io.Float.Input(
                    "head_limit", default=0.0, min=0.0, max=60.0, step=1.0, advanced=True,
                    tooltip="Degrees that the head turns at most, which it comes close to softly. 0: as performed; the "
                    "built-in warp then holds it where the picture would fold.",
                ),
                io.Int.Input(
                    "smoothing", default=5, min=0, max=25, advanced=True,
                    tooltip="Frames over which lips, brows, gaze and head are smoothed: 0 none, 5 takes the tremor "
                    "out. Lids and pressed lips stay sharp.",
                ),
                sockets.BoundingBox.Input(
                    "face_box", optional=True, extra_dict={"forceInput": True},
                    tooltip="Instead of the index: the face in this box (pixels), which is then followed; one box for "
                    "each frame chooses in each, over cuts too.",
                ),
            ],
            outputs=[
                sockets.FaceMotion.Output(tooltip="Changes from the actor's calm face, for any renderer or Dub Video."),
                io.String.Output(
                    display_name="missed_frames", tooltip="Numbers of the frames without the face, from 0."
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, face_landmarks, fps, face_index, missing_face, neutral, neutral_frame, mouth_amount, eyes_amount,
        head_amount, head_limit, smoothing, face_box=None,
    ) -> io.NodeOutput:  # fmt: skip
        rate = frame_rate(fps)
        found = followed_face(face_landmarks, face_index, face_box)
        flat = [None if face is None else face["landmarks_xy"] for face in found]
        check_upright(flat)
        missed = [number for number, face in enumerate(found) if face is None]
        if missed and missing_face == "error":
            raise ValueError(
                f"{missing_text(flat, face_landmarks)}. Choose missing_face: bridge, or another video."
            )
        if neutral == NEUTRALS[0] and neutral_frame:
            raise ValueError(
                f"neutral_frame is {neutral_frame}, but neutral is {neutral}. Set neutral to {NEUTRALS[1]}, or "
                "neutral_frame to 0."
            )
        amounts = Amounts(mouth_amount, eyes_amount, head_amount, head_limit, smoothing)
        motion = landmark_motion(found, rate, neutral, neutral_frame, amounts)
        return io.NodeOutput(motion, ", ".join(map(str, missed)))


NODES = [FaceMotionFromLandmarks]
