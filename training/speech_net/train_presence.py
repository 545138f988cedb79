"""Train the network that tells speech from every other sound (models/speech/presence.py).

    python3 run.py python -m talking_portrait.training.speech_net.train_presence \\
        OUT.safetensors CORPUS [CORPUS ...] [--tapes 3000] [--steps 3000]

CORPUS: folders of training/speech_net/corpus.py (for the shipped network both of its forms), whose voices are
placed on tapes of 8 s among the sounds of training/speech_net/other_sounds.py; a third of the tapes have no
speech at all. The command and the seed are written into the file. A run that was stopped goes on from
OUT.resume.safetensors with the same command.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.ndimage import binary_closing
from torch import Tensor

from ...models.speech.features import FRAME_RATE, RATE, log_mel_block
from ...models.speech.presence import PresenceNet, level_free
from ..learning.training import Training
from .averaged import train_averaged
from .hearings import spoken, through_air
from .other_sounds import coloured_noise, other_sound

TAPE_SECONDS = 8
SILENT_TAPES = 0.35
PAUSE_SECONDS = 0.25  # a shorter silence belongs to what is said
EDGE_SECONDS = 0.03  # around the start and end of speech that no label speaks about
REVOICED = 0.4
AIR = 0.75  # share of the tapes that are heard through rooms, microphones and noise
WIDTH = 32


def place_speech(clips: list[dict], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A tape with some clips on it and digital silence between, at a power of about 1; where there is speech
    [T] at 100 Hz."""
    tape, labels = np.zeros(TAPE_SECONDS * RATE), np.zeros(TAPE_SECONDS * FRAME_RATE, bool)
    start = int(random.uniform(-3, 5) * RATE)
    while start < len(tape):
        wave, parts = spoken(clips[random.integers(len(clips))], REVOICED, random)
        wave = wave / max(np.sqrt(np.square(wave).mean()), 1e-9) * 10 ** (random.normal(0, 3) / 20)
        heard = wave[max(0, -start) : len(tape) - start]
        tape[max(0, start) : max(0, start) + len(heard)] += heard
        for name, begin, end in parts:
            if name != "sil":
                first, last = (round((start / RATE + time) * FRAME_RATE) for time in (begin, end))
                labels[max(0, first) : max(0, last)] = True
        start += len(wave) + int(random.exponential(1.0) * RATE)
    closed = binary_closing(np.pad(labels, 50), np.ones(int(PAUSE_SECONDS * FRAME_RATE) + 1))[50:-50]
    return tape, closed


def tape(clips: list[dict], random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One tape: log-mel [T,40] and label [T] (1 speech, 0 none, -1 unknown)."""
    count = TAPE_SECONDS * RATE
    if random.random() < SILENT_TAPES:
        wave, labels = 1e-3 * random.standard_normal(count), np.zeros(TAPE_SECONDS * FRAME_RATE, bool)
        below = random.uniform(-20, 40)
    else:
        wave, labels = place_speech(clips, random)
        below = random.uniform(3, 45)
    if random.random() < AIR:
        wave = through_air(wave, random)
    wave = wave / max(np.sqrt(np.square(wave).mean()), 1e-9)
    sound = other_sound(count, random)
    if random.random() < 0.4:  # for a part of the tape
        first, last = np.sort(random.integers(0, count, 2))
        sound[:first], sound[last:] = 0, 0
    wave = wave + sound * 10 ** (-below / 20)
    if random.random() < 0.7:
        wave = wave + coloured_noise(count, random) * 10 ** (-random.uniform(20, 70) / 20)
    wave = wave / np.abs(wave).max() * 10 ** (-random.uniform(0, 55) / 20)
    if random.random() < 0.5:
        wave = np.round(wave * 32767) / 32767
    mel, _ = log_mel_block(wave.astype(np.float32), 0, len(labels))
    known = labels.astype(np.int8)
    edge = int(EDGE_SECONDS * FRAME_RATE)
    for change in np.flatnonzero(np.diff(known)):
        known[max(0, change + 1 - edge) : change + 1 + edge] = -1
    return level_free(mel).astype(np.float16), known


def batch(tapes: list, size: int, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Tapes with their bands tilted and shifted at random: [N,40,T] and labels [N,T]."""
    chosen = [tapes[k] for k in random.integers(0, len(tapes), size)]
    mel = np.stack([mel for mel, _ in chosen]).astype(np.float32)
    shift = random.normal(0, 0.1, (size, 1, 1)) + random.normal(0, 0.15, (size, 1, 1)) * np.linspace(
        -1, 1, mel.shape[2]
    )
    mel = (mel + shift).transpose(0, 2, 1).astype(np.float32)
    return torch.from_numpy(mel), torch.from_numpy(np.stack([labels for _, labels in chosen]))


def dropped(layer: torch.nn.Module, given: Any, out: torch.Tensor) -> torch.Tensor:
    """A hook that drops whole channels of what a layer gives."""
    return torch.nn.functional.dropout1d(out, 0.05)


def train(
    tapes: list, steps: int, size: int, random: np.random.Generator, resume: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[PresenceNet, Training]:  # fmt: skip
    """The network, whose weights are a running average, and the run; with `resume` one that was stopped goes on."""
    network = PresenceNet(WIDTH)
    for layer in network.layers:
        layer.register_forward_hook(dropped)

    def loss() -> Tensor:
        mel, labels = batch(tapes, size, random)
        known = labels >= 0
        return torch.nn.functional.binary_cross_entropy_with_logits(
            network(mel)[known], labels[known].float()
        )

    return network, train_averaged(network, loss, steps, 4e-3, random, resume, settings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--exclude", nargs="*", default=["rms"], help="voices never to be heard")
    parser.add_argument("--tapes", type=int, default=3000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    torch.manual_seed(arguments.seed)
    paths = sorted(path for corpus in arguments.corpora for path in corpus.glob("train_*.npz"))
    clips = [dict(np.load(path)) for path in paths if path.stem.split("_")[1] not in arguments.exclude]
    started = time.monotonic()
    tapes = [tape(clips, random) for _ in range(arguments.tapes)]
    print(f"{len(tapes)} tapes, {time.monotonic() - started:.0f} s", flush=True)
    resume = arguments.out.with_suffix(".resume.safetensors")
    told = {name: getattr(arguments, name) for name in ("exclude", "tapes", "batch", "seed")}
    network, _ = train(tapes, arguments.steps, arguments.batch, random, resume, told)
    command = (
        "python3 run.py python -m talking_portrait.training.speech_net.train_presence OUT CORPUS "
        + " ".join(sys.argv[2 + len(arguments.corpora) :])
    )
    save_file(
        {key: value.half() for key, value in network.state_dict().items()}, arguments.out,
        {"command": command, "seed": str(arguments.seed), "licence": "Apache-2.0"},
    )  # fmt: skip


if __name__ == "__main__":
    main()
