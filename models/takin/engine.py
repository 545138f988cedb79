"""Takin-ADA as a motion engine: speech and an emotion -> the motion of a whole face (section 3.2)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..contracts import MotionSampler
from ..engine import MotionSettings, Speech
from ..face_motion import FaceMotion
from ..face_motion.mix import credits
from ..face_motion.time import joined
from ..portrait import Portrait
from ..progress import Progress
from ..sampling.schedule import from_noisiest
from ..speech.builtin_layers import heard_layers
from ..speech.encoding import EncodedSpeech
from ..speech.feature_stream import FeatureStream
from ..speech.features import FRAME_RATE, feature_blocks, frame_total
from ..speech.listening import REACH, WARM_UP, WHOLE_BLOCK, Heard, Listener
from .config import FPS
from .emotion import emotion_faces, emotion_label, emotion_weights
from .features import SpeechLayers
from .generator import Sampling, sampled_by
from .live import Hear
from .live_motion import LiveMotion
from .network import TakinNet
from .performance import TICKS, Performance
from .sampling import Guidance

LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class TakinOptions:
    """What the artist chooses beside MotionSettings. emotion: a name, or a mixture such as "happy 2, surprised 1".

    intensity: 0 to 1. steps: of DDIM. exemplar: [63] mean expression of a face in that mood, as a change from
    neutral, or None.
    named: the input that the emotion came from, for messages. head: a motion whose head the network is told
    to follow, as changes from its rest, from the photo's pose on; behind its end, and where its face was not
    found, the head is the network's own. sampler: None for deterministic DDIM.
    """

    emotion: str = "neutral"
    intensity: float = 1.0
    steps: int = 10
    guidance: Guidance = field(default_factory=Guidance)
    exemplar: Tensor | None = None
    named: str = "emotion"
    head: FaceMotion | None = None
    sampler: MotionSampler | None = None

    def label(self) -> Tensor:
        """[8] for the network; ValueError that names the input that is wrong."""
        return emotion_label(emotion_weights(self.emotion, self.named), self.intensity, self.named)


class TakinEngine:
    """Lips, expression, blinks and head from speech. The networks are called when they are needed, and
    compute on `device`."""

    id = "Takin-ADA"
    native_fps: Fraction | None = Fraction(FPS)
    reads = frozenset(
        {"mouth_amount", "head_amount", "blink_rate", "brow_amount", "silence_threshold", "blink_asymmetry"}
    )
    licence = LICENCE  # of the network, which the motion inherits
    hears_live = True  # whether its speech encoder takes sound as it comes in
    hears = frozenset({"built-in", "ear", "hubert"})

    def __init__(
        self, network: Callable[[], TakinNet], speech_network: Callable[[], Any], encoder: str,
        options: TakinOptions | None = None, device: torch.device | None = None,
    ):  # fmt: skip
        self.network, self.speech_network, self.encoder = network, speech_network, encoder
        self.options, self.device = options or TakinOptions(), device or torch.device("cpu")
        self.label = self.options.label()
        from_noisiest(self.sampling(Sampling(), 0).steps, 1000)

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. All values are changes from the photo, whoever is on it."""
        return joined(list(self.stream(speech, seed, settings, progress)))

    def begin(self, seed: int, settings: MotionSettings) -> LiveMotion:
        """See StreamingEngine. ValueError if the speech encoder needs the whole sound."""
        return LiveMotion(self, seed, settings)

    def stream(
        self, speech: Speech, seed: int, settings: MotionSettings, progress: Progress = lambda done,
        total: None
    ) -> Iterator[FaceMotion]:  # fmt: skip
        """See StreamingEngine; no frame hears further than `look_ahead` seconds behind it."""
        frames = speech.checked(Fraction(FPS))
        sampling = self.sampling(Sampling(), seed)
        performance = Performance(
            self, sampling, settings, self.hearing(speech),
            Listener(settings.silence_threshold, WHOLE_BLOCK, WARM_UP),
            seconds=float(speech.seconds), each=drawing_progress(sampling, frames, progress),
        )  # fmt: skip
        for mel, loudness, last in sound_pieces(speech, sampling):
            motion = performance.push(mel, loudness, frames if last else None)
            if motion is not None:
                yield motion
        progress(100, 100)

    @property
    def look_ahead(self) -> float:
        """Seconds of sound behind a frame of `stream` that it may depend on; nothing later changes it."""
        window = self.sampling(Sampling(), 0).window
        return window / FPS + (WHOLE_BLOCK + REACH) / FRAME_RATE + FeatureStream().look_ahead

    def sampling(self, how: Sampling, seed: int) -> Sampling:
        """How the two motions are drawn, with the artist's options: see Performance."""
        drawn = replace(
            how, steps=self.options.steps, guidance=self.options.guidance, temperatures=(0.0, 1.0), seed=seed
        )
        return sampled_by(self.options.sampler, drawn)

    def hearing(self, speech: Speech | None = None) -> Hear:
        """What the network is told of each block of sound; `speech` is the whole clip, None a live voice."""
        if speech is not None and speech.encoded is not None:
            return heard_before(speech.encoded)
        network = self.speech_network()
        return lambda heard: SpeechLayers(heard_layers(network, heard, self.device), self.encoder)

    def take_sound(self, hear: Hear, wave: np.ndarray, last: bool) -> None:
        """The next samples of a live voice, for a `hearing` that asks for more than features; this one does not."""

    def face_change(self) -> Tensor:
        """[63] change of the expression that the emotion makes."""
        known = self.label @ emotion_faces()[0]
        return known if self.options.exemplar is None else self.options.exemplar

    def facts(self, seed: int) -> dict[str, Any]:
        """What a motion says about where it comes from."""
        led = {} if self.options.head is None else {"also_from": credits(self.options.head)}
        drawn = self.sampling(Sampling(), seed)
        return {
            "producer": self.id, "seed": seed, "steps": drawn.steps, "sampler": drawn.sampler.id,
            "emotion": self.options.emotion,
            "emotion_intensity": self.options.intensity, "licence": self.licence, **led,
        }  # fmt: skip


def heard_before(encoded: EncodedSpeech) -> Hear:
    """What a clip's blocks say that was encoded already; behind its end the last frame is repeated."""

    def hear(heard: Heard) -> SpeechLayers:
        first = heard.start // 2
        index = torch.arange(first, first + -(-len(heard.gate) // 2)).clamp(max=encoded.layers.shape[1] - 1)
        return SpeechLayers(encoded.layers[:, index], encoded.name)

    return hear


def sound_pieces(speech: Speech, sampling: Sampling) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Log-mel, loudness, and whether it is the end: as much at once as makes one more window of motion."""
    size, start, total = (
        TICKS * (sampling.window - sampling.overlap),
        0,
        frame_total(speech.waveform.shape[1], speech.sample_rate),
    )
    for mel, loudness in feature_blocks(speech.waveform.numpy(), speech.sample_rate):
        for first in range(0, len(mel), size):
            piece = mel[first : first + size]
            start += len(piece)
            yield piece, loudness[first : first + size], start == total


def drawing_progress(sampling: Sampling, frames: int, progress: Progress) -> Callable[[], None]:
    """For a generator to call after every step: tells how much of the film is drawn."""
    stride = sampling.window - sampling.overlap
    steps = max(1, -(-(frames - sampling.overlap) // stride)) * sampling.steps
    done = iter(range(1, steps + 1))
    return lambda: progress(round(100 * next(done, steps) / steps), 100)
