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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.speech.builtin_layers import builtin_encoder_name, builtin_layers_between
from ...models.speech.features import log_mel_block, normalise
from ...models.speech.hubert_layers import HubertHearing, build_speech_encoder, hubert_state
from ...models.speech.speech_net import build_speech_net
from ...models.weights.published import WEIGHTS, weight_path
from ..data.face_track import lid_closure
from ..data.film_labels import summary, told_by_folders
from ..data.film_motion import (
    check_same_encoder,
    found_runs,
    frontal,
    of_runs,
    prepare,
    read_extractor,
    read_motion,
)  # fmt: skip
from ..data.film_reader import films_in, read_sound

ORDER = ("exp", "scale", "t", "pitch", "yaw", "roll")  # of Takin-ADA's 70 numbers
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


def prepared(film: Path, extractor: nn.Module, hearing: Hearing, device: torch.device) -> dict[str, Tensor]:
    """The tensors of one film; ValueError that says why nothing of it can be used."""
    wave = read_sound(film)
    runs, points = found_runs(film, len(wave), cropped=False)
    motion = read_motion(film, runs, points, extractor, device, "liveportrait")
    runs = frontal(runs, motion["yaw"])
    layers = hearing.listen(wave)
    faces = [[there for there in points[start:stop] if there is not None] for start, stop in runs]
    return {
        "features": torch.cat([layers(2 * start, 2 * stop).transpose(0, 1).half() for start, stop in runs]),
        "motion": of_runs(torch.cat([motion[name] for name in ORDER], 1), runs),
        "lids": torch.cat([torch.from_numpy(lid_closure(there)) for there in faces]),
        "frames": torch.tensor([stop - start for start, stop in runs]),
    }


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

    def header(film: Path) -> dict[str, str]:
        label = told_by_folders(film, options.films)
        return {
            "encoder": hearing.name, "person": label.person, "emotion": label.emotion,
            "intensity": f"{label.intensity:.4g}",
        }  # fmt: skip

    try:
        extractor = read_extractor(options.extractor, device)
        hearing = hubert_hearing(options.encoder, device) if options.encoder else builtin_hearing()
        check_same_encoder(options.out, hearing.name)
        prepare(options.films, options.out, lambda film: prepared(film, extractor, hearing, device), header)
    except ValueError as error:
        parser.error(str(error))
    labels = {
        str(film.relative_to(options.films)): told_by_folders(film, options.films)
        for film in films_in(options.films)
    }
    if told := summary(labels):
        print(told, flush=True)


if __name__ == "__main__":
    main()
