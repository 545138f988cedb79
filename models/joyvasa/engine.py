"""JoyVASA as a motion engine: speech alone -> the motion of a face (JoyVASA, section 3.2)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..contracts import MotionSampler, SpokenMotion
from ..engine import MotionSettings, Speech, mono_wave, with_amounts
from ..face_motion import FaceMotion
from ..face_motion.time import joined
from ..portrait import Portrait
from ..progress import Progress
from ..sampling import DDPM
from ..speech.encoding import EncodedSpeech, check_weights
from .features import FPS, LATE, RATE, SAMPLES_PER_FRAME, window_total
from .hearing import heard, heard_before
from .motion import HeadSmoothing, MotionTemplate, face_motion
from .network import JoyVASA
from .sampling import check_window, chosen_steps, sample_windows

ENCODING = 12  # diffusion steps that take about as long as the encoding of a window, for the progress bar
LICENCE = "MIT (verify on the model card)"


@dataclass(frozen=True)
class JoyVASAOptions:
    """steps: of the diffusion, 0 for all that the file was trained with. guidance: 1 follows the speech as
    learned, more exaggerates it. head_smoothing: share of the frame before that the head keeps, 0 none, 0.99
    as published.
    official_timing: leave the motion 80 ms late against the sound, as the published code does. sampler: None
    for DDPM, as published."""

    steps: int = 0
    guidance: float = 2.0
    head_smoothing: float = 0.0
    official_timing: bool = False
    sampler: MotionSampler | None = None


class JoyVASAEngine:
    """Lips, expression and head from speech. The network is called when it is needed, and computes on `device`."""

    id = "JoyVASA"
    native_fps: Fraction | None = Fraction(FPS)
    reads = frozenset({"mouth_amount", "head_amount"})  # of MotionSettings
    hears = frozenset({"joyvasa"})

    def __init__(
        self, network: Callable[[], JoyVASA], template: MotionTemplate,
        options: JoyVASAOptions = JoyVASAOptions(),
        device: torch.device | None = None, encoder: Callable[[], str] | None = None,
    ):  # fmt: skip
        """encoder: gives the name of the weights of the HuBERT in the network's file."""
        self.encoder = encoder
        self.network, self.template, self.options = network, template, options
        self.device, self.sampler = device or torch.device("cpu"), options.sampler or DDPM()

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. Absolute values in keypoint units, whose reference is their own first frame.

        The portrait is not looked at. Blinks, brows and silence are JoyVASA's own, so the settings for them do nothing.
        """
        return joined(list(self.stream(speech, seed, settings, progress)))

    @property
    def look_ahead(self) -> float:
        """See StreamingEngine: the window in which a frame is made."""
        return self.network().config.window / FPS

    def begin(self, seed: int, settings: MotionSettings) -> SpokenMotion:
        """See StreamingEngine: never, for its windows are too long to speak along with."""
        raise ValueError(
            f"motion_engine is JoyVASA, which moves {self.look_ahead:g} s at a time. Choose built-in or Takin-ADA in "
            "Load Motion Engine, or take Stream Talking Portrait."
        )

    def stream(
        self, speech: Speech, seed: int, settings: MotionSettings, progress: Progress
    ) -> Iterator[FaceMotion]:
        """See StreamingEngine: the very motion of `generate`, window by window."""
        frames, given, first = speech.checked(Fraction(FPS)), 0, None
        late = 0 if self.options.official_timing else LATE
        wave = mono_wave(speech, RATE, frames * SAMPLES_PER_FRAME)
        if speech.encoded is not None and self.encoder is not None:
            check_weights(speech.encoded, self.encoder(), self.id)
        source = {"producer": self.id, "seed": seed,
            "steps": self.sampler.steps or self.options.steps, "sampler": self.sampler.id,
            "guidance": self.options.guidance,
                  "licence": LICENCE}  # fmt: skip
        smoothing = HeadSmoothing(self.options.head_smoothing)
        for vectors in self._sample(wave, speech.encoded, seed, progress):
            parts = smoothing.push(self.template.parts(vectors))
            parts = {name: value[late : late + frames - given] for name, value in parts.items()}
            late = 0
            if not len(parts["t"]):
                return
            motion = face_motion(parts, source, first)
            first, given = motion.reference, given + len(motion)
            yield with_amounts(motion, settings)

    def _sample(
        self, wave: np.ndarray, encoded: EncodedSpeech | None, seed: int, progress: Progress
    ) -> Iterator[Tensor]:
        """Motion [n,70] of one window after another."""
        network, options = self.network(), self.options
        config = network.config
        check_window(self.sampler, config.window)
        steps = len(chosen_steps(config.steps, self.sampler.steps or options.steps))
        windows = window_total(len(wave), config.window)
        encoding = ENCODING if encoded is None else 0
        per_window, done = encoding + steps, 0

        def tick(count: int = 1) -> None:
            nonlocal done
            progress(done, windows * per_window)
            done += count

        random = torch.Generator().manual_seed(seed)
        shape = (1, config.window, config.motion)
        first = torch.randn(shape, generator=random)
        if encoded is None:
            features = heard(network, wave, self.device, lambda: tick(encoding))
        else:
            features = heard_before(network, encoded, windows, self.device, lambda: tick(encoding))
        sampled = sample_windows(
            network, features, first,
            lambda window, step: torch.randn(shape, generator=random), options.steps, options.guidance,
            lambda window, step, latent: tick(), sampler=self.sampler,
        )  # fmt: skip
        for motion in sampled:
            yield motion[0, :, :70].float().cpu()
        progress(done, windows * per_window)
