"""Prepare what KDTalker learns from films of people: their motion, and what Wav2Lip hears.

    python3 run.py python -m talking_portrait.training.kdtalker.prepare_films FILMS OUT \\
        --extractor motion_extractor.safetensors --encoder wav2lip.pth [--crop kdtalker]

FILMS is a folder of films with sound, one face each. Frames are taken at 25 per second; stretches of 2.7 to 30 s
with one face, without a cut and not turned aside by more than 60 degrees are kept. --crop says what the extractor
sees: kdtalker, the crop in which KDTalker's engine sees portraits; liveportrait, that of driving films; none, for
films that hold nothing but a face in a square, as the published training took them (they are not searched).

Every film becomes a file in OUT: `scale`, `yaw`, `pitch`, `roll` [N,1], `t` [N,3], `exp`, `kp` [N,63] (degrees,
keypoint units), `speech` [N,512] and `frames` of each stretch; or a .json that says why nothing of it is kept.
What is there already is not made again. An hour of speech takes 240 MB.
"""

import argparse
from pathlib import Path

import comfy.cli_args
import torch
from torch import Tensor, nn

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.kdtalker.checkpoint import audio_encoder_state
from ...models.speech.encoding import weights_name
from ...models.speech.wav2lip import AudioEncoder, encode_speech
from ...models.weights.safe_files import load_tensors
from ..data.film_motion import (
    CROPS,
    check_same_encoder,
    found_runs,
    frontal,
    of_runs,
    prepare,
    read_extractor,
    read_motion,
)
from ..data.film_reader import read_sound
from .samples import SOUND

SHORTEST = 67  # frames of a stretch that holds a window of 64


def read_encoder(path: Path, device: torch.device) -> nn.Module:
    """Wav2Lip's audio encoder; ValueError if the file is another network's."""
    network = AudioEncoder()
    try:
        network.load_state_dict(audio_encoder_state(load_tensors(path)))
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be used: {str(error).splitlines()[-1].strip()}") from None
    return network.to(device).eval()


def prepared(film: Path, extractor, encoder: nn.Module, device: torch.device, crop: str) -> dict[str, Tensor]:
    """The tensors of one film; ValueError that says why nothing of it can be used."""
    wave = read_sound(film)
    with torch.inference_mode():
        heard = encode_speech(encoder, wave, device)
    runs, points = found_runs(film, len(wave), crop == "none")
    motion = read_motion(film, runs, points, extractor, device, crop)
    runs = [(start, min(stop, len(heard))) for start, stop in frontal(runs, motion["yaw"])]
    runs = [(start, stop) for start, stop in runs if stop - start >= SHORTEST]
    if not runs:
        raise ValueError(f"no stretch of {SHORTEST} frames")
    tracks = {**motion, SOUND: heard}
    return {
        **{name: of_runs(value, runs) for name, value in tracks.items()},
        "frames": torch.tensor([stop - start for start, stop in runs]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--extractor", type=Path, required=True, help="LivePortrait's motion_extractor")
    parser.add_argument("--encoder", type=Path, required=True, help="wav2lip.pth")
    parser.add_argument("--crop", choices=CROPS, default="kdtalker", help="what the extractor sees of a film")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        extractor, encoder = read_extractor(options.extractor, device), read_encoder(options.encoder, device)
        name = weights_name("wav2lip", options.encoder)
        check_same_encoder(options.out, name)
        prepare(
            options.films, options.out, lambda film: prepared(film, extractor, encoder, device, options.crop),
            lambda film: {"encoder": name, "crop": options.crop, "extractor": options.extractor.name},
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
