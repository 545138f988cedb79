"""Prepare what Takin-ADA learns from films of people: their motion by LivePortrait's motion extractor, and
what a HuBERT hears.

    python3 run.py python -m talking_portrait.training.takin.prepare_films \\
        FILMS OUT --extractor motion_extractor.safetensors [--encoder HUBERT]

FILMS is a folder of films with sound, one face each: FILMS/person/film.mp4, FILMS/person/emotion/film.mp4
(angry, happy, ...), FILMS/person/emotion/level_2/film.mp4 (level 3 is full intensity), or as MEAD lies; see
training/data/film_labels.py. A film in FILMS itself is a person of its own. How many films have no emotion,
and why, is told at the end. Frames are taken at 25 per second; stretches of 2 to 30 s with one face, without
a cut and not turned aside by more than 60 degrees are kept. HUBERT is a safetensors file in transformers'
layout, such as facebook/hubert-large-ll60k; without it the pack's own speech network is the encoder.

Every film becomes a file in OUT: `features` [sum 2N,L,D] fp16 at 50 Hz, `motion` [sum N,70] as the extractor
says it, `lids` [sum N], `frames` of each stretch; or a .json that says why nothing of it is kept. What is
there already is not made again, so the same command goes on after a kill. All 25 layers of HuBERT-large take
9.2 GB per hour of speech.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.liveportrait.checkpoint import FILES
from ...models.liveportrait.crop import driving_box
from ...models.liveportrait.video_motion import crop_to_box
from ...models.speech.builtin_layers import builtin_encoder_name, builtin_layers_between
from ...models.speech.features import log_mel_block, normalise
from ...models.speech.hubert_layers import HubertHearing, build_speech_encoder, hubert_state
from ...models.speech.speech_net import build_speech_net
from ...models.takin.config import FPS
from ...models.weights.published import WEIGHTS, weight_path
from ...models.weights.safe_files import load_tensors
from ..data.face_track import lid_closure, stretches, track
from ..data.film_labels import summary, told_by_folders
from ..data.film_reader import RATE, films_in, read_frames, read_sound

MOST_YAW = 60.0
BATCH = 16
Layers = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Hearing:
    """A speech encoder: its name, and what it makes of a wave at 16 kHz."""

    name: str
    listen: Callable[[np.ndarray], Layers]


def builtin_hearing() -> Hearing:
    """The pack's own speech network."""
    path = weight_path(WEIGHTS["speech"])
    state = {key: value.float() for key, value in load_file(path).items()}
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=nn)
    network.load_state_dict(state)

    def listen(wave: np.ndarray) -> Layers:
        mel, _ = log_mel_block(wave, 0, -(-len(wave) // 160))
        normal = normalise(mel)
        return lambda start, stop: builtin_layers_between(
            network.eval(), normal, start, stop, torch.device("cpu")
        )

    return Hearing(builtin_encoder_name(path), listen)


def hubert_hearing(path: Path, device: torch.device) -> Hearing:
    """A HuBERT; ValueError if the file is another network's."""
    try:
        state = hubert_state(load_file(path))
        network = build_speech_encoder(state, {})
        network.load_state_dict({key: value.float() for key, value in state.items()})
    except (SafetensorError, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be read as a speech encoder ({str(error).splitlines()[-1].strip()})"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} cannot be used: {error}") from None
    network = network.to(device).eval()
    return Hearing(network.encoder_name, lambda wave: HubertHearing(network, wave, device).between)


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


@torch.inference_mode()
def motion_of(
    film: Path, runs: list[tuple[int, int]], points: list, extractor: nn.Module, device: torch.device
) -> Tensor:
    """[N,70] of the frames in these stretches, in a box of its own for each; other frames are zeros."""
    boxes = {
        number: box
        for start, stop in runs
        for box in [driving_box(points[start:stop])]
        for number in range(start, stop)
    }
    found, batch = torch.zeros(len(points), 70), []

    def extract() -> None:
        said = extractor(torch.stack([crop for _, crop in batch]).to(device))
        rows = [said.expression.flatten(1), said.scale, said.translation, said.pitch, said.yaw, said.roll]
        found[[number for number, _ in batch]] = torch.cat(rows, 1).float().cpu()
        batch.clear()

    for number, frame in enumerate(read_frames(film)):
        if number in boxes:
            batch.append((number, crop_to_box(torch.from_numpy(frame).float() / 255, boxes[number])))
        if len(batch) == BATCH:
            extract()
    if batch:
        extract()
    return found


def prepared(film: Path, extractor: nn.Module, hearing: Hearing, device: torch.device) -> dict[str, Tensor]:
    """The tensors of one film; ValueError that says why nothing of it can be used."""
    wave = read_sound(film)
    seen = track(read_frames(film))
    seen.points = seen.points[: len(wave) * FPS // RATE]
    if not (runs := stretches(seen.points)):
        total = len(seen.points)
        raise ValueError(
            f"no stretch with one face in {total} frames ({seen.lost} without, {seen.crowded} with several)"
        )
    motion = motion_of(film, runs, seen.points, extractor, device)
    if not torch.isfinite(motion).all():
        raise ValueError("the motion extractor says what is no number: its file is damaged")
    turned = motion[:, 68].abs().numpy() > MOST_YAW
    inside = np.zeros(len(seen.points), bool)
    for start, stop in runs:
        inside[start:stop] = True
    kept = [part for start, stop in runs for part in within(start, stop, seen.points, inside & ~turned)]
    if not kept:
        raise ValueError(
            f"no stretch with the face less than {MOST_YAW:.0f} degrees aside ({turned.sum()} frames are)"
        )
    layers = hearing.listen(wave)
    features = [layers(2 * start, 2 * stop).transpose(0, 1).half() for start, stop in kept]
    faces = [[points for points in seen.points[start:stop] if points is not None] for start, stop in kept]
    lids = [torch.from_numpy(lid_closure(points)) for points in faces]
    return {
        "features": torch.cat(features), "motion": torch.cat([motion[start:stop] for start, stop in kept]),
        "lids": torch.cat(lids), "frames": torch.tensor([stop - start for start, stop in kept]),
    }  # fmt: skip


def within(start: int, stop: int, points: list, good: np.ndarray) -> list[tuple[int, int]]:
    """The stretches inside one whose frames are good."""
    return [(start + a, start + b) for a, b in stretches(points[start:stop], good[start:stop])]


def check_same_encoder(out: Path, name: str) -> None:
    """ValueError if the folder holds films that another encoder heard."""
    for path in sorted(out.glob("*.safetensors")):
        with safe_open(str(path), "pt") as file:
            if (found := (file.metadata() or {}).get("encoder")) != name:
                raise ValueError(
                    f"{path} was heard by {found}, not by {name}: choose another OUT, or delete what is in it"
                )


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside `path`, then move there, so that a file is complete or absent."""
    part = path.with_name(path.name + ".part")
    write(part)
    os.replace(part, path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--extractor", type=Path, required=True, help="LivePortrait's motion_extractor (safetensors or .pth)"
    )
    parser.add_argument(
        "--encoder", type=Path, help="a HuBERT's safetensors; without it the pack's own speech network"
    )
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    films, started = films_in(options.films), time.monotonic()
    if not films:
        parser.error(f"{options.films} has no films (mp4, mov, mkv, webm, avi)")
    try:
        extractor = read_extractor(options.extractor, device)
        hearing = hubert_hearing(options.encoder, device) if options.encoder else builtin_hearing()
        check_same_encoder(options.out, hearing.name)
    except ValueError as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    labels = {str(film.relative_to(options.films)): told_by_folders(film, options.films) for film in films}
    for number, (film, label) in enumerate(zip(films, labels.values(), strict=True), 1):
        path = options.out / (
            "__".join(film.relative_to(options.films).with_suffix("").parts) + ".safetensors"
        )
        refused = path.with_suffix(".json")
        if path.is_file() or refused.is_file():
            continue
        header = {"encoder": hearing.name, "film": film.name, "person": label.person,
            "emotion": label.emotion,
                  "intensity": f"{label.intensity:.4g}", "fps": str(Fraction(FPS)),
                  "command": "training/takin/prepare_films.py " + " ".join(sys.argv[1:])}  # fmt: skip
        try:
            tensors = prepared(film, extractor, hearing, device)
        except ValueError as error:
            text = json.dumps({"film": film.name, "nothing is kept": str(error)}) + "\n"
            write_whole(refused, lambda part, text=text: part.write_text(text, encoding="utf-8"))
            print(f"{number} of {len(films)}: {film.name}: {error}", flush=True)
            continue
        write_whole(path, lambda part, tensors=tensors, header=header: save_file(tensors, part, header))
        seconds = int(tensors["frames"].sum()) / FPS
        print(
            f"{number} of {len(films)}: {film.name}: {seconds:.0f} s kept, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    if told := summary(labels):
        print(told, flush=True)


if __name__ == "__main__":
    main()
