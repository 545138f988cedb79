"""Train the built-in speech network on a corpus of training/speech_net/corpus.py.

    python3 run.py python -m talking_portrait.training.speech_net.train \\
        CORPUS OUT.safetensors --exclude rms [--steps 2400] [--seed 1]

The command, the seed and the voices heard are written into the file. Each clip is heard at several speeds (which also
shifts pitch and formants), from other throats, through random equalisers, rooms and telephone bands, with noise and
silence. A run that was stopped goes on from OUT.resume.safetensors with the same command.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from ...models.speech.features import FRAME_RATE, normalise
from ...models.speech.speech_net import SpeechNet
from ...models.speech.visemes import ARTICULATION, VISEMES
from ..learning.training import Training
from .averaged import train_averaged
from .hearings import hearing

CHUNK = 300
REVOICED = 0.55  # share of the hearings that are spoken by another throat
DROPOUT = 0.08  # of channels, after every layer


def hearings(
    corpus: Path, excluded: list[str], count: int, random: np.random.Generator
) -> list[tuple[np.ndarray, ...]]:
    """`count` hearings of each training clip, normalised."""
    heard = []
    for path in sorted(corpus.glob("train_*.npz")):
        if path.stem.split("_")[1] in excluded:
            continue
        clip = dict(np.load(path))
        for _ in range(count):
            mel, classes, articulation = hearing(clip, REVOICED, random)
            heard.append(
                (normalise(mel).astype(np.float16), classes.astype(np.int8), articulation.astype(np.float16))
            )
    return heard


def batch(heard: list, size: int, random: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """`size` random chunks with spectral changes: gain, tilt, contrast, band warp (vocal tract), masks."""
    mels = np.zeros((size, CHUNK, 40), np.float32)
    classes, articulation = np.full((size, CHUNK), -100), np.zeros((size, CHUNK, 6), np.float32)
    bands = np.arange(40)
    for row in range(size):
        mel, kind, target = heard[random.integers(len(heard))]
        start = random.integers(max(1, len(mel) - CHUNK))
        length = min(CHUNK, len(mel) - start)
        piece = mel[start : start + length].astype(np.float32)
        warp = 20 + (bands - 20) * random.uniform(0.9, 1.1) + random.uniform(-2, 2)
        low = np.clip(np.floor(warp).astype(int), 0, 38)
        part = np.clip(warp - low, 0, 1).astype(np.float32)
        piece = piece[:, low] * (1 - part) + piece[:, low + 1] * part
        if random.random() < 0.4:
            smooth = gaussian_filter1d(piece, 5, axis=1)
            piece = smooth + (piece - smooth) * random.uniform(0.6, 1.5)
        piece += (random.normal(0, 0.15) + random.normal(0, 0.3) * (bands - 20) / 20).astype(np.float32)
        if random.random() < 0.3:
            first = random.integers(36)
            piece[:, first : first + random.integers(1, 5)] = piece.mean()
        if random.random() < 0.3:
            first = random.integers(max(1, length - 8))
            piece[first : first + random.integers(2, 8)] = piece.mean(0)
        mels[row, :length] = np.clip(piece, -4, 3)
        classes[row, :length], articulation[row, :length] = (
            kind[start : start + length],
            target[start : start + length],
        )
    mels = mels.transpose(0, 2, 1).copy()
    return torch.from_numpy(mels), torch.from_numpy(classes), torch.from_numpy(articulation)


def loss_of(
    raw: torch.Tensor, classes: torch.Tensor, articulation: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Cross entropy of the viseme plus squared error of the articulation; closing the lips counts double."""
    logits, moves = raw[:, : len(VISEMES)], raw[:, len(VISEMES) :].sigmoid().transpose(1, 2)
    entropy = torch.nn.functional.cross_entropy(logits, classes, weights, label_smoothing=0.05)
    known = (classes != -100)[..., None]
    importance = torch.tensor([1.5, 2.0, 1.0, 1.0, 1.5, 1.0])
    return entropy + 5 * (((moves - articulation) ** 2) * known * importance).sum() / known.sum() / len(
        ARTICULATION
    )


def train(
    heard: list, steps: int, size: int, width: int, random: np.random.Generator, resume: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[SpeechNet, Training]:  # fmt: skip
    """The network, whose weights are a running average, and the run; with `resume` one that was stopped goes on."""
    counts = np.bincount(np.concatenate([item[1] for item in heard]).astype(int), minlength=len(VISEMES))
    weights = torch.from_numpy(np.sqrt(counts.mean() / np.maximum(counts, 1))).float()
    weights[VISEMES.index("PP")] *= 1.5
    network = SpeechNet(width)
    for layer in (network.enter, *network.blocks):
        layer.register_forward_hook(lambda _, __, out: torch.nn.functional.dropout1d(out, DROPOUT))

    def loss() -> Tensor:
        mel, classes, articulation = batch(heard, size, random)
        mel = torch.nn.functional.dropout(mel, 0.05)
        return loss_of(network(mel), classes, articulation, weights)

    return network, train_averaged(network, loss, steps, 3e-3, random, resume, settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exclude", nargs="*", default=[], help="voices never to be heard")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--width", type=int, default=112)
    parser.add_argument("--hearings", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    torch.manual_seed(arguments.seed)
    heard = hearings(arguments.corpus, arguments.exclude, arguments.hearings, random)
    print(
        f"{len(heard)} hearings, {sum(len(item[0]) for item in heard) / FRAME_RATE / 3600:.1f} h", flush=True
    )
    resume = arguments.out.with_suffix(".resume.safetensors")
    told = {name: getattr(arguments, name) for name in ("exclude", "batch", "width", "hearings", "seed")}
    network, _ = train(heard, arguments.steps, arguments.batch, arguments.width, random, resume, told)
    voices = sorted(
        {path.stem.split("_")[1] for path in arguments.corpus.glob("train_*")} - set(arguments.exclude)
    )
    save_file(
        {key: value.half() for key, value in network.state_dict().items()},
        arguments.out,
        {
            "command": "python3 run.py python -m talking_portrait.training.speech_net.train CORPUS OUT "
            + " ".join(sys.argv[3:]),
            "seed": str(arguments.seed),
            "voices": " ".join(voices),
            "licence": "Apache-2.0",
        },  # fmt: skip
    )


if __name__ == "__main__":
    main()
