"""Frame after frame of a dubbed film, whoever draws the mouths."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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


class Dubber(Protocol):
    """Draws the mouths of one shot."""

    def draw(self, frame: Tensor, seen: np.ndarray, calm: np.ndarray, controls: Tensor) -> DrawnPart | None:
        """The lips of controls [12] in a frame [H,W,3] in 0..1, whose face is `seen` and with calm lips would be `calm`
        [478,3]; None where none of it is in the frame."""
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
        for place, (number, frame) in enumerate(zip(self.line.order, pictures, strict=True)):
            share = float(self.line.share[place])
            shot = footage.shot_of(number)
            if share == 0 or shot.reference is None:
                yield frame, None, (0, 0, 0, 0)
                continue
            if shot.frames.start not in dubbers:
                dubbers = {shot.frames.start: self.dubber(shot)}  # of one shot at a time
            seen = footage.points[number].astype(np.float64)
            calm = footage.calm_points(number, self.expression)
            controls = self.line.controls[place].clone()
            controls[SMILE] *= 1 - self.expression  # or an actor's smile would come on top of the film's
            drawn = dubbers[shot.frames.start].draw(frame, seen, calm, controls)
            if drawn is None:
                yield frame, None, (0, 0, 0, 0)
                continue
            self.residuals[place] = drawn.residual
            yield self.laid(frame, drawn, share, place)

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
