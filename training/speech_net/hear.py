"""Train the viseme heads on top of Whisper's encoder (models/speech/viseme_heads.py).

    python3 run.py python -m talking_portrait.training.speech_net.hear \\
        OUT.safetensors CACHE CORPUS [CORPUS ...] [--music FOLDER] [--without rms] [--tapes 600] [--steps 2000] \\
        [--start HEADS]

CORPUS: folders of training/speech_net/corpus.py, neural_voices.py and recorded_voices.py, drawn from alike often.
--music: recordings of music without singing. CACHE keeps what the encoder says of each tape (2 MB), so that a run
that was stopped goes on where it was; another seed, corpus or encoder needs another folder. Steps that were stopped go
on from OUT.resume.safetensors. The curve goes into benchmarks/results/viseme_heads.json.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from ...models.speech.viseme_heads import VisemeHead, VisemeHeads
from ...models.speech.visemes import VISEMES
from ...models.speech.whisper_mel import log_mel, scaled
from ...models.speech.whisper_tiny_en import LAYERS, WIDTH
from ..learning.training import Training
from .averaged import train_averaged
from .recorded_voices import read_sound
from .shipped import shipped_encoder
from .tapes import make_tape, read_clips

ROOT = Path(__file__).resolve().parents[2]
CURVE = ROOT / "benchmarks" / "results" / "viseme_heads.json"
ALL_LEVELS, FIRST_LEVELS = LAYERS + 1, 3  # that the two heads read
ALL_WIDTH, FIRST_WIDTH = 112, 64
CHUNK, BATCH, RATE = 250, 12, 4e-3  # states of 20 ms, chunks, learning rate
CLOSED_LIPS = 1.5  # how much more a frame of p, b, m weighs
RAREST = 500  # a viseme that comes in fewer than one of so many frames weighs no more than one that does
LABEL_SMOOTHING, DROPPED, DROPPED_BEHIND = 0.05, 0.1, 0.08


class Tapes:
    """Tapes as the encoder hears them, made when they are first asked for and kept in a folder."""

    def __init__(self, cache: Path, corpora: list[list[dict]], tracks: list[np.ndarray], seed: int):
        self.cache, self.corpora, self.tracks, self.seed = cache, corpora, tracks, seed
        self.encoder = shipped_encoder()
        cache.mkdir(parents=True, exist_ok=True)

    def make(self, number: int) -> None:
        """One tape: levels [500,5,384] in half precision, classes [1000]."""
        path = self.cache / f"{number:05d}.npy"
        if path.exists() and path.with_suffix(".classes.npy").exists():
            return
        random = np.random.default_rng([self.seed, number])
        clips = [one[random.integers(len(one))] for one in self.corpora for _ in range(6)]
        wave, classes = make_tape(clips, self.tracks, random)
        with torch.inference_mode():
            levels = self.encoder.levels(scaled(log_mel(torch.from_numpy(wave)))[None])
        np.save(path, torch.cat(levels).transpose(0, 1).half().numpy())
        np.save(path.with_suffix(".classes.npy"), classes)

    def load(self, count: int) -> tuple[list[np.ndarray], np.ndarray]:
        """What the encoder said of the first tapes, left on the disk, and all classes [n,1000]."""
        paths = [self.cache / f"{number:05d}.npy" for number in range(count)]
        classes = [np.load(path.with_suffix(".classes.npy")) for path in paths]
        return [np.load(path, mmap_mode="r") for path in paths], np.stack(classes).astype(np.int64)


def new_heads(levels: list[np.ndarray], classes: np.ndarray) -> VisemeHeads:
    """Untrained heads that know the levels' means and deviations, and how often each viseme comes."""
    heads = VisemeHeads([(ALL_LEVELS, WIDTH, ALL_WIDTH)], [(FIRST_LEVELS, WIDTH, FIRST_WIDTH)])
    sample = np.concatenate([tape[::7] for tape in levels[:: max(1, len(levels) // 80)]]).astype(np.float32)
    mean, deviation = torch.from_numpy(sample.mean(0)), torch.from_numpy(sample.std(0) + 1e-3)
    often = torch.from_numpy(
        np.bincount(classes.ravel(), minlength=len(VISEMES)) / classes.size + 1e-6
    ).float()
    for head in own_heads(heads):
        count = len(head.mean)
        head.mean.data, head.deviation.data = mean[:count].clone(), deviation[:count].clone()
        head.leave.bias.data = often.log().repeat(2)
    return heads


def own_heads(heads: VisemeHeads) -> tuple[VisemeHead, VisemeHead]:
    """The two that are trained here."""
    return cast(VisemeHead, heads.all[0]), cast(VisemeHead, heads.first[0])


def drop_channels(head: VisemeHead) -> None:
    """Channels of what a head reads and of each of its blocks are dropped while it trains."""
    head.enter.register_forward_pre_hook(dropped_before)
    for block in head.blocks:
        block.register_forward_hook(dropped_behind)


def dropped_before(layer: torch.nn.Module, given: Any) -> tuple[Tensor]:
    """A hook before a layer."""
    return (F.dropout(given[0], DROPPED, layer.training),)


def dropped_behind(layer: torch.nn.Module, given: Any, out: Tensor) -> Tensor:
    """A hook behind a layer: whole channels."""
    return F.dropout1d(out, DROPPED_BEHIND, layer.training)


def class_weights(classes: np.ndarray) -> Tensor:
    """[14]: rare visemes weigh more, by the root; closed lips more still."""
    counts = np.bincount(classes.ravel(), minlength=len(VISEMES))
    weights = torch.from_numpy(np.sqrt(counts.mean() / np.maximum(counts, counts.sum() / RAREST))).float()
    weights[VISEMES.index("PP")] *= CLOSED_LIPS
    return weights


def train(
    levels: list[np.ndarray],
    classes: np.ndarray,
    steps: int,
    random: np.random.Generator,
    start: Path | None = None,
    resume: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> tuple[VisemeHeads, Training]:
    """The heads, and the run. With a file `start` they go on from its heads, and are the mean of both; with `resume`
    a run that was stopped goes on."""
    heads = new_heads(levels, classes)
    if start is not None:
        heads.load_state_dict({key: value.float() for key, value in load_file(start).items()})
        heads.silence_odds.data.zero_()
    weights = class_weights(classes)
    for head in own_heads(heads):
        drop_channels(head)
    states = len(levels[0])

    def loss() -> dict[str, Tensor]:
        tapes, starts = (
            random.integers(len(levels), size=BATCH),
            random.integers(states - CHUNK + 1, size=BATCH),
        )
        chosen = list(zip(tapes, starts, strict=True))
        heard = torch.from_numpy(np.stack([levels[t][s : s + CHUNK] for t, s in chosen]).astype(np.float32))
        wanted = torch.from_numpy(np.stack([classes[t, 2 * s : 2 * (s + CHUNK)] for t, s in chosen]))
        given = list(heard.unbind(2))
        losses = [
            F.cross_entropy(head(given), wanted, weights, label_smoothing=LABEL_SMOOTHING)
            for head in own_heads(heads)
        ]
        return {"loss": losses[0] + losses[1], "first": losses[0]}

    run = train_averaged(heads, loss, steps, RATE if start is None else RATE / 2, random, resume, settings)
    return heads if start is None else mean_of(heads, load_file(start)), run


def mean_of(heads: VisemeHeads, others: dict[str, Tensor]) -> VisemeHeads:
    """Heads with the mean of their weights and those that they started from (Wortsman et al. 2022), and even odds."""
    state = {key: (value + others[key].float()) / 2 for key, value in heads.state_dict().items()}
    heads.load_state_dict(state | {"silence_odds": torch.zeros(2)})
    return heads


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("corpora", type=Path, nargs="+")
    parser.add_argument("--music", type=Path)
    parser.add_argument("--without", nargs="*", default=["rms"], help="voices never to be heard")
    parser.add_argument("--tapes", type=int, default=600)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument(
        "--start", type=Path, help="heads to go on from, at half the learning rate; the mean is kept"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the tapes")
    parser.add_argument("--member", type=int, help="seed of the heads, if not that of the tapes")
    arguments = parser.parse_args()
    member = arguments.seed if arguments.member is None else arguments.member
    random = np.random.default_rng(member)
    torch.manual_seed(member)
    corpora = [read_clips(folder, without=tuple(arguments.without)) for folder in arguments.corpora]
    done = all((arguments.cache / f"{number:05d}.classes.npy").exists() for number in range(arguments.tapes))
    tracks = (
        [read_sound(path) for path in sorted(arguments.music.iterdir())]
        if arguments.music and not done
        else []
    )
    tapes = Tapes(arguments.cache, corpora, tracks, arguments.seed)
    begun = time.monotonic()
    for number in range(arguments.tapes):
        tapes.make(number)
        if number % 50 == 0:
            print(f"tape {number}, {time.monotonic() - begun:.0f} s", flush=True)
    resume = arguments.out.with_suffix(".resume.safetensors")
    told = {"seed": arguments.seed, "member": member, "tapes": arguments.tapes, "start": str(arguments.start)}
    levels, classes = tapes.load(arguments.tapes)
    heads, run = train(levels, classes, arguments.steps, random, arguments.start, resume, told)
    minutes = [round(sum(len(clip["wave"]) for clip in clips) / 16000 / 60, 1) for clips in corpora]
    command = " ".join([
        "python3 run.py python -m talking_portrait.training.speech_net.hear OUT CACHE",
        *(folder.name.upper() for folder in arguments.corpora), *(["--music MOH"] if arguments.music else []),
        *(["--start HEADS"] if arguments.start else []), "--without", *arguments.without,
        f"--tapes {arguments.tapes} --steps {arguments.steps} --seed {arguments.seed}",
        *([] if arguments.member is None else [f"--member {arguments.member}"]),
    ])  # fmt: skip
    save_file(
        {key: value.half().contiguous() for key, value in heads.state_dict().items()}, arguments.out,
        {"command": command, "seed": str(arguments.seed), "licence": "Apache-2.0", "minutes": json.dumps(minutes)},
    )  # fmt: skip
    means = [round(entry["first"], 4) for entry in run.curve]
    figures = {
        "command": command,
        "seed": arguments.seed,
        "minutes of speech": minutes,
        "loss of 100 steps": means,
    }
    CURVE.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
