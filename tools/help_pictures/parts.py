"""What several scenes start from: the sample portrait and voice, a prepared portrait, its drawn frames."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image

from ...models.face_motion import FaceMotion
from ...models.face_motion.plot import values_of
from ..workflow_drafts.parts import PORTRAIT_FILE, SPEECH_FILE
from .stage import Ref, Stage

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
SECONDS = 2.4  # of the sample voice
WORD, OPEN = 0.7, 13  # seconds for faces, and a frame in which the mouth is open


def portrait_image(stage: Stage) -> Ref:
    return stage.node("LoadImage", image=PORTRAIT_FILE)


def landmarks(stage: Stage, image: Ref) -> Ref:
    detector = stage.node("TalkingPortraitLoadFaceDetector")
    return stage.node("MediaPipeFaceLandmarker", face_detection_model=detector, image=image)


def portrait(stage: Stage) -> Ref:
    image = portrait_image(stage)
    renderer = stage.node("TalkingPortraitLoadRenderer", renderer="built-in warp")
    return stage.node(
        "TalkingPortraitPrepare", renderer=renderer, image=image, face_landmarks=landmarks(stage, image)
    )


def voice(stage: Stage, seconds: float = SECONDS, start: float = 0.0) -> Ref:
    whole = stage.node("LoadAudio", audio=SPEECH_FILE)
    return stage.node("TrimAudioDuration", audio=whole, start_index=start, duration=seconds)


def engine(stage: Stage, name: str = "built-in", **options) -> Ref:
    chosen = {f"engine__{key}": value for key, value in options.items()}
    return stage.node("TalkingPortraitMotionEngine", engine=name, **chosen)


def spoken(stage: Stage, **inputs) -> Ref:
    """What the built-in engine moves by the sample voice."""
    return stage.node(
        "TalkingPortraitGenerateMotion",
        **{"motion_engine": engine(stage), "audio": voice(stage), "seed": 7} | inputs,
    )


def word(stage: Stage) -> Ref:
    """The same of the first word alone: faces are drawn of it."""
    return spoken(stage, audio=voice(stage, WORD))


def frame(stage: Stage, motion: Ref, index: int = OPEN) -> Callable[[], Image.Image]:
    """A frame of a motion on the sample portrait."""
    drawn = stage.node("TalkingPortraitRender", portrait=portrait(stage), face_motion=motion)
    return stage.picture(drawn, index)


def line(motion: FaceMotion, track: str) -> np.ndarray:
    """One curve of a motion as Plot Face Motion draws it."""
    return np.asarray(values_of(motion, track))


def outline(seconds: float = SECONDS) -> np.ndarray:
    """Loudness 0..1 of the sample voice, 100 values a second."""
    with av.open(str(SAMPLES / SPEECH_FILE)) as container:
        sound = np.concatenate(
            [part.to_ndarray().astype(float).mean(0) for part in container.decode(audio=0)]
        )
        rate = container.streams.audio[0].rate
    loud = np.abs(sound[: round(seconds * rate)])
    steps = rate // 100
    peaks = loud[: len(loud) // steps * steps].reshape(-1, steps).max(1)
    return peaks / peaks.max()


def film_frames(path, places) -> list[Image.Image]:
    """Frames of a film at these places, 0 to 1."""
    with av.open(str(path)) as container:
        frames = [picture.to_image() for picture in container.decode(video=0)]
    return [frames[round(place * (len(frames) - 1))] for place in places]
