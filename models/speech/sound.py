"""Sound as speech networks take it."""

import importlib
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
