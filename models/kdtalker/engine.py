"""KDTalker as a motion engine: speech and one portrait -> the motion of its face (KDTalker, sections 3.2 to 3.4)."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import MotionSampler
from ..engine import MotionSettings, Speech, mono_wave, with_amounts
from ..face_motion import GROUPS, FaceFrame, FaceMotion
from ..liveportrait.motion_extractor import KeypointMotion
from ..liveportrait.source import face_frame, picture_tensor
from ..media.pixels import to_bytes
from ..portrait import Portrait
from ..progress import Progress
from ..sampling import DDIM
from ..sampling.chance import later_generator
from ..speech.sound import librosa
from ..speech.wav2lip import encode_speech
from ..speech.wav2lip_mel import FPS, RATE, SAMPLES_PER_FRAME
from .crop import dlib_points, face_crop, network_input
from .motion import POSE, MotionStatistics, smoothed
from .sampling import WINDOW, sample_motion, timesteps, window_of

POINTS = 21  # keypoints of LivePortrait
ENCODING_SHARE = 0.3  # of the progress bar
LICENCE = "CC BY-NC 4.0 (KDTalker), non-commercial research (Wav2Lip)"


class KDTalkerEngine:
    """Lips, expression and head from speech. The networks are called when they are needed, and compute on
    `device`; `steps` of DDIM (50 as published), unless a sampler says otherwise. window, points: what the denoiser
    learned at once, and how many keypoints it moves."""

    id = "KDTalker"
    native_fps: Fraction | None = Fraction(FPS)
    reads = frozenset({"mouth_amount", "head_amount"})  # of MotionSettings
    hears = frozenset({"wav2lip"})

    def __init__(
        self, denoiser: Callable[[], nn.Module], audio_encoder: Callable[[], nn.Module],
        motion_extractor: Callable[[], Callable[[Tensor], KeypointMotion]],
        statistics: MotionStatistics, steps: int = 10, device: torch.device | None = None,
        sampler: MotionSampler | None = None, window: int = WINDOW, points: int = POINTS,
    ):  # fmt: skip
        librosa()  # say now if it is missing, not after the portrait was prepared
        self.device = device or torch.device("cpu")
        self.denoiser, self.audio_encoder, self.motion_extractor = denoiser, audio_encoder, motion_extractor
        self.statistics, self.sampler = statistics, sampler or DDIM()
        self.steps, self.window, self.learnt = (
            self.sampler.steps or steps, window_of(self.sampler, window), window
        )  # fmt: skip
        self.numbers = POSE + 3 * points
        timesteps(self.steps)

    def generate(
        self, speech: Speech, fps: Fraction, seed: int, settings: MotionSettings, progress: Progress,
        portrait: Portrait | None = None,
    ) -> FaceMotion:  # fmt: skip
        """See MotionEngine. Absolute values in keypoint units, whose reference is the portrait's own motion.

        Blinks, brows and silence are KDTalker's own, so the settings for them do nothing. ValueError without
        a portrait.
        """
        frames = speech.checked(fps)
        if portrait is None:
            raise ValueError(
                "portrait is empty, but KDTalker starts from the face that is to speak. Connect Prepare Portrait."
            )
        found = self._own_motion(portrait)
        sampled = self._sample(speech, frames, found, seed, progress)
        own = face_frame(found)
        source = {"producer": self.id, "seed": seed, "steps": self.steps, "sampler": self.sampler.id,
                  "licence": LICENCE}  # fmt: skip
        motion = face_motion(smoothed(self.statistics.parts(sampled)), own, Fraction(FPS), source)
        return with_amounts(motion, settings)

    def _own_motion(self, portrait: Portrait) -> KeypointMotion:
        crop, _ = face_crop(to_bytes(portrait.image), dlib_points(portrait.face.points))
        found = self.motion_extractor()(picture_tensor(network_input(crop)).to(self.device))
        return KeypointMotion(**{name: value.cpu() for name, value in vars(found).items()})

    def _heard(self, speech: Speech, frames: int, progress: Progress) -> Tensor:
        """Features [frames,512]; a clip that was encoded already may lack the last, which is then repeated."""
        if speech.encoded is not None:
            given = speech.encoded.layers[-1][:frames]
            return torch.cat([given, given[-1:].expand(frames - len(given), -1)])
        wave = mono_wave(speech, RATE, frames * SAMPLES_PER_FRAME)
        return encode_speech(self.audio_encoder(), wave, self.device, progress)

    def _sample(
        self, sound: Speech, frames: int, found: KeypointMotion, seed: int, progress: Progress
    ) -> Tensor:
        windows = -(-frames // self.window) * self.steps
        total = round(windows / (1 - ENCODING_SHARE))
        speech = self._heard(sound, frames, lambda done, n: progress((total - windows) * done // n, total))
        network, device = self.denoiser(), self.device
        random, later = torch.Generator().manual_seed(seed), later_generator(seed)
        reference = motion_vector(found, self.statistics).to(device)
        canonical = self.statistics.canonical(found.canonical.flatten(1)).to(device)
        sampled = sample_motion(
            network, speech.to(device), reference, canonical,
            # the published call draws three and uses one
            lambda _: torch.randn(1, self.window, self.numbers, 3, generator=random)[..., 0],
            self.steps, lambda done, _: progress(total - windows + done, total),
            self.sampler, lambda _: torch.randn(1, self.window, self.numbers, generator=later), self.learnt,
        )  # fmt: skip
        progress(total, total)
        return sampled.float().cpu()


def motion_vector(found: KeypointMotion, statistics: MotionStatistics) -> Tensor:
    """The normalised numbers of a picture's own motion, [1,70]: the reference of the first window."""
    return statistics.vector(
        {"scale": found.scale, "yaw": found.yaw, "pitch": found.pitch, "roll": found.roll,
        "t": found.translation,
         "exp": found.expression.flatten(1)}
    )  # fmt: skip


def face_motion(
    parts: Mapping[str, Tensor], own: FaceFrame, fps: Fraction, source: Mapping[str, Any]
) -> FaceMotion:
    """KDTalker's values [n,...] as absolute motion about the portrait's own; as published, the face keeps its size."""
    pose = torch.cat([parts["pitch"], parts["yaw"], parts["roll"]], 1)
    return FaceMotion.from_expression(
        parts["exp"].unflatten(1, (21, 3)), pose, parts["t"], torch.full((len(pose),), own.scale), fps,
        source=source, absolute=frozenset(GROUPS), reference=own,
    )  # fmt: skip
