"""Takin-ADA as a motion engine: speech and an emotion -> the motion of a whole face (section 3.2)."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..builtin.motion_engine import at_frames, silence_gate
from ..builtin.procedural import blink_times, blink_track
from ..builtin.speech_features import normalise, speech_features
from ..builtin.speech_net import SpeechNet
from ..engine import MotionSettings, Progress, Speech
from ..face_motion import FaceMotion
from ..face_motion.time import retime
from ..portrait import Portrait
from .config import FPS, POSE
from .emotion import emotion_faces, emotion_label, emotion_weights
from .features import SpeechLayers, builtin_layers_between
from .generator import PER_FRAME, Feeling, MotionGenerator, Sampling, pose_command
from .network import TakinNet
from .sampling import Guidance, timesteps
from .speaking import near_blinks, spoken_motion

HEARING_SHARE = 0.1  # of the progress bar
LIP_LEAD = 0.02  # seconds by which the learnt lips move before their sound
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class TakinOptions:
    """What the artist chooses beside MotionSettings. emotion: a name, or a mixture such as "happy 2, surprised 1".

    intensity: 0 to 1. steps: of DDIM. exemplar: [63] mean expression of a face in that mood, as a change from neutral, or None.
    named: the input that the emotion came from, for messages. head: a motion whose head is followed, or None.
    """

    emotion: str = "neutral"
    intensity: float = 1.0
    steps: int = 10
    guidance: Guidance = field(default_factory=Guidance)
    exemplar: Tensor | None = None
    named: str = "emotion"
    head: FaceMotion | None = None

    def label(self) -> Tensor:
        """[8] for the network; ValueError that names the input that is wrong."""
        return emotion_label(emotion_weights(self.emotion, self.named), self.intensity, self.named)


class TakinEngine:
    """Lips, expression, blinks and head from speech. The networks are called when they are needed, and compute on `device`.

    Two motions are drawn side by side: the likeliest one, whose lips are shown, and one of the seed, which has the rest. So lips
    never depend on the seed.
    """

    id = "Takin-ADA"
    native_fps: Fraction | None = Fraction(FPS)
    licence = LICENCE  # of the network, which the motion inherits
    hears_live = True  # whether its speech encoder takes sound as it comes in

    def __init__(
        self, network: Callable[[], TakinNet], speech_network: Callable[[], SpeechNet], encoder: str,
        options: TakinOptions | None = None, device: torch.device | None = None,
    ):  # fmt: skip
        self.network, self.speech_network, self.encoder = network, speech_network, encoder
        self.options, self.device = options or TakinOptions(), device or torch.device("cpu")
        self.label = self.options.label()
        timesteps(self.options.steps, 1000)

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. All values are changes from the photo, whoever is on it; made at 25 fps and resampled."""
        frames = speech.checked(fps)
        whole = joined(list(self.stream(speech, fps, seed, settings, progress)))
        return whole if fps == FPS else retime(whole, fps, frames)

    def stream(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress = lambda done, total: None
    ) -> Iterator[FaceMotion]:  # fmt: skip
        """The same motion at 25 fps, piece by piece as it is drawn; the first is there long before the end is looked at.

        There are as many frames in all as at 25 fps fit the clip, or reach its end where `fps` is another rate.
        """
        frames = speech.checked(fps)
        native = frames if fps == FPS else math.ceil(speech.seconds * FPS)
        mel, loudness = speech_features(speech.waveform.numpy(), speech.sample_rate)
        gate, _ = silence_gate(loudness, settings.silence_threshold)
        random = np.random.default_rng(seed)
        blinks = blink_times(float(speech.seconds), settings.blink_rate, 1 - gate, random)
        closure = torch.from_numpy(blink_track(blinks, (np.arange(native) + 0.5) / FPS)).float()
        source = {
            "producer": self.id, "seed": seed, "steps": self.options.steps, "emotion": self.options.emotion,
            "emotion_intensity": self.options.intensity, "blinks": blinks.round(3).tolist(), "licence": self.licence,
        }  # fmt: skip
        spoken, blinking = at_frames(gate[:, None], native, Fraction(FPS), LIP_LEAD)[:, 0], near_blinks(closure)
        first, layers = 0, self.heard(speech, mel)
        for steady, free in self._drawn(layers, native, closure, seed, progress):
            here = slice(first, first + len(free))
            yield spoken_motion(steady, free, self.face_change(), spoken[here], blinking[here], settings, source, first)
            first += len(free)

    def heard(self, speech: Speech, mel: np.ndarray) -> Callable[[int, int], Tensor]:
        """Speech features of a clip by their first and last frame at 50 Hz; `mel` is its log-mel."""
        network, normal = self.speech_network(), normalise(mel)
        return lambda start, stop: builtin_layers_between(network, normal, start, stop, self.device)

    def face_change(self) -> Tensor:
        """[63] change of the expression that the emotion makes."""
        known = self.label @ emotion_faces()[0]
        return known if self.options.exemplar is None else self.options.exemplar

    def _drawn(
        self, layers: Callable[[int, int], Tensor], frames: int, closure: Tensor, seed: int, progress: Progress
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The likeliest motion and the seed's own, [n,70] each, in units, until there are `frames`."""
        network = self.network()
        sampling = Sampling(steps=self.options.steps, guidance=self.options.guidance, temperatures=(0.0, 1.0), seed=seed)
        stride = sampling.window - sampling.overlap
        windows = max(1, -(-(frames - sampling.overlap) // stride)) * sampling.steps
        done = iter(range(1, windows + 1))

        def each() -> None:
            progress(round(100 * (HEARING_SHARE + (1 - HEARING_SHARE) * next(done, windows) / windows)), 100)

        generator = MotionGenerator(
            network, sampling, Feeling(self.label, self.options.exemplar), blink_command(network, closure), each, self.device
        )
        total, block = PER_FRAME * frames, PER_FRAME * stride
        progress(round(100 * HEARING_SHARE), 100)
        for start in range(0, total, block):
            motion = generator.push(SpeechLayers(layers(start, min(start + block, total)), self.encoder))
            if motion.shape[1]:
                yield motion[0], motion[1]
        motion = generator.finish()
        if motion.shape[1]:
            yield motion[0], motion[1]
        progress(100, 100)


def joined(parts: list[FaceMotion]) -> FaceMotion:
    """Pieces of one motion, end to end."""
    first = parts[0]
    fields = ("expression", "pose", "translation", "scale", "controls", "valid")
    return replace(first, **{name: torch.cat([getattr(part, name) for part in parts]) for name in fields})


def blink_command(network: TakinNet, closure: Tensor) -> Callable[[int, int], Tensor]:
    """Lids [N] for the second take alone, so that blinks, which the seed draws, leave the lips of the first as they are."""
    still = torch.zeros(1, POSE)

    def command(start: int, stop: int) -> Tensor:
        lids = torch.nn.functional.pad(closure[start:stop], (0, max(0, stop - max(start, len(closure)))))[: stop - start]
        told = pose_command(network, still.expand(stop - start, -1), torch.zeros(POSE), lids)
        return torch.stack([torch.zeros_like(told), told])

    return command
