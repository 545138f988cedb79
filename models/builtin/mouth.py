"""The mouth of the built-in engine: controls from what was heard, and frames from controls."""

from fractions import Fraction

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..face_motion import CONTROLS
from ..face_motion.blinks import CLOCK
from ..face_motion.procedural import REST_CLOSURE
from ..face_motion.speed import JAW_SPEED, LIP_SPEED, lowered, per_frame, raised
from ..speech.silence import within
from ..speech.visemes import VISEMES

# probability of p, b, m at which the lips start to meet, and from which they must (training/speech_net/fit_lips.py)
CLOSURE = (0.11, 0.2)
# range of the network's own closure that is shown: less of it is a vowel next to a p
PARTIAL_CLOSURE = (0.4, 0.9)
SURE_OF_TUCK = 0.12  # probability of f, v from which the lip is tucked: as CLOSURE
SHUT = 0.05  # of the jaw: from less than this it is kept
FIRM = 0.9  # closure from which the lips are seen to touch


def limit_speed(controls: np.ndarray, fps: Fraction) -> None:
    """Jaw and lips [frames,K] as fast as people's: a shut jaw shuts as far, lips meet as firmly as before.

    Elsewhere it goes the middle way between reaching every opening and reaching none.
    """
    jaw, close = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")
    wanted, step = controls[:, jaw], per_frame(JAW_SPEED, fps)
    middle = (lowered(wanted, step) + raised(wanted, step)) / 2
    controls[:, jaw] = np.minimum(middle, lowered(np.where(wanted < SHUT, wanted, np.inf), step))
    controls[:, close] = raised(controls[:, close], per_frame(LIP_SPEED, fps))


def mouth_controls(
    visemes: np.ndarray, moves: np.ndarray, gate: np.ndarray, level: np.ndarray, amount: float
) -> np.ndarray:
    """[T,12] controls of the mouth at CLOCK from what the network heard; everything but the mouth is 0.

    Lips that meet, and a lip that tucks, wait for no loudness: p, b and f are nearly silent themselves.
    """
    controls = np.zeros((len(gate), len(CONTROLS)), np.float32)
    jaw, close, rounded, wide, tuck, teeth = moves.T
    lips_meet = within(visemes[:, VISEMES.index("PP")], *CLOSURE)
    tucked = np.clip(visemes[:, VISEMES.index("FF")] / SURE_OF_TUCK, 0, 1) ** 2
    close = np.maximum(within(close, *PARTIAL_CLOSURE), lips_meet)
    spoken = {
        "jawOpen": 0.95 * jaw * (0.55 + 0.45 * level) * (1 - close) * (1 - 0.7 * tucked),
        "mouthClose": close,
        "mouthPucker": rounded,
        "mouthStretch": wide * (1 - 0.5 * lips_meet),
        "mouthRollLower": np.maximum(tuck, tucked) * (1 - lips_meet),
        "teethShow": np.maximum(teeth, tucked) * (1 - lips_meet),
    }
    for name, track in spoken.items():
        controls[:, CONTROLS.index(name)] = np.clip(amount * gate * track, 0, 1)
    for name, track in (("mouthClose", lips_meet), ("mouthRollLower", tucked * (1 - lips_meet))):
        index = CONTROLS.index(name)
        controls[:, index] = np.maximum(controls[:, index], min(amount, 1) * track)
    closed = CONTROLS.index("mouthClose")
    controls[:, closed] = np.maximum(controls[:, closed], min(amount, 1) * REST_CLOSURE * (1 - gate))
    return controls


def mouth_frames(mouth: np.ndarray, frames: int, fps: Fraction, lead: float) -> np.ndarray:
    """[frames,K] controls of each frame from a [T,K] track at CLOCK, `lead` seconds early, with every closure kept."""
    controls = at_frames(mouth, frames, fps, lead)
    keep_closures(controls, mouth, fps, lead)
    return controls


def at_frames(track: np.ndarray, frames: int, fps: Fraction, lead: float = 0.0) -> np.ndarray:
    """Mean of a [T,K] track at CLOCK over the time that each of `frames` frames is shown; `lead` seconds early."""
    edges = np.arange(frames + 1) / float(fps) * CLOCK + lead * CLOCK
    total = np.concatenate([np.zeros((1, track.shape[1])), np.cumsum(track, 0, dtype=np.float64)])
    at_edges = np.stack([np.interp(edges, np.arange(len(total)), column) for column in total.T], 1)
    inside = np.clip(edges, 0, len(track))
    width = np.maximum(np.diff(inside), 1e-6)[:, None]
    mean = np.diff(at_edges, axis=0) / width
    beyond = np.diff(inside) < 1e-3
    mean[beyond] = track[-1]
    return mean.astype(np.float32)


def keep_closures(controls: np.ndarray, mouth: np.ndarray, fps: Fraction, lead: float) -> None:
    """Make every meeting of the lips last one whole frame: averaging would leave a short p, b or m half open.

    Only the frame that a meeting fills most is closed, so that the vowels around it stay open.
    """
    closed = CONTROLS.index("mouthClose")
    centres = ((np.arange(len(controls)) + 0.5) / float(fps) + lead) * CLOCK
    window = max(1, int(CLOCK / float(fps)) | 1)
    firmest = maximum_filter1d(mouth[:, closed], window)[np.clip(centres, 0, len(mouth) - 1).astype(int)]
    fullest = controls[:, closed] >= maximum_filter1d(controls[:, closed], 3)
    meets = (firmest > FIRM) & (firmest > controls[:, closed]) & fullest
    controls[meets, closed] = firmest[meets]
    for name in ("jawOpen", "mouthRollLower", "teethShow"):
        controls[meets, CONTROLS.index(name)] *= 1 - firmest[meets]
