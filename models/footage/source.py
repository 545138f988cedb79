"""Pictures out of a film from which others are drawn: the part around one face, and what the mouth's inside is like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..media.film_reader import Film, FilmFrame
from ..media.pixels import resize_antialiased
from .looks import LUMINANCE, Look

MARGIN = 0.6  # of the face, kept around it
SHOWN = 512  # pixels of the square that an artist is shown
MOST_OPEN, LEAST_LOOKS = 0.2, 3  # of a shot's frames; of them with an inside that is seen
BRIGHTER, DARKER = 1.05, 0.8
CHROMA = 0.3  # of teeth: largest less smallest part, of the largest


@dataclass(frozen=True)
class Source:
    """The part of a picture around a face: picture [h,w,3] in 0..1, points [478,3] in its pixels. frame: its number in
    the film, None for a picture from elsewhere."""

    picture: Tensor
    points: np.ndarray
    frame: int | None

    @classmethod
    def around(cls, picture: Tensor, points: np.ndarray, frame: int | None) -> "Source":
        """Cut out of a whole picture [H,W,3]; it has memory of its own."""
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        room = MARGIN * (high - low)
        limit = [picture.shape[1], picture.shape[0]]
        x0, y0 = np.floor(low - room).astype(int).clip(0, limit)
        x1, y1 = np.ceil(high + room).astype(int).clip(0, limit)
        return cls(picture[y0:y1, x0:x1].clone(), points - np.array([x0, y0, 0.0]), frame)

    def shown(self) -> Tensor:
        """[512,512,3] the picture in a square."""
        height, width = self.picture.shape[:2]
        side = max(height, width)
        square = torch.zeros(side, side, 3)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = self.picture
        return resize_antialiased(square, SHOWN, SHOWN)


@dataclass(frozen=True)
class Inside:
    """Colours [3] of enamel and of the dark behind it, None where the film shows neither; teeth: the frame that shows
    the most of them."""

    enamel: np.ndarray | None = None
    cavity: np.ndarray | None = None
    teeth: int | None = None


def inside_of(looks: Sequence[Look | None], openings: np.ndarray) -> Inside:
    """The mouth's inside as the most open of some frames show it; None stands for a frame without the face."""
    seen = np.array([-np.inf if look is None else o for look, o in zip(looks, openings, strict=True)])
    order = np.argsort(-seen, kind="stable")[: max(5, int(MOST_OPEN * len(looks)))]
    chosen = [(number, look) for number in order if (look := looks[number]) and look.bright is not None]
    if len(chosen) < LEAST_LOOKS:
        return Inside()
    bright = np.array([look.bright for _, look in chosen])
    dark = np.array([look.dark for _, look in chosen])
    enamel = bright[np.argsort(bright @ LUMINANCE, kind="stable")[int(0.8 * len(bright))]]
    enamel = paler(enamel)
    best, look = max(chosen, key=lambda pair: pair[1].teeth)
    return Inside(
        np.clip(BRIGHTER * enamel, 0, 1), DARKER * np.median(dark, 0), int(best) if look.teeth else None
    )


def paler(colour: np.ndarray) -> np.ndarray:
    """A colour [3] as light as before, with no more chroma than teeth have: where none are seen, lips are lightest."""
    grey = float(colour @ LUMINANCE)
    share = CHROMA * max(float(colour.max()), 1e-3) / max(float(np.ptp(colour)), 1e-6)
    return grey + min(share, 1.0) * (colour - grey)


def frame_at(film: Film, stamp: int) -> FilmFrame:
    """The frame with that stamp; ValueError if the film has changed."""
    for since in (stamp, None):  # where a file cannot be searched, read all of it
        for frame in film.frames(since):
            if frame.stamp == stamp:
                return frame
            if frame.stamp > stamp:
                break
    raise ValueError("video has changed since Prepare Footage saw it. Run Prepare Footage again.")
