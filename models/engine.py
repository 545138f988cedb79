"""What motion engines are given: sound, the artist's settings, frame rates; and what several of them do alike."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from .face_motion import FaceMotion
from .face_motion.intensity import scale_intensity
from .face_motion.mix import blend
from .speech.encoding import EncodedSpeech
from .speech.sound import fitted_mono, frame_count

NTSC = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(120000, 1001))


def frame_rate(fps: float) -> Fraction:
    """Exact frame rate of a decimal number: 23.976 is 24000/1001, 12.5 is 25/2. ValueError if it is no rate."""
    if not (math.isfinite(fps) and fps >= 0.001):
        raise ValueError(f"fps is {fps:g}; it must be above 0. Films have 24, 25 or 30.")
    near = min(NTSC, key=lambda rate: abs(float(rate) - fps))
    return near if abs(float(near) - fps) < 0.002 else Fraction(fps).limit_denominator(1000)


@dataclass(frozen=True)
class Speech:
    """One clip of sound: waveform [C,T] float32 on the CPU, sample rate in Hz; encoded: as an encoder heard it,
    if one did already."""

    waveform: Tensor
    sample_rate: int
    encoded: EncodedSpeech | None = None

    @property
    def seconds(self) -> Fraction:
        """Exact duration."""
        return Fraction(self.waveform.shape[-1], self.sample_rate)

    def lasting(self, seconds: Fraction) -> "Speech":
        """The same with silence behind it, where it is shorter than that."""
        missing = max(0, math.ceil(seconds * self.sample_rate) - self.waveform.shape[-1])
        return (
            replace(self, waveform=torch.nn.functional.pad(self.waveform, (0, missing))) if missing else self
        )

    def checked(self, fps: Fraction) -> int:
        """Frames of this clip at `fps`; ValueError if it is empty, too short for one frame, or not made of numbers."""
        if fps <= 0:
            raise ValueError(f"fps is {float(fps):g}; it must be above 0. Films have 24, 25 or 30.")
        if self.waveform.ndim != 2 or self.waveform.shape[0] == 0:
            raise ValueError(f"audio has shape {tuple(self.waveform.shape)}; [channels, samples] is needed.")
        if not self.sample_rate > 0:
            raise ValueError(f"audio has a sample rate of {self.sample_rate} Hz; it must be above 0.")
        needed = Fraction(1, 1) / fps
        frames = frame_count(self.seconds, fps)
        if frames == 0:
            raise ValueError(
                f"audio is {float(self.seconds):.3f} s long; at least {float(needed):.3f} s (one frame at "
                f"{float(fps):g} fps) is needed."
            )
        if not all(map(math.isfinite, self.waveform.aminmax())):  # no copy of an hour of sound
            raise ValueError("audio has samples that are not numbers (NaN or infinite); export it again.")
        return frames


@dataclass(frozen=True)
class MotionSettings:
    """What the artist chooses, for every engine.

    mouth_amount, head_amount, brow_amount, gaze_amount, life_amount: factors, 1 as generated; the last is of breath,
    swallowing and lips that are not quite still. blink_rate: per minute, 0 for none.
    silence_threshold: dB relative to the loudest speech, below which the mouth closes. lip_lead: milliseconds by which
    the lips move before their sound. blink_asymmetry: 0 both lids alike, 1 a wink of the subject's left eye.
    """

    mouth_amount: float = 1.0
    head_amount: float = 1.0
    blink_rate: float = 18.0
    brow_amount: float = 1.0
    silence_threshold: float = -38.0
    lip_lead: float = 20.0
    blink_asymmetry: float = 0.0
    gaze_amount: float = 1.0
    life_amount: float = 1.0


def mono_wave(speech: Speech, rate: int, samples: int) -> np.ndarray:
    """Mean of the channels at `rate` Hz, float32, cut or filled with silence to `samples`."""
    return fitted_mono(speech.waveform, speech.sample_rate, rate, samples)


def with_amounts(motion: FaceMotion, settings: MotionSettings) -> FaceMotion:
    """The artist's factors on lips and head, about the motion's reference."""
    if settings.mouth_amount != 1:
        motion = blend(motion, scale_intensity(motion, settings.mouth_amount, 1.0), 1.0, ["lips"])
    return motion if settings.head_amount == 1 else scale_intensity(motion, 1.0, settings.head_amount)
