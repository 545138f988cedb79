"""From tokens, gates and a prepared picture to what ComfyUI's samplers take."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..face_motion.curve import Curve
from .core_model import AS_TRAINED, AUDIO, LIVELINESS, MOTION, POSE, REGIONS, UNCONDITIONAL, Liveliness
from .pictures import FPS
from .regions import Regions
from .sampling import PADDING


@dataclass(frozen=True)
class Stream:
    """What drives a film of N frames at 12.5 per second: tokens [N,K,X], and those of nothing heard or seen [K,X]."""

    tokens: Tensor
    none: Tensor


@dataclass(frozen=True)
class Gate:
    """How far a stream is open, 0 to 1: from the first frame to the last in equal steps, times a curve over seconds."""

    start: float = 1.0
    end: float = 1.0
    curve: Curve = Curve.constant(1)

    @property
    def closed(self) -> bool:
        return self.start == self.end == 0 or not any(value for _, value in self.curve.points)

    def over(self, frames: int) -> Tensor:
        """[frames,1,1]."""
        factors = torch.linspace(self.start, self.end, frames) * self.curve.at(
            torch.arange(frames) / float(FPS)
        )
        return factors[:, None, None]


@dataclass(frozen=True)
class Scene:
    """One portrait ready to be sampled: latent mean [1,4,h,w] (unscaled), identity [1,X], pose [1,C,h,w]."""

    picture: Tensor
    identity: Tensor
    pose: Tensor


def padded(stream: Stream, gate: Gate, frames: int, padding: int) -> tuple[Tensor, Tensor]:
    """Tokens [frames+padding,K,X] of a film, and of the film that hears or sees nothing; a gate multiplies both.

    The padding, which is denoised after the film and thrown away, hears nothing.
    """
    total = frames + padding
    within = gate.over(frames)
    factors = torch.cat([within, within[-1:].expand(padding, -1, -1)])
    none = stream.none[None].expand(total, -1, -1)
    tokens = torch.cat([stream.tokens[:frames], none[:padding]])
    if gate == Gate():
        return tokens, none
    return tokens * factors, none * factors


def film_frames(streams: Sequence[Stream], wanted: int) -> int:
    """Frames of the film: `wanted`, or for 0 as many as all streams have. ValueError if a stream has too few."""
    have = [len(stream.tokens) for stream in streams]
    if wanted == 0 and not have:
        raise ValueError(
            "neither audio nor motion is connected and open, so frames must say how long the film is."
        )
    if have and wanted > min(have):
        raise ValueError(
            f"frames is {wanted}, but audio and motion last {' and '.join(map(str, have))} frames at 12.5 "
            f"per second. Set frames to {min(have)} or less, or 0 for all."
        )
    return wanted or min(have)


def conditioning(
    scene: Scene, frames: int, audio: Stream | None, motion: Stream | None, gates: tuple[Gate, Gate],
    regions: Regions,
    padding: int = PADDING, liveliness: Liveliness = AS_TRAINED,
) -> tuple[list, list, Tensor]:  # fmt: skip
    """Positive and negative CONDITIONING, and the latents [frames+padding,4,h,w] from which sampling starts.

    A stream of None is closed. The negative, for samplers without ACTalker's guidance, sees, hears and knows nothing.
    """
    streams = {name: stream for name, stream in (("audio", audio), ("motion", motion)) if stream is not None}
    tokens = {
        name: padded(stream, gates[name == "motion"], frames, padding) for name, stream in streams.items()
    }
    keys = {"audio": AUDIO, "motion": MOTION}
    none = {name: pair[1] for name, pair in tokens.items()}
    shared = {REGIONS: regions, POSE: scene.pose, UNCONDITIONAL: none, LIVELINESS: liveliness}
    identity = scene.identity[None]
    positive = [[identity, {
        **shared, "concat_latent_image": scene.picture,
        **{keys[name]: pair[0] for name, pair in tokens.items()},
    }]]  # fmt: skip
    negative = [[torch.zeros_like(identity), {
        **shared, "concat_latent_image": torch.zeros_like(scene.picture),
        **{keys[name]: none[name] for name in none},
    }]]  # fmt: skip
    return positive, negative, scene.picture.repeat(frames + padding, 1, 1, 1)
