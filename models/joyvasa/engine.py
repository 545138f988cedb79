"""JoyVASA as a motion engine: speech alone -> the motion of a face (JoyVASA, section 3.2)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..engine import MotionSettings, Progress, Speech, mono_wave, with_amounts
from ..face_motion import FaceMotion
from ..portrait import Portrait
from .features import FPS, LATE, RATE, SAMPLES_PER_FRAME, sound_windows, window_total
from .motion import MotionTemplate, face_motion, smooth_head
from .network import JoyVASA
from .sampling import chosen_steps, sample_windows

ENCODING = 12  # diffusion steps that take about as long as the encoding of a window, for the progress bar
LICENCE = "MIT (verify on the model card)"


@dataclass(frozen=True)
class JoyVASAOptions:
    """steps: of the diffusion, 0 for all that the file was trained with. guidance: 1 follows the speech as
    learned, more exaggerates it. head_smoothing: share of the frame before that the head keeps, 0 none, 0.99
    as published.
    official_timing: leave the motion 80 ms late against the sound, as the published code does."""

    steps: int = 0
    guidance: float = 2.0
    head_smoothing: float = 0.0
    official_timing: bool = False


class JoyVASAEngine:
    """Lips, expression and head from speech. The network is called when it is needed, and computes on `device`."""

    id = "JoyVASA"
    native_fps: Fraction | None = Fraction(FPS)
    reads = frozenset({"mouth_amount", "head_amount"})  # of MotionSettings

    def __init__(
        self, network: Callable[[], JoyVASA], template: MotionTemplate,
        options: JoyVASAOptions = JoyVASAOptions(),
        device: torch.device | None = None,
    ):  # fmt: skip
        self.network, self.template, self.options = network, template, options
        self.device = device or torch.device("cpu")

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. Absolute values in keypoint units, whose reference is their own first frame.

        The portrait is not looked at. Blinks, brows and silence are JoyVASA's own, so the settings for them do nothing.
        """
        frames = speech.checked(fps)
        late = 0 if self.options.official_timing else LATE
        wave = mono_wave(speech, RATE, frames * SAMPLES_PER_FRAME)
        vectors = self._sample(wave, seed, progress)
        parts = smooth_head(self.template.parts(vectors), self.options.head_smoothing)
        parts = {name: value[late : late + frames] for name, value in parts.items()}
        source = {"producer": self.id, "seed": seed, "steps": self.options.steps,
            "guidance": self.options.guidance,
                  "licence": LICENCE}  # fmt: skip
        return with_amounts(face_motion(parts, source), settings)

    def _sample(self, wave: np.ndarray, seed: int, progress: Progress) -> Tensor:
        network, options = self.network(), self.options
        config = network.config
        steps = len(chosen_steps(config.steps, options.steps))
        windows = window_total(len(wave), config.window)
        per_window, done = ENCODING + steps, 0

        def tick(count: int = 1) -> None:
            nonlocal done
            progress(done, windows * per_window)
            done += count

        random = torch.Generator().manual_seed(seed)
        shape = (1, config.window, config.motion)
        first = torch.randn(shape, generator=random)
        sampled = sample_windows(
            network, encoded(network, wave, self.device, lambda: tick(ENCODING)), first,
            lambda window, step: torch.randn(shape, generator=random), options.steps, options.guidance,
            lambda window, step, latent: tick(),
        )  # fmt: skip
        parts = [motion[0, :, :70].float().cpu() for motion in sampled]
        progress(done, windows * per_window)
        return torch.cat(parts)


def encoded(
    network: JoyVASA, wave: np.ndarray, device: torch.device, each: Callable[[], None] = lambda: None
) -> Iterator[Tensor]:
    """Speech features [1,T,256] of one window after another, so that memory does not grow with the sound."""
    for window in sound_windows(wave, network.config.window):
        each()
        yield network.encode(window.to(device))
