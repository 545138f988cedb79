"""The built-in engine: the speech network moves the mouth, rules move the rest. Nothing to download."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import torch
from scipy.ndimage import maximum_filter1d

from ..engine import MotionSettings, Speech
from ..face_motion import CONTROLS, FaceMotion
from ..face_motion.blinks import CLOCK, blink_times, blink_track
from ..face_motion.procedural import REST_CLOSURE
from ..face_motion.speed import JAW_SPEED, LIP_SPEED, lowered, per_frame, raised
from ..portrait import Portrait
from ..progress import Progress
from ..speech.silence import DOUBT, silence_gate, within
from ..speech.viseme_hearing import Networks, hear_recording
from ..speech.visemes import SILENCE, VISEMES, articulation
from .rest_of_face import rest_of_face
from .styles import HEAD_STYLES

CLOSURE = (0.2, 0.35)  # probability of p, b, m at which the lips start to meet, and from which they must
# range of the network's own closure that is shown: less of it is a vowel next to a p
PARTIAL_CLOSURE = (0.4, 0.9)
SURE_OF_TUCK = 0.35
FIRM = 0.9  # closure from which the lips are seen to touch
BLINKING = 1  # the random stream of a seed from which blinks are drawn; see rest_of_face.py for the others


class BuiltinMotionEngine:
    """Motion from speech without any download; `networks` gives Whisper's encoder and the viseme heads, ready to
    run on `device`."""

    id = "built-in"
    native_fps: Fraction | None = None
    reads = frozenset(field.name for field in fields(MotionSettings))

    def __init__(self, networks: Networks, device: torch.device | None = None, style: str = "natural"):
        self.networks, self.device, self.style = networks, device or torch.device("cpu"), style

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. All values are changes from the photo, whoever is on it."""
        frames = speech.checked(fps)
        visemes, loudness = hear_recording(
            self.networks(), speech.waveform.numpy(), speech.sample_rate, self.device, progress
        )
        spoken = within(1 - visemes[:, SILENCE], *DOUBT)
        gate, level = silence_gate(loudness, settings.silence_threshold, spoken)
        mouth = mouth_controls(visemes, articulation(visemes), gate, level, settings.mouth_amount)
        controls = mouth_frames(mouth, frames, fps, settings.lip_lead / 1000)
        limit_speed(controls, fps)
        blinks = blink_times(
            float(speech.seconds), settings.blink_rate, 1 - gate, np.random.default_rng([seed, BLINKING])
        )
        rest = rest_of_face(level, gate, blinks, HEAD_STYLES[self.style], settings, seed)
        for name, track in rest.controls.items():
            controls[:, CONTROLS.index(name)] += at_frames(track[:, None], frames, fps)[:, 0]
        shut = blink_track(blinks, (np.arange(frames) + 0.5) / float(fps))
        controls[:, CONTROLS.index("eyeBlinkLeft")] = shut
        controls[:, CONTROLS.index("eyeBlinkRight")] = shut * (1 - settings.blink_asymmetry)
        translation = np.zeros((frames, 3), np.float32)
        translation[:, :2] = at_frames(rest.shift, frames, fps)
        return FaceMotion.from_controls(
            torch.from_numpy(controls),
            torch.from_numpy(at_frames(rest.pose, frames, fps)).float(),
            torch.from_numpy(translation),
            torch.ones(frames),
            fps,
            source={
                "producer": self.id,
                "style": self.style,
                "seed": seed,
                "licence": "Apache-2.0",
                "blinks": blinks.round(3).tolist(),
            },
        )


def limit_speed(controls: np.ndarray, fps: Fraction) -> None:
    """Jaw and lips [frames,K] as fast as people's: the jaw shuts as far as before, lips meet as firmly as before."""
    jaw, close = CONTROLS.index("jawOpen"), CONTROLS.index("mouthClose")
    controls[:, jaw] = lowered(controls[:, jaw], per_frame(JAW_SPEED, fps))
    controls[:, close] = raised(controls[:, close], per_frame(LIP_SPEED, fps))


def mouth_controls(
    visemes: np.ndarray, moves: np.ndarray, gate: np.ndarray, level: np.ndarray, amount: float
) -> np.ndarray:
    """[T,12] controls of the mouth at CLOCK from what the network heard; everything but the mouth is 0."""
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
