"""The motion of films of people, by LivePortrait's motion extractor, and how folders of films are prepared."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...models.atomic_file import atomic_file
from ...models.kdtalker.crop import framing
from ...models.liveportrait.checkpoint import FILES
from ...models.liveportrait.crop import crop_picture, driving_box
from ...models.liveportrait.source import picture_tensor
from ...models.liveportrait.video_motion import crop_to_box
from ...models.media.pixels import resize
from ...models.weights.safe_files import load_tensors
from .clips import FPS
from .face_track import Track, stretches, track
from .film_reader import RATE, films_in, read_frames

MOST_YAW = 60.0
BATCH = 16
PARTS = ("scale", "yaw", "pitch", "roll", "t", "exp", "kp")
CROPS = ("liveportrait", "kdtalker", "none")
Runs = list[tuple[int, int]]
Crop = Callable[[np.ndarray], Tensor]  # frame [H,W,3] in bytes -> the extractor's input [3,256,256]


def read_extractor(path: Path, device: torch.device) -> nn.Module:
    """LivePortrait's motion extractor; ValueError if the file is another network's."""
    try:
        content = load_file(path) if path.suffix == ".safetensors" else load_tensors(path)
        state = FILES["motion"].convert(content)
        network = FILES["motion"].build(state, {})
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {str(error).splitlines()[-1].strip()}") from None
    return network.to(device).eval()


def crop_of(kind: str, frame: np.ndarray, points: list) -> Crop:
    """How a stretch is cropped, the same for all of its frames: LivePortrait's box of a driving film, KDTalker's of
    a portrait (its engine sees portraits so), or none."""
    if kind == "none":
        return lambda picture: picture_tensor(resize(torch.from_numpy(picture), 256, 256))[0]
    if kind == "liveportrait":
        box = driving_box(points)
        return lambda picture: crop_to_box(torch.from_numpy(picture).float() / 255, box)
    matrix, _ = framing(torch.from_numpy(frame), np.median(np.stack(points), 0))
    return lambda picture: picture_tensor(resize(crop_picture(torch.from_numpy(picture), matrix), 256, 256))[
        0
    ]


def found_runs(film: Path, sound: int, cropped: bool) -> tuple[Runs, list]:
    """Stretches to read and the points of every frame; sound: samples at 16 kHz. ValueError if there are none.

    cropped: films that hold one face and no more are not searched.
    """
    if cropped:
        count = min(sum(1 for _ in read_frames(film)), sound * FPS // RATE)
        if not (runs := stretches([np.zeros((1, 2))] * count)):
            raise ValueError(f"{count} frames are too few")
        return runs, [None] * count
    seen: Track = track(read_frames(film))
    points = seen.points[: sound * FPS // RATE]
    if not (runs := stretches(points)):
        raise ValueError(
            f"no stretch with one face in {len(points)} frames ({seen.lost} without, {seen.crowded} with several)"
        )
    return runs, points


@torch.inference_mode()
def read_motion(
    film: Path, runs: Runs, points: list, extractor: Callable, device: torch.device, crop: str
) -> dict[str, Tensor]:
    """PARTS of the frames in these stretches [N,...] in a box of its own for each, angles in degrees; other frames
    are zeros. ValueError if the extractor says what is no number."""
    starts = {start: stop for start, stop in runs}
    found = {
        name: torch.zeros(len(points), size)
        for name, size in zip(PARTS, (1, 1, 1, 1, 3, 63, 63), strict=True)
    }
    batch: list[tuple[int, Tensor]] = []
    cut: Crop | None = None

    def extract() -> None:
        said = extractor(torch.stack([picture for _, picture in batch]).to(device))
        rows = (
            said.scale,
            said.yaw,
            said.pitch,
            said.roll,
            said.translation,
            said.expression,
            said.canonical,
        )
        for name, value in zip(PARTS, rows, strict=True):
            found[name][[number for number, _ in batch]] = value.flatten(1).float().cpu()
        batch.clear()

    inside = {number for start, stop in runs for number in range(start, stop)}
    for number, frame in enumerate(read_frames(film)):
        if number in starts:
            cut = crop_of(crop, frame, points[number : starts[number]])
        if number in inside and cut is not None:
            batch.append((number, cut(frame)))
        if len(batch) == BATCH:
            extract()
    if batch:
        extract()
    if not all(torch.isfinite(value).all() for value in found.values()):
        raise ValueError("the motion extractor says what is no number: its file is damaged")
    return found


def frontal(runs: Runs, yaw: Tensor, longest: int | None = None) -> Runs:
    """The stretches whose face [N,1] is not turned aside by more than 60 degrees; ValueError if there are none."""
    good = yaw[:, 0].abs().numpy() <= MOST_YAW
    there = [np.zeros((1, 2))] * len(good)
    kept = [
        (start + a, start + b)
        for start, stop in runs
        for a, b in stretches(there[start:stop], good[start:stop])
    ]
    if not kept:
        raise ValueError(
            f"no stretch with the face less than {MOST_YAW:.0f} degrees aside ({int((~good).sum())} frames are)"
        )
    return kept


def of_runs(track_: Tensor, runs: Runs, each: int = 1) -> Tensor:
    """The rows of these stretches, one behind the other."""
    return torch.cat([track_[each * start : each * stop] for start, stop in runs])


def check_same_encoder(out: Path, name: str) -> None:
    """ValueError if the folder holds films that another encoder heard."""
    for path in sorted(out.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            if (found := (file.metadata() or {}).get("encoder")) != name:
                raise ValueError(
                    f"{path} was heard by {found}, not by {name}: choose another OUT, or delete what is in it"
                )


def to_do(films: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Films that are not prepared yet and the files that they become; ValueError if there are no films at all."""
    found = films_in(films)
    if not found:
        raise ValueError(f"{films} has no films (mp4, mov, mkv, webm, avi)")
    out.mkdir(parents=True, exist_ok=True)
    for film in found:
        path = out / ("__".join(film.relative_to(films).with_suffix("").parts) + ".safetensors")
        if not (path.is_file() or path.with_suffix(".json").is_file()):
            yield film, path


def prepare(
    films: Path, out: Path, tensors_of: Callable[[Path], dict[str, Tensor]],
    header_of: Callable[[Path], dict[str, str]],
) -> None:  # fmt: skip
    """A file for every film that has none yet: its tensors, or a .json that says why nothing of it is kept."""
    began, total = time.monotonic(), len(films_in(films))
    for number, (film, path) in enumerate(to_do(films, out), 1):
        try:
            tensors = tensors_of(film)
        except ValueError as error:
            with atomic_file(path.with_suffix(".json")) as part:
                part.write_text(
                    json.dumps({"film": film.name, "nothing is kept": str(error)}) + "\n", encoding="utf-8"
                )
            print(f"{number} of {total}: {film.name}: {error}", flush=True)
            continue
        header = {"film": film.name, "fps": str(FPS), "command": " ".join(sys.argv[1:]), **header_of(film)}
        with atomic_file(path) as part:
            save_file({key: value.contiguous() for key, value in tensors.items()}, part, header)
        seconds, spent = int(tensors["frames"].sum()) / FPS, time.monotonic() - began
        print(f"{number} of {total}: {film.name}: {seconds:.0f} s kept, {spent:.0f} s", flush=True)
