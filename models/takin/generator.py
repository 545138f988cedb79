"""Motion from speech features as they come: windows that overlap, each continuing the frames before it (section 3.2).

However the features are cut into pushes, the windows are the same, so a whole clip in one push and a live
stream give the same motion. Inside a window the network looks both ways; across windows it looks back only.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from ..contracts import MotionSampler
from ..sampling import DDIM
from ..sampling.chance import later_generator
from .config import COMMANDS, EMOTIONS, EXPRESSION, FEATURE_RATE, FPS, MOTION, POSE
from .features import SpeechLayers
from .network import Conditions, TakinNet
from .sampling import Guidance, alpha_bars, guided_clean, schedule

SHORTEST, LONGEST = 25, 125  # frames of a window: what the network was trained on
PER_FRAME = FEATURE_RATE // FPS
# command(start, stop) -> [takes or 1, stop - start, 16], see Conditions
Command = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Sampling:
    """How motion is drawn. window, overlap: frames. temperatures: of the noise, one motion ("take") is made for each.

    A temperature of 0 gives the one motion that the network finds likeliest, whatever the seed; 1 what it was
    trained to draw. sampler: takes as many as `steps` unless it has its own number.
    """

    window: int = 125
    overlap: int = 20
    steps: int = 10
    guidance: Guidance = field(default_factory=Guidance)
    temperatures: tuple[float, ...] = (1.0,)
    seed: int = 0
    sampler: MotionSampler = field(default_factory=DDIM)

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.window:
            raise ValueError(f"overlap is {self.overlap} frames; 0 to {self.window - 1} fit a window.")


LIVE = Sampling(window=25, overlap=8)


def sampled_by(sampler: MotionSampler | None, how: Sampling) -> Sampling:
    """The same drawn by another sampler, with its steps and window where it has them; ValueError for a window
    that the network has not learnt."""
    if sampler is None:
        return how
    window = sampler.window or how.window
    if not SHORTEST <= window <= LONGEST:
        raise ValueError(
            f"window is {window}, but Takin-ADA takes {SHORTEST} to {LONGEST} frames. Set window of the "
            f"sampler to 0 for its own {how.window}."
        )
    return replace(
        how, sampler=sampler, steps=sampler.steps or how.steps, window=window,
        overlap=min(how.overlap, window // 3),
    )  # fmt: skip


@dataclass(frozen=True)
class Feeling:
    """What is asked of a face: label [8] (`emotion_label`), exemplar [63] in units or None, reference pose
    [7] in units."""

    label: Tensor = field(default_factory=lambda: torch.zeros(len(EMOTIONS)))
    exemplar: Tensor | None = None
    reference: Tensor = field(default_factory=lambda: torch.tensor([1.0, 0, 0, 0, 0, 0, 0]))


def pose_command(network: TakinNet, pose: Tensor, mask: Tensor, lids: Tensor | None = None) -> Tensor:
    """Conditions.command [N,16] from pose [N,7] in units with mask [7] or [N,7], and perhaps the closure of
    the lids [N]."""
    mean, deviation = (
        track[EXPRESSION:].to(pose) for track in (network.motion_mean, network.motion_deviation)
    )
    values, masks = pose.new_zeros(len(pose), COMMANDS), pose.new_zeros(len(pose), COMMANDS)
    values[:, :POSE], masks[:, :POSE] = (pose - mean) / deviation, mask
    if lids is not None:
        values[:, POSE], masks[:, POSE] = lids, 1.0
    return torch.cat([values * masks, masks], 1)


class MotionGenerator:
    """Push speech features, get the frames that are final. `latency` is the wait for a frame, without
    computing, in seconds.

    The network shall stay where it is (its device is where this computes) until `finish`. `each` is called
    after every step of the diffusion.
    """

    def __init__(
        self, network: TakinNet, sampling: Sampling | None = None, feeling: Feeling | None = None,
        command: Command | None = None,
        each: Callable[[], None] = lambda: None, device: torch.device | None = None,
    ):  # fmt: skip
        self.network, self.sampling, self.command, self.each = network, sampling or Sampling(), command, each
        self.device = device or torch.device("cpu")
        feeling, config = feeling or Feeling(), network.config
        takes = self.takes = len(self.sampling.temperatures)
        self.alpha_bars = alpha_bars(config.schedule, config.diffusion_steps).float()
        self.schedule = schedule(self.alpha_bars, self.sampling.steps)
        self.random = torch.Generator().manual_seed(self.sampling.seed % 2**63)
        self.later_random = later_generator(self.sampling.seed)
        self.temperatures = torch.tensor(self.sampling.temperatures)[:, None, None]
        mean, deviation = network.motion_mean.float().cpu(), network.motion_deviation.float().cpu()
        self.reference = (
            ((feeling.reference - mean[EXPRESSION:]) / deviation[EXPRESSION:])
            .expand(takes, -1)
            .to(self.device)
        )
        self.label = feeling.label.expand(takes, 1, -1).to(self.device)
        self.exemplar = torch.zeros(takes, 1, EXPRESSION + 1, device=self.device)
        if feeling.exemplar is not None:
            wanted = (feeling.exemplar - mean[:EXPRESSION]) / deviation[:EXPRESSION]
            self.exemplar[:] = torch.cat([wanted, torch.ones(1)]).to(self.device)
        # Frames before the clip: nothing is known of them, and nothing is heard.
        self.layers = torch.zeros(config.encoder_layers, PER_FRAME * config.previous, config.encoder_width)
        self.previous = torch.zeros(takes, config.previous, MOTION + 1, device=self.device)
        self.noise = torch.zeros(takes, 0, MOTION)
        self.later = torch.zeros(takes, 0, self.sampling.steps, MOTION)
        self.tail = torch.zeros(takes, 0, MOTION, device=self.device)
        self.start = 0

    @property
    def latency(self) -> float:
        """Seconds that the first frame of a window waits for the features of its last."""
        return self.sampling.window / FPS

    @property
    def waiting(self) -> int:
        """Whole frames whose features are there and that are not yet given out; half a frame counts."""
        return -(-self.layers.shape[1] // PER_FRAME) - self.network.config.previous

    def push(self, speech: SpeechLayers) -> Tensor:
        """The next features -> final frames [takes,n,70] in units; n may be 0. ValueError for features of
        another encoder."""
        self.layers = torch.cat([self.layers, speech.checked(self.network.config)], 1)
        found, stride = [self.nothing], self.sampling.window - self.sampling.overlap
        while self.layers.shape[1] >= PER_FRAME * (self.network.config.previous + self.sampling.window):
            found.append(self._window(self.sampling.window, stride))
        return torch.cat(found, 1)

    def finish(self) -> Tensor:
        """All frames that are left [takes,n,70]; a half frame of features makes a frame."""
        count = self.waiting
        if count <= 0:
            return self.nothing
        if count <= self.tail.shape[1]:
            rest, self.tail = self.tail[:, :count], self.tail[:, :0]
            self._advance(count, rest)
            return self._in_units(rest)
        length = max(count, min(SHORTEST, self.sampling.window))
        missing = PER_FRAME * (self.network.config.previous + length) - self.layers.shape[1]
        self.layers = torch.cat([self.layers, self.layers[:, -1:].expand(-1, missing, -1)], 1)
        found = self._window(length, count)
        self.tail = self.tail[:, :0]
        self.layers = self.layers[:, : PER_FRAME * self.network.config.previous]
        return found

    def _window(self, length: int, final: int) -> Tensor:
        """Draw a window of `length` frames, of which the first `final` are given out in units."""
        before = self.network.config.previous
        stack = self.layers[None, :, : PER_FRAME * (before + length)].to(self.device)
        speech = self.network.encode_speech(stack).expand(self.takes, -1, -1)
        given = Conditions(
            speech,
            self.previous,
            self.reference,
            self.label,
            self.exemplar,
            self._command(self.start, self.start + length),
        )
        later = cache(lambda: self._later_noise(length).to(self.device))  # at once, if it is asked for at all
        motion = self.sampling.sampler.sample(
            lambda latent, step: guided_clean(
                self.network, latent, step, given, self.sampling.guidance, self.alpha_bars
            ),
            self._noise(length).to(self.device), self.schedule, lambda done: later()[:, :, done],
            lambda latent: self.each(),
        )  # fmt: skip
        shared = min(self.tail.shape[1], length)
        rise = (torch.arange(shared, device=self.device) + 1.0)[:, None] / (shared + 1)
        motion = torch.cat(
            [self.tail[:, :shared] * (1 - rise) + motion[:, :shared] * rise, motion[:, shared:]], 1
        )
        self.tail = motion[:, final:]
        self._advance(final, motion[:, :final])
        return self._in_units(motion[:, :final])

    def _advance(self, count: int, motion: Tensor) -> None:
        known = torch.cat([motion, torch.ones_like(motion[..., :1])], 2)
        self.previous = torch.cat([self.previous, known], 1)[:, -self.network.config.previous :]
        self.layers, self.noise = self.layers[:, PER_FRAME * count :], self.noise[:, count:]
        self.later = self.later[:, count:]
        self.start += count

    def _noise(self, length: int) -> Tensor:
        """Every frame keeps its noise from one window to the next, so that both draw the same there."""
        missing = max(0, length - self.noise.shape[1])
        fresh = torch.randn(missing, MOTION, generator=self.random) * self.temperatures
        self.noise = torch.cat([self.noise, fresh], 1)
        return self.noise[:, :length]

    def _later_noise(self, length: int) -> Tensor:
        """What samplers of chance add after each step [takes,length,steps,70]; it stays with its frame too."""
        missing = max(0, length - self.later.shape[1])
        fresh = torch.randn(missing, self.sampling.steps, MOTION, generator=self.later_random)
        self.later = torch.cat([self.later, fresh * self.temperatures[..., None]], 1)
        return self.later[:, :length]

    def _command(self, start: int, stop: int) -> Tensor:
        if self.command is None:
            return torch.zeros(self.takes, stop - start, 2 * COMMANDS, device=self.device)
        return self.command(start, stop).expand(self.takes, -1, -1).to(self.device)

    def _in_units(self, motion: Tensor) -> Tensor:
        return self.network.in_units(motion).float().cpu()

    @property
    def nothing(self) -> Tensor:
        """No frames."""
        return torch.zeros(self.takes, 0, MOTION)
