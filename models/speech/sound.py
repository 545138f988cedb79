"""Sound as speech networks take it."""

import importlib
import math
from fractions import Fraction
from types import ModuleType

import numpy as np
from torch import Tensor

RATE = 16000


def mono(waveform: Tensor, sample_rate: int, rate: int = RATE) -> np.ndarray:
    """[C,T] -> [T'] float32 at `rate` Hz: the mean of the channels, resampled by soxr in its high quality."""
    wave = waveform.float().mean(0).numpy()
    if sample_rate == rate:
        return wave
    return librosa().resample(wave, orig_sr=sample_rate, target_sr=rate, res_type="soxr_hq")


def fitted_mono(waveform: Tensor, sample_rate: int, rate: int, samples: int) -> np.ndarray:
    """The same, cut or filled with silence to `samples`."""
    wave = mono(waveform, sample_rate, rate)[:samples].astype(np.float32, copy=False)
    return np.pad(wave, (0, samples - len(wave))) if len(wave) < samples else wave


def film_wave(waveform: Tensor, sample_rate: int, fps: int) -> np.ndarray:
    """[C,T] as mono at 16 kHz that lasts as long as a film of it: as many whole frames, at least one."""
    frames = max(1, frame_count(Fraction(waveform.shape[-1], sample_rate), Fraction(fps)))
    return fitted_mono(waveform, sample_rate, RATE, frames * RATE // fps)


def frame_count(seconds: float | Fraction, fps: Fraction) -> int:
    """Frames of a film that lasts as long as its sound: round(seconds x fps), a half counts as one."""
    return math.floor(Fraction(seconds) * fps + Fraction(1, 2))


def librosa() -> ModuleType:
    """The package of that name, which the built-in stages do not need; ValueError that says how to install it."""
    try:
        # librosa imports its parts when they are first used
        for part in ("soxr", "librosa.core", "librosa.filters"):
            importlib.import_module(part)
        return importlib.import_module("librosa")
    except ImportError as error:
        reason = (str(error).splitlines() or ["no reason given"])[0][:150]
        raise ValueError(
            f"this needs the Python package librosa, which cannot be imported ({reason}). Run: pip install "
            "-r requirements.txt in this pack's folder, with ComfyUI's Python, and restart ComfyUI. Sound "
            "at 16 kHz needs it for KDTalker only."
        ) from None
