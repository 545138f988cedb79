"""Whose face is where: the tracks and crops on which SyncNet's scores of real films stand (run_pipeline of
syncnet_python)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import medfilt

from .opencv_resize import resized_as_opencv
from .syncnet import SIDE

OVERLAP, MOST_MISSED = 0.5, 25  # of two boxes, to be one face; frames between them
MORE_FRAMES, LEAST_SIDE = 100, 100.0  # a track has more boxes, and a longer mean side in pixels
SCALE, MEDIAN, BORDER = 0.4, 13, 110  # of the crop; frames of the median; grey around the picture

Box = Sequence[float]  # x0, y0, x1, y1 in pixels


@dataclass(frozen=True)
class FaceTrack:
    """boxes [n,4] of one face in the frames from `first` on, every one of them."""

    first: int
    boxes: np.ndarray

    def seconds(self, fps: float) -> tuple[float, float]:
        """From when to when its sound goes."""
        return self.first / fps, (self.first + len(self.boxes)) / fps


def overlap(a: Box, b: Box) -> float:
    """Area in common of two boxes, of the area of both."""
    wide, high = (max(0.0, min(a[k + 2], b[k + 2]) - max(a[k], b[k])) for k in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    common = wide * high
    return common / (sum(areas) - common) if common else 0.0


def face_tracks(
    detections: Sequence[Sequence[Box]],
    least_overlap: float = OVERLAP,
    most_missed: int = MOST_MISSED,
    more_frames: int = MORE_FRAMES,
    least_side: float = LEAST_SIDE,
) -> list[FaceTrack]:
    """Boxes of every frame -> tracks, each as long and large as asked for; missing boxes are interpolated.

    A box joins the track that is being followed where it overlaps its last box enough; what does not is left for the
    next track, which begins with the first box left.
    """
    left = [[(number, tuple(box)) for box in boxes] for number, boxes in enumerate(detections)]
    found = []
    while track := next_track(left, least_overlap, most_missed):
        if len(track) <= more_frames:
            continue
        numbers, boxes = np.array([number for number, _ in track]), np.array([box for _, box in track])
        every = np.arange(numbers[0], numbers[-1] + 1)
        whole = np.stack([np.interp(every, numbers, boxes[:, k]) for k in range(4)], 1)
        if max((whole[:, k + 2] - whole[:, k]).mean() for k in (0, 1)) > least_side:
            found.append(FaceTrack(int(numbers[0]), whole))
    return found


def next_track(left: list[list[tuple[int, tuple]]], least_overlap: float, most_missed: int) -> list[tuple]:
    """The boxes (frame, box) of the next track, taken out of what is left."""
    track: list[tuple[int, tuple]] = []
    for boxes in left:
        if track and boxes and boxes[0][0] - track[-1][0] > most_missed:
            break
        own = next((own for own in boxes if not track or overlap(own[1], track[-1][1]) > least_overlap), None)
        if own is not None:
            track.append(own)
            boxes.remove(own)
    return track


def crop_path(boxes: np.ndarray, median: int = MEDIAN) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [n,4] -> half sides and centres x, y [n], smoothed; the first and last come out smaller, as published."""
    half = np.maximum(boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]) / 2
    y, x = (boxes[:, 1] + boxes[:, 3]) / 2, (boxes[:, 0] + boxes[:, 2]) / 2
    half, x, y = (medfilt(values, median) for values in (half, x, y))
    return half, x, y


def face_crops(
    frames: Iterable[np.ndarray],
    track: FaceTrack,
    scale: float = SCALE,
    median: int = MEDIAN,
    border: int = BORDER,
) -> Iterator[np.ndarray]:
    """The face of a track in its frames, [224,224,3] bytes each, from frames [H,W,3] of the film from its start on."""
    path = zip(*crop_path(track.boxes, median), strict=True)
    for number, frame in enumerate(frames):
        if number < track.first:
            continue
        place = next(path, None)
        if place is None:
            return
        half, x, y = place
        yield face_crop(frame, float(half), float(x), float(y), scale, border)


def face_crop(frame: np.ndarray, half: float, x: float, y: float, scale: float, border: int) -> np.ndarray:
    """[H,W,3] bytes -> [224,224,3]: from half a side above a centre to below the chin, on a border of grey."""
    margin = int(half * (1 + 2 * scale))
    padded = np.pad(frame, ((margin, margin), (margin, margin), (0, 0)), constant_values=border)
    x, y = x + margin, y + margin
    rows = slice(int(y - half), int(y + half * (1 + 2 * scale)))
    columns = slice(int(x - half * (1 + scale)), int(x + half * (1 + scale)))
    return resized_as_opencv(padded[rows, columns], SIDE, SIDE)
