"""Which frame of a film says what: a voice's lips laid on the film's own times."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..face_motion import CONTROL_GROUPS, CONTROLS, FaceFrame, FaceMotion, resolve
from .footage import Footage

CROSSFADE = 0.2  # seconds
OUTSIDE = ("as filmed", "mouth closed")
LONGER = ("error", "ping-pong")
SHUT = 0.6  # of mouthClose: lips that meet
LEAST_OFF = 0.5  # frames by which two rates may drift apart over a film


@dataclass(frozen=True)
class Line:
    """What n frames of the new film show. order: frames of the footage. seconds: when. controls [n,12]: their lips.
    share [n]: how much of the drawing, 0 as filmed."""

    order: list[int]
    seconds: np.ndarray
    controls: Tensor
    share: np.ndarray

    def __len__(self) -> int:
        return len(self.order)

    @property
    def even(self) -> bool:
        """Whether the frames are shown at one rate."""
        steps = np.diff(self.seconds)
        return len(steps) < 2 or float(np.abs(np.cumsum(steps - steps.mean())).max()) < 0.5 * steps.mean()


def line_of(footage: Footage, motion: FaceMotion, start: float, outside: str, longer: str) -> Line:
    """A motion's lips on a film from `start` seconds on; outside of OUTSIDE, longer of LONGER.

    ValueError where their frame rates differ, or the motion ends after the film.
    """
    check_rate(footage, motion)
    order, seconds = film_order(footage, motion, start, longer)
    fps = float(motion.fps)
    places = np.rint((seconds - start) * fps).astype(int)
    lips = lips_of(motion)[np.clip(places, 0, len(motion) - 1)]
    before, after = start - seconds, seconds - (start + (len(motion) - 1) / fps)
    apart = np.maximum(np.maximum(before, after), 0)
    apart[(places >= 0) & (places < len(motion))] = 0
    inside = np.clip(1 - apart / CROSSFADE, 0, 1).astype(np.float32)
    share = footage.share[order]
    if outside == OUTSIDE[0]:
        return Line(order, seconds, lips, share * inside)
    shut = torch.zeros(len(CONTROLS))
    shut[CONTROLS.index("mouthClose")] = SHUT
    return Line(order, seconds, torch.lerp(shut, lips, torch.from_numpy(inside)[:, None]), share)


def check_rate(footage: Footage, motion: FaceMotion) -> None:
    """ValueError if a motion would run away from the film."""
    if len(motion) == 0:
        raise ValueError("face_motion has 0 frames, so there is nothing to say.")
    if len(motion) * abs(float(motion.fps / footage.fps) - 1) > LEAST_OFF:
        raise ValueError(
            f"face_motion has {float(motion.fps):g} frames per second, but footage {float(footage.fps):g}. Connect fps "
            "of Prepare Footage to the fps of Generate Face Motion."
        )


def film_order(
    footage: Footage, motion: FaceMotion, start: float, longer: str
) -> tuple[list[int], np.ndarray]:
    """Frames of the new film and when they are shown; ValueError if the film is too short."""
    own, fps = footage.seconds(), float(footage.fps)
    ends = own[-1] + 1 / fps
    if start >= ends:
        raise ValueError(f"start is {start:g} s, but footage lasts {ends:.2f} s.")
    needed = start + len(motion) / float(motion.fps)
    if needed <= ends + 1.5 / fps:
        return list(range(len(footage))), own
    if longer == LONGER[0]:
        raise ValueError(
            f"face_motion lasts {len(motion) / float(motion.fps):.2f} s from start ({start:g} s) on, but footage has "
            f"{ends - start:.2f} s left. Take a longer film or a shorter voice, or set if_voice_longer to {LONGER[1]}."
        )
    count, turn = round(needed * fps), max(len(footage) - 1, 1)
    numbers = np.arange(count) % (2 * turn)
    order = (
        np.where(numbers > turn, 2 * turn - numbers, numbers) if len(footage) > 1 else np.zeros(count, int)
    )
    return order.tolist(), np.arange(count) / fps


def lips_of(motion: FaceMotion) -> Tensor:
    """[N,12] the lips' controls as changes from a calm face, all others 0."""
    found = resolve(motion, FaceFrame(), {"lips": "relative"}).controls
    lips = torch.zeros_like(found)
    rows = list(CONTROL_GROUPS["lips"])
    lips[:, rows] = found[:, rows]
    return lips
