"""What a dubbed film is like beside the film that it was: lips and voice, old speech that is left, jitter, bytes."""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from ..models.builtin.warp.sampling import sample_pixels
from ..models.face.head_pose import RIGID, poses_of
from ..models.face.landmarks import landmarks_in_pixels
from ..models.face_motion import CONTROLS
from ..models.footage.dubbing import Dubbing
from ..models.footage.footage import JAW
from ..models.footage.looks import LIPS, opening
from ..models.footage.mouth_region import changed_box
from ..models.media.pixels import rounded_bytes

SEEN_LIPS, GRID = (13, 14, 61, 291), 60
CLOSED, AROUND = 0.03, 1  # eye distances; frames around a closure


@dataclass
class Measured:
    """Landmarks [n,478,3] of the new film and of the one before, NaN where there is no face; what its bytes and pixels
    were like."""

    points: np.ndarray
    before: np.ndarray
    milliseconds: float = 0.0
    outside: int = 0
    above_nose: float = 0.0
    tremor: tuple[float, float] = (0.0, 0.0)
    pictures: list[np.ndarray] = field(default_factory=list)


def measure(dubbing: Dubbing, detector: Any, keep: int = 0) -> Measured:
    """Draw a film and look at it; `keep` pairs of old and new frames are kept for the eye."""
    footage, found, before, windows, old_windows = dubbing.footage, [], [], [], []
    result = Measured(np.empty(0), np.empty(0))
    shown = set(np.linspace(0, len(dubbing.line) - 1, keep).astype(int)) if keep else set()
    clocks: list[Timed] = []

    def watched(shot: Any) -> Timed:
        clocks.append(Timed(dubbing.dubber(shot)))
        return clocks[-1]

    dubbed = replace(dubbing, dubber=watched, residuals={})
    films = zip(dubbed.frames(), footage.film.frames(), strict=False)
    for number, ((new, _, _), old) in enumerate(films):
        seen = footage.points[number].astype(np.float64)
        calm = footage.calm_points(number, dubbing.expression)
        box = changed_box(seen, calm, footage.size)
        note_bytes(result, rounded_bytes(new).numpy(), rounded_bytes(old.pixels).numpy(), box, seen)
        found.append(face_in(detector, new))
        before.append(face_in(detector, old.pixels))
        grid = mouth_grid(footage, number, calm)
        windows.append(sample_pixels(new.permute(2, 0, 1)[None].contiguous(), grid)[0].mean(0).numpy())
        old_windows.append(
            sample_pixels(old.pixels.permute(2, 0, 1)[None].contiguous(), grid)[0].mean(0).numpy()
        )
        if number in shown:
            result.pictures += [old.pixels.numpy(), new.clone().numpy()]
    result.points, result.before = np.stack(found), np.stack(before)
    drawn = sum(clock.frames for clock in clocks)
    result.milliseconds = 1000 * sum(clock.seconds for clock in clocks) / max(drawn, 1)
    result.tremor = second_difference(windows), second_difference(old_windows)
    return result


def face_in(detector: Any, pixels: torch.Tensor) -> np.ndarray:
    """[478,3] the face of a frame [H,W,3], NaN where there is none."""
    faces = detector.detect_batch([rounded_bytes(pixels).numpy()], 1, 0.3, "short")[0]
    return landmarks_in_pixels(faces[0]) if faces else np.full((478, 3), np.nan)


class Timed:
    """A dubber whose drawing is timed, in seconds of one CPU."""

    def __init__(self, dubber: Any):
        self.dubber, self.at_once, self.seconds, self.frames = dubber, dubber.at_once, 0.0, 0

    def draw(self, asked: Any) -> Any:
        """See Dubber."""
        started = time.process_time()
        drawn = self.dubber.draw(asked)
        self.seconds, self.frames = self.seconds + time.process_time() - started, self.frames + len(asked)
        return drawn


def note_bytes(
    result: Measured, new: np.ndarray, old: np.ndarray, box: tuple[int, ...], seen: np.ndarray
) -> None:
    """Count bytes that changed outside the box, and how far above the nose's base any did."""
    changed = (new != old).any(-1)
    inside = changed.copy()
    inside[box[1] : box[3], box[0] : box[2]] = False
    result.outside += int(inside.sum())
    if changed.any():
        width = float(np.linalg.norm(seen[61, :2] - seen[291, :2]))
        up = seen[168, :2] - seen[2, :2]
        rows, columns = np.nonzero(changed)
        height = (np.stack([columns, rows], 1) + 0.5 - seen[2, :2]) @ (up / np.linalg.norm(up))
        result.above_nose = max(result.above_nose, float(height.max()) / width)


def mouth_grid(footage: Any, number: int, calm: np.ndarray) -> torch.Tensor:
    """[1,2,60,60] places around the mouth that ride with the head."""
    neutral = footage.shot_of(number).neutral.face
    width, middle = (
        np.linalg.norm(neutral[61, :2] - neutral[291, :2]),
        neutral[list(LIPS), :2].mean(0),
    )
    u, v = np.meshgrid(np.linspace(-0.75, 0.75, GRID), np.linspace(-0.6, 0.9, GRID))
    places = middle + np.stack([u, v], -1).reshape(-1, 2) * width
    rows = [*RIGID, *JAW]
    own = np.concatenate([neutral[rows, :2], np.ones((len(rows), 1))], 1)
    turn = np.linalg.lstsq(own, calm[rows, :2], rcond=None)[0]
    moved = np.concatenate([places, np.ones((len(places), 1))], 1) @ turn
    return torch.from_numpy(moved.T.reshape(1, 2, GRID, GRID)).float()


def second_difference(windows: list[np.ndarray]) -> float:
    """Root mean square of how pixels change their change, of 255."""
    return 255 * float(np.sqrt(np.square(np.diff(np.stack(windows), 2, axis=0)).mean()))


def jitter(points: np.ndarray) -> float:
    """Of the lips in the head's own frame: rms second difference, percent of the eye distance."""
    known = points[~np.isnan(points[:, 0, 0])]
    aligned = poses_of(known[0], known).align(known)[:, list(SEEN_LIPS), :2]
    eyes = np.linalg.norm(known[0, 33] - known[0, 263])
    return 100 * float(np.sqrt(np.square(np.diff(aligned, 2, axis=0)).sum(-1).mean()) / eyes)


def figures(dubbing: Dubbing, measured: Measured, closures: np.ndarray) -> dict[str, Any]:
    """The table's row of a voice; closures: seconds of its p, b and m."""
    line, count = dubbing.line, len(measured.points)
    jaw, close = (line.controls[:count, CONTROLS.index(name)].numpy() for name in ("jawOpen", "mouthClose"))
    wanted = jaw * (1 - np.clip(close, 0, 1))
    seen, old = opening(measured.points), opening(dubbing.footage.points[line.order[:count]])
    fine = ~np.isnan(seen) & (line.share[:count] == 1)
    lags = {lag: correlation(seen, wanted, fine, lag) for lag in range(-4, 5)}
    model = np.stack([wanted, old, np.ones(count)], 1)[fine]
    slopes = np.linalg.lstsq(model, seen[fine], rcond=None)[0]
    shut = closed_in(wanted, closures, float(dubbing.footage.fps), CLOSED)
    drawn = closed_in(np.where(fine, seen, np.nan), closures[shut], float(dubbing.footage.fps), CLOSED)
    return {
        "frames": count,
        "opening follows the voice, r": round(lags[0], 3),
        "best lag, frames": max(lags, key=lambda lag: lags[lag]),
        "slope on the new voice": round(float(slopes[0]), 3),
        "slope on the old opening": round(float(slopes[1]), 3),
        "p, b, m that the motion closes": int(shut.sum()),
        "of them drawn closed": int(drawn.sum()),
        **common(dubbing, measured),
    }


def mute_figures(dubbing: Dubbing, measured: Measured) -> dict[str, Any]:
    """The table's row of a film whose lips are closed throughout."""
    seen, old = opening(measured.points), opening(measured.before)
    return {
        "mean opening": round(float(np.nanmean(seen)), 4),
        "mean opening of the film": round(float(np.nanmean(old)), 4),
        "lips' jitter, % of the eyes": round(jitter(measured.points), 2),
        "lips' jitter of the film": round(jitter(measured.before), 2),
        "pixels' second difference": round(measured.tremor[0], 2),
        "pixels' second difference of the film": round(measured.tremor[1], 2),
        **common(dubbing, measured),
    }


def common(dubbing: Dubbing, measured: Measured) -> dict[str, Any]:
    """What every row ends with."""
    return {
        "bytes changed outside the box": measured.outside,
        "changed above the nose's base, mouths": round(measured.above_nose, 3),
        "drawing, ms a frame": round(measured.milliseconds, 1),
    }


def correlation(seen: np.ndarray, wanted: np.ndarray, fine: np.ndarray, lag: int) -> float:
    """Of what is seen `lag` frames after what is wanted."""
    end = len(seen)
    first = slice(max(lag, 0), end + min(lag, 0))
    second = slice(max(-lag, 0), end + min(-lag, 0))
    both = fine[first] & fine[second]
    return float(np.corrcoef(seen[first][both], wanted[second][both])[0, 1])


def closed_in(track: np.ndarray, seconds: np.ndarray, fps: float, limit: float) -> np.ndarray:
    """[K] whether a track [n] falls below a limit at each of K times, or in a frame beside it."""
    places = (seconds * fps).astype(int)
    near = [track[max(0, place - AROUND) : place + AROUND + 1] for place in places]
    return np.array([bool(len(part)) and float(np.nanmin(part)) < limit for part in near], bool)
