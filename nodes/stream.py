"""Speech to film as it comes: frames are drawn while later speech is still unheard; a live voice goes on from
run to run."""

from fractions import Fraction
from typing import Any

import comfy.model_management
from comfy_api.latest import io

from ..models.contracts import STREAMED_FPS, SpokenMotion, StreamingEngine, members
from ..models.engine import MotionSettings
from ..models.face_motion.time import joined
from ..models.generation import given_motion
from ..models.media.video_stream import VideoStreamWriter
from . import sockets
from .audio import CATEGORY, factor, single_speech
from .films import TempFilm, lost_films, new_film_path
from .gates import Node
from .portrait import PreparedPortrait
from .progress import Estimate, tell
from .rendering import FilmDrawing, loudness_notes

STREAM, LIVE = "Stream Talking Portrait", "Generate Face Motion (live)"


def settings_inputs() -> list:
    """What both nodes ask of the motion."""
    return [
        io.Int.Input(
            "seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
            tooltip="Same seed, same motion. It changes blinks and head, not the lips.",
        ),
        factor("mouth_amount", "Factor on lips and jaw: 1 as spoken."),
        factor("head_amount", "Factor on head motion: 1 natural."),
        io.Float.Input("blink_rate", default=18.0, min=0.0, max=60.0, step=1.0, tooltip="Blinks per minute; "
        "0 never blinks."),
    ]  # fmt: skip


def streaming(engine: Any) -> StreamingEngine:
    """The engine, if it makes motion piece by piece; ValueError otherwise."""
    if not all(hasattr(engine, name) for name in members(StreamingEngine)):
        raise ValueError(
            f"motion_engine is {engine.id}, which hears the whole sound before it moves. Choose built-in, Takin-ADA or "
            "JoyVASA in Load Motion Engine, or take Generate Face Motion and Render Portrait Video."
        )
    return engine


def own_rate(engine: StreamingEngine) -> Fraction:
    """Frames per second of an engine that streams: see StreamingEngine."""
    return STREAMED_FPS if engine.native_fps is None else engine.native_fps


class StreamTalkingPortrait(Node):
    line = staticmethod(tell)

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitStream",
            display_name=STREAM,
            category="talking portrait/portrait",
            description="Motion and picture in one: frames appear while the rest of the speech is still to "
            "come. For built-in, Takin-ADA, JoyVASA and any engine that streams.",
            search_aliases=["talking head", "live", "real time", "streaming", "long video", "audio to video", "vtuber"],
            inputs=[
                sockets.Portrait.Input("portrait", tooltip="From Prepare Portrait."),
                sockets.MotionEngine.Input(
                    "motion_engine", tooltip="From Load Motion Engine: built-in, Takin-ADA or JoyVASA."
                ),
                io.Audio.Input("audio", tooltip="Speech; any sample rate, mono or stereo. It is also the "
                "film's sound."),
                *settings_inputs(),
                io.Float.Input(
                    "crf", default=16.0, min=0.0, max=40.0, step=1.0, advanced=True,
                    tooltip="H.264 constant quality: 0 is lossless, 16 looks lossless, 23 is small, higher is worse.",
                ),
            ],
            outputs=[
                io.Video.Output(tooltip="For Save Video; 25 frames per second."),
                sockets.FaceMotion.Output(tooltip="The motion that was drawn, for the motion nodes."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        portrait: PreparedPortrait,
        motion_engine,
        audio,
        seed,
        mouth_amount,
        head_amount,
        blink_rate,
        crf,
    ) -> io.NodeOutput:
        engine, speech = streaming(motion_engine), single_speech(audio)
        fps = own_rate(engine)
        frames = speech.checked(fps)
        settings = MotionSettings(mouth_amount=mouth_amount, head_amount=head_amount, blink_rate=blink_rate)
        path = new_film_path()
        heard = f"no frame hears more than {engine.look_ahead:.1f} s ahead"
        estimate = Estimate(frames, fps, [heard, *loudness_notes(speech.waveform)])
        drawing, parts = FilmDrawing(portrait, frames), []

        def interrupted(done: int, total: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()

        with VideoStreamWriter(path, fps, speech.waveform, speech.sample_rate, crf) as writer:
            for piece in engine.stream(speech, seed, settings, interrupted):
                motion = given_motion(engine, piece, fps)
                parts.append(motion)
                for done in drawing.frames(motion, writer):
                    estimate.update(done)
        estimate.finish()
        return io.NodeOutput(TempFilm(path), joined(parts))

    @classmethod
    def fingerprint_inputs(cls, **given) -> int:
        return lost_films()


class GenerateFaceMotionLive(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitGenerateMotionLive",
            display_name=LIVE,
            category=CATEGORY,
            description="One piece of a live voice at a time: gives the frames that are final, and a state "
            "from which the next run goes on. For the built-in engine and Takin-ADA.",
            search_aliases=["real time", "streaming", "chunk", "microphone", "loop", "vtuber"],
            inputs=[
                sockets.MotionEngine.Input("motion_engine", tooltip="From Load Motion Engine: built-in or Takin-ADA."),
                io.Audio.Input("audio",
                tooltip="The next piece of the voice; 16 kHz has no seams between pieces."),
                io.Boolean.Input("last", default=False, tooltip="This piece is the last: give all frames "
                "that are left."),
                *settings_inputs(),
                sockets.LiveMotion.Input(
                    "state", optional=True,
                    tooltip="From the run before; it holds seed and amounts, which are then not read. Empty: "
                    "a new voice.",
                ),
            ],
            outputs=[
                sockets.FaceMotion.Output(tooltip="The frames at 25 per second that are final, after those of "
                "the run before."),
                sockets.LiveMotion.Output(display_name="state", tooltip="For the next piece. The state that came in "
                "stays as it was."),
                io.Float.Output(display_name="latency", tooltip="Seconds from a sound to its frame, at "
                "worst, without computing."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        motion_engine,
        audio,
        last,
        seed,
        mouth_amount,
        head_amount,
        blink_rate,
        state: SpokenMotion | None = None,
    ) -> io.NodeOutput:
        engine, speech = streaming(motion_engine), single_speech(audio)
        settings = MotionSettings(mouth_amount=mouth_amount, head_amount=head_amount, blink_rate=blink_rate)
        voice = engine.begin(seed, settings) if state is None else state.branch()
        motion = voice.push(speech, last)
        if motion is None:
            raise ValueError(
                f"audio is {float(speech.seconds):.2f} s long, too short for a frame to be final. The first "
                f"piece must last {voice.latency:.1f} s, later ones 0.7 s, unless it is the last one (then "
                "set last)."
            )
        return io.NodeOutput(given_motion(engine, motion, own_rate(engine)), voice, voice.latency)


NODES = [StreamTalkingPortrait, GenerateFaceMotionLive]
