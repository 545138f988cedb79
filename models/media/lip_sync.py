"""Do the lips follow the sound? A measure that needs no network: mouth opening against loudness.

This is not LSE-C or LSE-D: those come from a trained network. It is the correlation over time of how far the
mouth is open with how loud the sound is, at the shift between them where it is highest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..face_motion import CONTROLS, FaceMotion
from ..speech.features import FRAME_RATE, speech_features

LARGEST_LAG = 10
LEAST_FRAMES = 12
FLOOR_DB = 45.0  # below the loudest moment, quieter is silence


@dataclass(frozen=True)
class LipSync:
    """lag in frames and parts of them (positive: the lips are late), correlation there and at lag 0, frames
    compared."""

    lag: float
    correlation: float
    at_zero: float
    frames: int

    def report(self, fps: Fraction) -> str:
        """Sentences for the artist."""
        when = (
            "in time"
            if abs(self.lag) < 0.5
            else f"{abs(self.lag):.1f} frames {'late' if self.lag > 0 else 'early'}"
        )
        return (
            f"Lips {when} ({1000 * self.lag / float(fps):+.0f} ms), correlation {self.correlation:.2f} there "
            f"and {self.at_zero:.2f} without shift, over {self.frames} frames. Measured: mouth opening "
            "against loudness. Speech that fits mostly gives 0.4 to 0.8 at a lag of -1 to 1; a film with "
            "another sound mostly less than 0.4. This is not LSE."
        )


def loudness_per_frame(waveform: np.ndarray, sample_rate: int, fps: Fraction, frames: int) -> np.ndarray:
    """[frames] loudness in 0..1 (45 dB) of a [C,T] wave over the time of each video frame."""
    _, level = speech_features(waveform, sample_rate)
    centres = (np.arange(frames) + 0.5) / float(fps) * FRAME_RATE - 0.5
    smooth = np.convolve(level, np.ones(5) / 5, mode="same")
    at = np.interp(centres, np.arange(len(level)), smooth)
    return np.clip((at - at.max()) / FLOOR_DB + 1, 0, 1)


def opening_of_landmarks(tracked: Sequence[np.ndarray | None]) -> np.ndarray:
    """One face's points [478,2] by frame -> [N] distance of the inner lips (13, 14) in distances of the outer
    eye corners (33, 263); NaN without the face, or where its eyes fall together."""
    openings = []
    for xy in tracked:
        eyes = 0.0 if xy is None else np.linalg.norm(xy[33] - xy[263])
        openings.append(np.nan if xy is None or eyes == 0 else np.linalg.norm(xy[13] - xy[14]) / eyes)
    return np.array(openings)


def opening_of_motion(motion: FaceMotion) -> np.ndarray:
    """[N] driven opening of the jaw, less where the lips are pressed together."""
    jaw, close = (
        motion.controls[:, CONTROLS.index("jawOpen")],
        motion.controls[:, CONTROLS.index("mouthClose")],
    )
    return (jaw * (1 - close.clamp(0, 1))).numpy()


def lip_sync(opening: np.ndarray, loudness: np.ndarray) -> LipSync:
    """Compare [N] opening with [N] loudness; ValueError if there is too little to compare or nothing moves."""
    count = min(len(opening), len(loudness))
    if count < LEAST_FRAMES:
        raise ValueError(f"there are {count} frames to compare; at least {LEAST_FRAMES} are needed.")
    opening, loudness = opening[:count], loudness[:count]
    if np.isfinite(opening).sum() < LEAST_FRAMES:
        raise ValueError(
            f"face_landmarks has a face in {np.isfinite(opening).sum()} frames; {LEAST_FRAMES} are needed."
        )
    if np.nanstd(opening) < 1e-6 or loudness.std() < 1e-6:
        what = "the mouth never moves" if np.nanstd(opening) < 1e-6 else "the audio never changes in loudness"
        raise ValueError(f"{what}, so there is nothing to compare.")
    reach = min(LARGEST_LAG, count // 4)
    scores = {lag: correlation_at(opening, loudness, lag) for lag in range(-reach, reach + 1)}
    best = max(scores, key=lambda lag: (scores[lag], -abs(lag)))
    return LipSync(best + peak_offset(scores, best), scores[best], scores[0], count)


def peak_offset(scores: Mapping[int, float], best: int) -> float:
    """Where between its neighbours (-0.5 to 0.5) the highest score lies, by a parabola through the three."""
    before, at, after = scores.get(best - 1), scores[best], scores.get(best + 1)
    if before is None or after is None or before + after >= 2 * at:
        return 0.0
    return float(np.clip((after - before) / (2 * (2 * at - before - after)), -0.5, 0.5))


def correlation_at(opening: np.ndarray, loudness: np.ndarray, lag: int) -> float:
    """Pearson correlation with the lips `lag` frames late; frames without a face are left out."""
    lips = opening[lag:] if lag >= 0 else opening[:lag]
    sound = loudness[: len(loudness) - lag] if lag >= 0 else loudness[-lag:]
    known = np.isfinite(lips)
    if known.sum() < 3 or lips[known].std() < 1e-9 or sound[known].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(lips[known], sound[known])[0, 1])
