"""Frame after frame of a dubbed film, whoever draws the mouths."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..face.landmarks import frame_numbers
from ..face_motion import CONTROLS
from ..media.film_reader import frames_in_order
from ..media.pixels import Box
from .footage import Footage, Shot
from .voice import Line

SMILE = CONTROLS.index("mouthSmile")
COVERED, FOR = 2.2, 5  # times the median of how unlike skin and texture are; frames that it must last


@dataclass(frozen=True)
class DrawnPart:
    """A drawn part of a frame. picture [h,w,3] in 0..1 over `box`; changed [h,w] 0..1: how much of each pixel is new.
    residual: how unlike the frame's skin what was drawn is, in any unit; 0 where nobody can tell."""

    box: Box
    picture: Tensor
    changed: Tensor
    residual: float


@dataclass(frozen=True)
class Asked:
    """A frame [H,W,3] in 0..1 whose face is `seen` [478,3], and with calm lips would be `calm`; controls [12]: the lips
    that it is to have."""

    frame: Tensor
    seen: np.ndarray
    calm: np.ndarray
    controls: Tensor


class Dubber(Protocol):
    """Draws the mouths of one shot. at_once: how many frames it is best given together."""

    at_once: int

    def draw(self, asked: Sequence[Asked]) -> list[DrawnPart | None]:
        """The lips of each frame; None where nothing of them is in the frame."""
        ...


@dataclass
class Dubbing:
    """How a film is dubbed. dubber: makes what draws a shot. expression: how much of the footage's own smile stays; the
    line's takes the place of the rest.
    keep: masks [1 or N,H,W], 1 where a frame stays as filmed. residuals: what the drawn frames were like."""

    footage: Footage
    line: Line
    dubber: Callable[[Shot], Dubber]
    expression: float = 1.0
    keep: Tensor | None = None
    residuals: dict[int, float] = field(default_factory=dict)

    def frames(self) -> Iterator[tuple[Tensor, Tensor | None, Box]]:
        """Pictures [H,W,3] in 0..1 of all frames in turn, what was changed in them [h,w], None for nothing, and where.

        A picture is good until the next one is asked for.
        """
        footage, dubbers = self.footage, {}
        pictures = frames_in_order(footage.film, footage.stamps, self.line.order)
        numbered = enumerate(zip(self.line.order, pictures, strict=True))
        for shot, frames in groupby(numbered, lambda one: self.drawn_shot(*one)):
            if shot is None:
                for _, (_, frame) in frames:
                    yield frame, None, (0, 0, 0, 0)
                continue
            if shot.frames.start not in dubbers:
                dubbers = {shot.frames.start: self.dubber(shot)}  # of one shot at a time
            dubber = dubbers[shot.frames.start]
            while some := [
                self.asked(place, *one, dubber.at_once > 1) for place, one in islice(frames, dubber.at_once)
            ]:
                yield from self.drawn(dubber, some)

    def drawn_shot(self, place: int, one: tuple[int, Tensor]) -> Shot | None:
        """The shot of a frame that gets new lips; None if it stays as filmed."""
        shot = self.footage.shot_of(one[0])
        return None if self.line.share[place] == 0 or shot.reference is None else shot

    def asked(self, place: int, number: int, frame: Tensor, lasting: bool) -> tuple[int, Asked]:
        """What is asked for a frame at a place in the new film; lasting: beyond the next frame."""
        controls = self.line.controls[place].clone()
        controls[SMILE] *= 1 - self.expression  # or an actor's smile would come on top of the film's
        seen = self.footage.points[number].astype(np.float64)
        calm = self.footage.calm_points(number, self.expression)
        return place, Asked(frame.clone() if lasting else frame, seen, calm, controls)

    def drawn(
        self, dubber: Dubber, some: list[tuple[int, Asked]]
    ) -> Iterator[tuple[Tensor, Tensor | None, Box]]:
        """What `frames` gives for some frames, by their place in the new film."""
        for (place, one), part in zip(some, dubber.draw([one for _, one in some]), strict=True):
            if part is None:
                yield one.frame, None, (0, 0, 0, 0)
                continue
            self.residuals[place] = part.residual
            yield self.laid(one.frame, part, float(self.line.share[place]), place)

    def laid(
        self, frame: Tensor, drawn: DrawnPart, share: float, place: int
    ) -> tuple[Tensor, Tensor | None, Box]:
        """The frame with what was drawn, as far as the voice and the mask let it."""
        x0, y0, x1, y1 = drawn.box
        part, amount = frame[y0:y1, x0:x1], torch.full_like(drawn.changed, share)
        if self.keep is not None:
            amount = amount * (1 - self.keep[place % len(self.keep), y0:y1, x0:x1])
        changed = drawn.changed * amount
        mixed = torch.lerp(part, drawn.picture, amount[..., None])
        part.copy_(torch.where((changed > 0)[..., None], mixed, part))
        return frame, changed, drawn.box

    def covered(self) -> str:
        """Frames in which something may cover the mouth, in words; empty if there are none."""
        if not self.residuals:
            return ""
        limit = COVERED * float(np.median(list(self.residuals.values())))
        runs: list[list[int]] = []
        for place in sorted(place for place, unlike in self.residuals.items() if unlike > limit):
            if runs and place == runs[-1][-1] + 1:
                runs[-1].append(place)
            else:
                runs.append([place])
        found = [place for run in runs if len(run) >= FOR for place in run]
        if not found:
            return ""
        return f"the skin around the mouth looks covered in frames {frame_numbers(found)}: if it is, see keep_mask"
