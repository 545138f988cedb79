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
# range of the articulated closure that is shown: less of it is a vowel next to a p: as CLOSURE
PARTIAL_CLOSURE = (0.3, 0.7)
SURE_OF_TUCK = 0.16  # probability of f, v from which the lip is tucked: as CLOSURE
# share of f, v in what is one of p, b, m, f, v: from which the lips meet less, and from which they do not: as CLOSURE
TUCK_SHARE = (0.45, 0.65)
SHUT = 0.05  # of the jaw: from less than this it is kept
FIRM = 0.9  # closure from which the lips are seen to touch
FIRM_TUCK = 0.5  # from which the lip is seen to be tucked


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

    Lips that meet, and a lip that tucks, wait for no loudness: p, b and f are nearly silent themselves. Where a sound
    may be both, they do what is likelier: lips that meet would hide the tuck.
    """
    controls = np.zeros((len(gate), len(CONTROLS)), np.float32)
    jaw, close, rounded, wide, tuck, teeth = moves.T
    bilabial, labiodental = visemes[:, VISEMES.index("PP")], visemes[:, VISEMES.index("FF")]
    apart = within(labiodental / np.maximum(bilabial + labiodental, 1e-6), *TUCK_SHARE)
    lips_meet = within(bilabial, *CLOSURE) * (1 - apart)
    tucked = np.clip(labiodental / SURE_OF_TUCK, 0, 1) ** 2
    close = np.minimum(np.maximum(within(close, *PARTIAL_CLOSURE), lips_meet), 1 - apart)
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
    """[frames,K] controls of each frame from a [T,K] track at CLOCK, `lead` seconds early, closures and tucks kept."""
    controls = at_frames(mouth, frames, fps, lead)
    keep_closures(controls, mouth, fps, lead)
    keep_tucks(controls, mouth, fps, lead)
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
    firmest, fullest = peaks(controls, mouth, closed, fps, lead)
    meets = fullest & (firmest > FIRM)
    controls[meets, closed] = firmest[meets]
    for name in ("jawOpen", "mouthRollLower", "teethShow"):
        controls[meets, CONTROLS.index(name)] *= 1 - firmest[meets]


def keep_tucks(controls: np.ndarray, mouth: np.ndarray, fps: Fraction, lead: float) -> None:
    """Make every tuck of the lower lip last one whole frame, as keep_closures; not where the lips touch."""
    tuck = CONTROLS.index("mouthRollLower")
    firmest, fullest = peaks(controls, mouth, tuck, fps, lead)
    tucks = fullest & (firmest > FIRM_TUCK) & (controls[:, CONTROLS.index("mouthClose")] <= FIRM)
    controls[tucks, tuck] = firmest[tucks]


def peaks(
    controls: np.ndarray, mouth: np.ndarray, index: int, fps: Fraction, lead: float
) -> tuple[np.ndarray, np.ndarray]:
    """Of one control: the highest value [frames] of its track at CLOCK around each frame, and in which frames
    [frames] a peak that averaging lowered lies for the most part."""
    centres = ((np.arange(len(controls)) + 0.5) / float(fps) + lead) * CLOCK
    window = max(1, int(CLOCK / float(fps)) | 1)
    highest = maximum_filter1d(mouth[:, index], window)[np.clip(centres, 0, len(mouth) - 1).astype(int)]
    fullest = controls[:, index] >= maximum_filter1d(controls[:, index], 3)
    return highest, fullest & (highest > controls[:, index])
