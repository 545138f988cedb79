"""Proof: numbers about a result."""

from fractions import Fraction
from typing import Any

from comfy_api.latest import io

from ..models.engine import frame_rate
from ..models.face.following import follow_face
from ..models.face_motion import FaceMotion
from ..models.media.lip_sync import lip_sync, loudness_per_frame, opening_of_landmarks, opening_of_motion
from . import sockets
from .gates import Node

CATEGORY = "talking portrait/measure"


class LipSyncCheck(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLipSyncCheck",
            display_name="Lip-Sync Check",
            category=CATEGORY,
            description="Measures whether the lips follow the sound: how many frames they are late, and how "
            "closely mouth opening follows loudness. It is not LSE, which needs a trained network.",
            search_aliases=["sync", "lag", "lip sync measure", "syncnet", "quality"],
            inputs=[
                io.Audio.Input("audio", tooltip="The sound of the film."),
                io.Float.Input(
                    "fps",
                    default=25.0,
                    min=1.0,
                    max=120.0,
                    step=0.001,
                    tooltip="Frames per second of face_landmarks.",
                ),
                sockets.FaceLandmarks.Input(
                    "face_landmarks",
                    optional=True,
                    tooltip="Found in the frames of the film; measures what is seen.",
                ),
                sockets.FaceMotion.Input(
                    "face_motion",
                    optional=True,
                    tooltip="Instead of landmarks: measures what was meant; its own fps counts.",
                ),
                io.Int.Input(
                    "face_index",
                    default=0,
                    min=0,
                    max=63,
                    optional=True,
                    tooltip="Whose lips in face_landmarks: 0 is the first face of the first frame; it is "
                    "then followed.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="report", tooltip="The result in words; show it with Preview as Text."
                ),
                io.Float.Output(
                    display_name="lag", tooltip="Frames by which the lips are late; negative: early."
                ),
                io.Float.Output(
                    display_name="correlation", tooltip="Of mouth opening and loudness at that lag, -1 to 1."
                ),
            ],
        )

    @classmethod
    def execute(
        cls, audio: dict[str, Any], fps: float, face_landmarks: dict[str, Any] | None = None,
        face_motion: FaceMotion | None = None,
        face_index: int = 0,
    ) -> io.NodeOutput:  # fmt: skip
        if (face_landmarks is None) == (face_motion is None):
            raise ValueError("connect face_landmarks or face_motion, one of the two.")
        if face_motion is not None and face_index:
            raise ValueError(
                f"face_index is {face_index}, but face_motion is of one face. Set it to 0, or connect face_landmarks."
            )
        rate = face_motion.fps if face_motion is not None else frame_rate(fps)
        if face_motion is not None:
            opening = opening_of_motion(face_motion)
        else:
            assert face_landmarks is not None  # one of the two is there
            opening = opening_of_landmarks(follow_face(face_landmarks, face_index))
        waveform, sample_rate = audio["waveform"][0].float().cpu().numpy(), audio["sample_rate"]
        check_lengths(waveform.shape[-1] / sample_rate, len(opening), rate)
        result = lip_sync(opening, loudness_per_frame(waveform, sample_rate, rate, len(opening)))
        own = face_motion is not None and float(rate) != fps
        note = (
            f" Counted with face_motion's own {float(rate):g} frames per second, not with fps ({fps:g})."
            if own
            else ""
        )
        return io.NodeOutput(result.report(rate) + note, result.lag, result.correlation)


def check_lengths(seconds: float, frames: int, rate: Fraction) -> None:
    """ValueError if sound and film are not of one length."""
    film = frames / float(rate)
    if abs(seconds - film) > max(0.5, 2 / float(rate)):
        raise ValueError(
            f"audio lasts {seconds:.2f} s, but the film has {frames} frames ({film:.2f} s at {float(rate):g} "
            "fps); check fps, or trim one of them."
        )


NODES = [LipSyncCheck]
