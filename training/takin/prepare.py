"""Prepare what Takin-ADA's tiny network learns from: films of speech with the motion that rules give to their phones.

    python3 run.py python -m talking_portrait.training.takin.prepare \\
        CORPUS OUT.safetensors --split train [--seed 1] [--clips 3] [--part 0/1]

CORPUS is a folder of training/speech_net/corpus.py. Each film is a few clips of one voice in a row, heard
through one room and one microphone (training/speech_net/hearings.py). OUT holds `features` [sum 2N,8,112]
fp16 (layers of the built-in speech network, 50 Hz; with --ear [sum 2N,5,384], of Whisper tiny.en's encoder, 11.5 MB a
minute), `motion` [sum N,70], `lids` [sum N] and `frames` [films];
its header names the encoder, the voices, the seed and the command.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from ..speech_net.hearings import spoken, through_air
from .hearing import PACES, Hearing, builtin_hearing, ear_hearing
from .rules import frames_of, rule_motion

REVOICED = 0.5  # share of the clips that are spoken by another throat
CLEAN = 0.25  # share of the films that are heard as they are


def film_of(
    clips: list[dict], random: np.random.Generator
) -> tuple[np.ndarray, list[tuple[str, float, float]]]:
    """Clips spoken one after another: wave at 16 kHz, segments."""
    waves, parts, start = [], [], 0.0
    for clip in clips:
        wave, own = spoken(clip, REVOICED, random)
        waves.append(wave)
        parts += [(name, start + begin, start + end) for name, begin, end in own]
        start += len(wave) / 16000
    return np.concatenate(waves), parts


def prepared(
    hearing: Hearing, clips: list[dict], random: np.random.Generator
) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Features [2N,L,D] fp16, motion [N,70] and lids [N] of one film."""
    wave, parts = film_of(clips, random)
    frames = frames_of(wave)
    truth = rule_motion(wave, parts, random)
    heard = wave if random.random() < CLEAN else through_air(wave, random)
    return hearing.layers(heard, frames).transpose(0, 1).half(), truth.motion, truth.lids


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=("train", "test"), default="train")
    parser.add_argument("--voices", nargs="+", help="all that the corpus has, if not given")
    parser.add_argument("--clips", type=int, default=3, help="clips of one film")
    parser.add_argument(
        "--ear",
        choices=PACES,
        nargs="?",
        const="whole",
        help="hear with the built-in engine's ear, as it hears this",
    )
    parser.add_argument("--films", type=int, default=1000, help="films of each voice, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--part", default="0/1", help="which part of how many is made here, to share the work"
    )
    arguments = parser.parse_args()
    hearing = ear_hearing(PACES[arguments.ear]) if arguments.ear else builtin_hearing()
    part, parts = (int(number) for number in arguments.part.split("/"))
    groups = []
    voices = arguments.voices or sorted(
        {path.stem.split("_")[1] for path in arguments.corpus.glob(f"{arguments.split}_*")}
    )
    for voice in voices:
        paths = sorted(arguments.corpus.glob(f"{arguments.split}_{voice}_*.npz"))
        found = [
            paths[k : k + arguments.clips]
            for k in range(0, len(paths) - arguments.clips + 1, arguments.clips)
        ]
        groups += found[: arguments.films]
    if not groups:
        parser.error(f"{arguments.corpus} has no {arguments.split} clips of {', '.join(voices)}")
    films, started = [], time.monotonic()
    for number in range(part, len(groups), parts):
        random = np.random.default_rng([arguments.seed, number])
        with torch.inference_mode():
            films.append(prepared(hearing, [dict(np.load(path)) for path in groups[number]], random))
        if len(films) % 20 == 0:
            print(f"film {number + 1} of {len(groups)}, {time.monotonic() - started:.0f} s", flush=True)
    features, motion, lids = zip(*films, strict=True)
    save_file(
        {
            "features": torch.cat(features), "motion": torch.from_numpy(np.concatenate(motion)),
            "lids": torch.from_numpy(np.concatenate(lids)),
            "frames": torch.tensor([len(track) for track in motion]),
        },
        arguments.out,
        {
            "encoder": hearing.encoder, "voices": " ".join(voices), "seed": str(arguments.seed),
            "command": "python3 run.py python -m talking_portrait.training.takin.prepare "
            "CORPUS OUT " + " ".join(sys.argv[3:]),
        },
    )  # fmt: skip
    print(
        f"{len(films)} films, {sum(map(len, motion)) / 25 / 60:.1f} min, {arguments.out.stat().st_size / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
