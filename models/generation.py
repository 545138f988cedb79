"""The one place where a motion engine is asked for motion: it works at its own frame rate, the film gets the
one it wants."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .contracts import MotionEngine
from .engine import MotionSettings, Speech
from .face_motion import FaceMotion
from .face_motion.time import retime
from .portrait import Portrait
from .progress import Progress
from .speech.encoding import check_clip, check_kind


def generate_motion(
    engine: MotionEngine, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings,
    progress: Progress,
    portrait: Portrait | None = None,
) -> FaceMotion:  # fmt: skip
    """Motion of frame_count(speech.seconds, fps) frames at `fps`, by any engine; ValueError in words if that fails.

    Where the engine's rate is another, it hears the clip to the end of its last frame, and its motion is resampled.
    """
    frames = speech.checked(fps)
    check_encoded(engine, speech)
    native = fps if engine.native_fps is None else engine.native_fps
    if native == fps:
        return checked(engine, engine.generate(speech, fps, seed, settings, progress, portrait), frames, fps)
    count = math.ceil(speech.seconds * native)
    given = engine.generate(speech.lasting(count / native), native, seed, settings, progress, portrait)
    return retime(checked(engine, given, count, native), fps, frames)


def check_encoded(engine: MotionEngine, speech: Speech) -> None:
    """ValueError unless speech that was encoded already is this very clip, by an encoder that the engine hears with."""
    encoded = speech.encoded
    if encoded is None:
        return
    if not (wanted := tuple(sorted(getattr(engine, "hears", ())))):
        raise ValueError(f"audio_encoder_output is connected, but {engine.id} hears by itself. Take it off.")
    check_kind(encoded.kind, wanted, engine.id, "audio_encoder_output")
    check_clip(encoded, speech.waveform, speech.sample_rate)


def checked(
    engine: MotionEngine, given: FaceMotion | Mapping[str, Any], frames: int, fps: Fraction
) -> FaceMotion:
    """What an engine gave, as a motion of so many frames; ValueError in the engine's name if it is not what
    was asked for."""
    motion = given_motion(engine, given, fps)
    if len(motion) != frames:
        raise ValueError(
            f"{engine.id} gave {len(motion)} frames where {frames} were asked for; the engine is at fault."
        )
    return motion


def given_motion(engine: MotionEngine, given: FaceMotion | Mapping[str, Any], fps: Fraction) -> FaceMotion:
    """What an engine gave, as a motion at `fps`; ValueError in the engine's name if it is none."""
    if not isinstance(given, (FaceMotion, Mapping)):
        raise ValueError(f"{engine.id} gave no motion but a {type(given).__name__}; the engine is at fault.")
    try:
        motion = given if isinstance(given, FaceMotion) else FaceMotion.of({"fps": fps, **given})
    except ValueError as error:
        raise ValueError(f"{engine.id} gave no motion: {error} The engine is at fault.") from None
    if motion.fps != fps:
        asked = f"{float(fps):g} were asked for"
        raise ValueError(
            f"{engine.id} gave {float(motion.fps):g} frames per second where {asked}; the engine is at fault."
        )
    return motion
