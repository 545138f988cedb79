"""ACTalker's published pipeline, step by step, for comparison: core's samplers do all this in the nodes.

Noise levels, four-branch guidance, sliding windows over a long film, decoding; speech windows of a whole
sound; boxes of steps that the released code leaves out or overwrites.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...models.actalker.geometry import Box
from ...models.actalker.regions import Regions
from ...models.actalker.sampling import (
    DECODED_TOGETHER,
    GUIDANCE,
    OVERLAP,
    SHIFT,
    WINDOW,
    branch_weights,
    windows,
)
from ...models.actalker.unet import time_id_embedding
from ...models.speech.whisper import BEFORE, HOP
from ...models.speech.whisper import WINDOW as ROWS

SIGMA_MAX, SIGMA_MIN, RHO = 700.0, 0.002, 7.0
LATENT_SCALE = 0.18215
AFTER = 6  # rows of silence that speech windows reach beyond the end


def noise_levels(steps: int) -> Tensor:
    """Sigmas [steps+1] from 700 to 0.002 (Karras et al. 2022, equation 5, rho 7), then 0."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    high, low = SIGMA_MAX ** (1 / RHO), SIGMA_MIN ** (1 / RHO)
    return torch.cat([(high + ramp * (low - high)) ** RHO, torch.zeros(1, dtype=torch.float64)]).float()


def timestep(sigma: Tensor) -> Tensor:
    """What the UNet is told of a noise level: 0.25 ln sigma."""
    return 0.25 * sigma.log()


def scaled_input(latents: Tensor, sigma: Tensor) -> Tensor:
    """Latents at a noise level, scaled to unit variance."""
    return latents / (sigma**2 + 1).sqrt()


def euler_step(latents: Tensor, v: Tensor, sigma: Tensor, following: Tensor) -> Tensor:
    """From one noise level to the next by the v-prediction (Karras et al. 2022, algorithm 1 without noise)."""
    clean = latents / (sigma**2 + 1) - v * sigma / (sigma**2 + 1).sqrt()
    return latents + (latents - clean) / sigma * (following - sigma)


def initial_latents(reference: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Reference [1,4,h,w] scaled by 0.18215, and noise [T,4,h,w]: the film starts from the noisy reference."""
    return reference + sigma * noise


def guided(predictions: Tensor, weights: Sequence[float]) -> Tensor:
    """Predictions [branches,...] -> their weighted sum [...]."""
    factors = torch.tensor(weights, device=predictions.device, dtype=predictions.dtype)
    return torch.tensordot(factors, predictions, dims=1)


@dataclass(frozen=True)
class Conditions:
    """What a film of N frames is made from. X is the width of the condition tokens.

    picture [1,4,h,w]: the reference's latent mean, unscaled. identity [1,X]. audio [N,32,X] and motion
    [N,1,X], None where the gate is closed, with audio_none [32,X] and motion_none [1,X] for what hears or
    sees nothing. pose [1,C,h,w].
    """

    picture: Tensor
    identity: Tensor
    audio: Tensor | None = None
    audio_none: Tensor | None = None
    motion: Tensor | None = None
    motion_none: Tensor | None = None
    pose: Tensor | None = None
    regions: Regions = field(default_factory=Regions)
    id_size: int = 256

    def stream(
        self, given: Tensor | None, none: Tensor | None, frames: Sequence[int], on: bool
    ) -> Tensor | None:
        """A stream's tokens [F,T,X] for some frames; those after the end of the film, and all if it is off,
        get `none`."""
        if given is None:
            return None
        assert none is not None  # a stream that is given has one
        return torch.stack([given[i] if on and i < len(given) else none for i in frames])


def predict(
    unet: nn.Module, conditions: Conditions, latents: Tensor, sigma: Tensor, frames: Sequence[int],
    guidance: Sequence[float] = GUIDANCE,
) -> Tensor:  # fmt: skip
    """Guided v-prediction [F,4,h,w] of one window of noisy latents [F,4,h,w]; all branches go through the
    UNet together."""
    weights = branch_weights(guidance, conditions.audio is not None, conditions.motion is not None)
    count, many = len(frames), len(frames) * len(weights)
    x = scaled_input(latents, sigma)
    picture = conditions.picture.expand(count, -1, -1, -1)
    identity = conditions.identity.expand(count, 1, -1)

    def stream(given: Tensor | None, none: Tensor | None, place: int) -> Tensor | None:
        parts = [conditions.stream(given, none, frames, branch[place]) for branch in weights]
        found = [part for part in parts if part is not None]  # none or all of them
        return torch.cat(found) if found else None

    out = unet(
        torch.cat([torch.cat([x, picture * branch[0]], dim=1) for branch in weights]),
        timestep(sigma).expand(many),
        context=torch.cat([identity * branch[0] for branch in weights]),
        y=time_id_embedding(conditions.id_size).to(x).expand(many, -1),
        audio=stream(conditions.audio, conditions.audio_none, 1),
        motion=stream(conditions.motion, conditions.motion_none, 2),
        regions=conditions.regions,
        pose=conditions.pose,
        num_video_frames=count,
    )
    return guided(out.unflatten(0, (len(weights), count)), list(weights.values()))


def sample(
    unet: nn.Module, conditions: Conditions, noise: Tensor, steps: int = 25,
    guidance: Sequence[float] = GUIDANCE,
    length: int = WINDOW, overlap: int = OVERLAP, shift: int = SHIFT,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:  # fmt: skip
    """Denoise noise [T,4,h,w], T = frames wanted + padding, to latents scaled by 0.18215 [T,4,h,w].

    All windows of a step read the latents of its beginning; where they overlap their predictions are
    averaged. `progress` is told (windows done, windows in all).
    """
    sigmas = noise_levels(steps).to(noise.device)
    latents = initial_latents(conditions.picture * LATENT_SCALE, noise, sigmas[0])
    total, done = len(noise), 0
    in_all = steps * -(-total // (length - overlap))
    for step in range(steps):
        v, visits = torch.zeros_like(latents), torch.zeros(total, 1, 1, 1, device=noise.device)
        for frames in windows(total, step, length, overlap, shift):
            index = torch.tensor(frames, device=noise.device)
            part = predict(unet, conditions, latents[index], sigmas[step], frames, guidance)
            v.index_add_(0, index, part.to(v.dtype))
            visits.index_add_(0, index, torch.ones(len(frames), 1, 1, 1, device=noise.device))
            done += 1
            if progress is not None:
                progress(done, in_all)
        latents = euler_step(latents, v / visits, sigmas[step], sigmas[step + 1])
    return latents


def decode(
    decoder: Callable[[Tensor], Tensor], latents: Tensor, wanted: int, together: int = DECODED_TOGETHER
) -> Tensor:
    """Latents [T,4,h,w] scaled by 0.18215 -> the first `wanted` frames [wanted,3,8h,8w], -1..1.

    The decoder mixes the frames that it gets together, so chunks start at frame 0, and the last one is given
    the padding frames that belong to it.
    """
    chunks = latents[: min(len(latents), -(-wanted // together) * together)].split(together)
    return torch.cat([decoder(chunk / LATENT_SCALE) for chunk in chunks])[:wanted]


def speech_windows(hidden: Tensor, length: int) -> Tensor:
    """Hidden states [T,5,384] at 50 Hz -> [n,10,5,384], n = half of `length` (25 fps) rounded up.

    Frame i at 12.5 fps hears rows 4i-4 to 4i+5, and zeros before the beginning and after the end. ValueError
    if there are fewer rows than 2 * length.
    """
    if length < 1 or len(hidden) < 2 * length:
        raise ValueError(f"{len(hidden)} rows of features are too few for {length} frames at 25 fps.")
    rows = F.pad(hidden[: 2 * length], (0, 0, 0, 0, BEFORE, AFTER))
    return torch.stack([rows[start : start + ROWS] for start in range(0, 2 * length, HOP)])


def box_of_aspect(box: Box, aspect: str, width: int, height: int) -> tuple[int, int, int, int]:
    """A box with the aspect "1:1", "16:9" or "9:16" (width to height), moved so that it lies in the picture.

    Square: the shorter side, centred. Wide: the same height, centred. Tall: the same width, from the same top
    downwards.
    """
    x1, y1, x2, y2 = box
    wide, high = x2 - x1, y2 - y1
    if aspect == "1:1":
        side = min(wide, high)
        left, top, wide, high = (x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side, side
    elif aspect == "16:9":
        wide = min(round(high * 16 / 9), width)
        left, top = (x1 + x2 - wide) / 2, y1
    elif aspect == "9:16":
        high = min(round(wide * 16 / 9), height)
        left, top = x1, y1
    else:
        raise ValueError(f"the aspect is {aspect!r}; it can be 1:1, 16:9 or 9:16.")
    left = min(max(left, 0), width - wide)
    top = min(max(top, 0), height - high)
    return round(left), round(top), round(left + wide), round(top + high)


def mouth_rows(box: tuple[int, int, int, int]) -> tuple[int, int]:
    """The rows of a face box that the released code takes for the mouth: from y1 + y2 // 2, which may lie
    below the box."""
    return box[1] + box[3] // 2, box[3]
