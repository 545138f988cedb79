"""What the speech does not spell out: head, gaze, brows, breath."""

from dataclasses import dataclass

import numpy as np

from ..engine import MotionSettings
from ..face_motion.gaze import gaze_track
from ..face_motion.procedural import REST_CLOSURE, beats, noise, started
from . import idle
from .head import head_pose
from .styles import HeadStyle

# the random streams of a seed: each part draws from its own, so that none hangs on how much another draws
HEAD, GAZE, IDLE, BROWS = range(2, 6)


@dataclass(frozen=True)
class RestOfFace:
    """At CLOCK: pose [T,3] in degrees, shift [T,2] in keypoint units, controls [T] by name that are added."""

    pose: np.ndarray
    shift: np.ndarray
    controls: dict[str, np.ndarray]


def rest_of_face(
    level: np.ndarray, gate: np.ndarray, blinks: np.ndarray, style: HeadStyle, settings: MotionSettings, seed: int
) -> RestOfFace:  # fmt: skip
    """All of it by rules, from loudness [T], how much of it is speech [T], and the blinks' start in seconds."""
    streams = {kind: np.random.default_rng([seed, kind]) for kind in (HEAD, GAZE, IDLE, BROWS)}
    ticks, life = len(level), settings.life_amount
    ramp = started(ticks)
    breath = life * ramp * idle.breath(ticks, streams[IDLE])
    swallow = life * idle.swallows(1 - gate, streams[IDLE])
    beat = beats(level * gate)
    pose = head_pose(beat, gate, style, streams[HEAD])
    pose[:, 0] += idle.BREATH_PITCH * breath + idle.SWALLOW_PITCH * swallow
    shift = np.stack([noise(ticks, hertz, streams[HEAD]) for hertz in (0.2, 0.25)], 1) * (0.008, 0.005)
    shift[:, 1] += 0.008 * beat + idle.BREATH_RISE * breath
    pose, shift = settings.head_amount * pose, settings.head_amount * ramp[:, None] * shift
    gaze = settings.gaze_amount * gaze_track(gate, pose, blinks, streams[GAZE])
    brow = settings.brow_amount * (1.5 * beat.clip(0) + 0.1 * noise(ticks, 0.3, streams[BROWS]))
    smile = life * idle.SMILE * noise(ticks, 0.12, streams[IDLE])
    controls = {
        "gazeX": gaze[:, 0],
        "gazeY": gaze[:, 1],
        "browInnerUp": ramp * (brow + life * idle.BROW * noise(ticks, 0.08, streams[BROWS])),
        "mouthSmile": ramp * smile,
        "mouthClose": (1 - REST_CLOSURE) * swallow,
        "mouthRollLower": idle.SWALLOW_TUCK * swallow,
    }
    return RestOfFace(pose, shift, controls)
