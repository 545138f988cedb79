"""Choose the odds of silence on people who are neither trained nor tested on, and write them into the heads' file.

    python3 run.py python -m talking_portrait.training.speech_net.fit_silence HEADS.safetensors PEOPLE OUT.safetensors

PEOPLE: clips of split `fit` (training/speech_net/people.py, recorded_voices.py), each with a second of silence around
it, as it is, with breath, noise and music, in a room and on the telephone. Chosen are the lowest odds of both heads,
which leave most to "um" and "uh", at which the jaw is shut in 98.8 % of the pauses.
"""

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ...models.speech.features import framed, loudness_of
from ...models.speech.silence import DOUBT, within
from ...models.speech.viseme_heads import biased, with_silence
from ...models.speech.visemes import SILENCE, articulation
from ...models.speech.whisper_mel import HOP, RATE, log_mel, scaled
from .ipa import Segment
from .labels import segments_of
from .measures import clip_scores, joined
from .other_sounds import breath, coloured_noise, music, unit
from .shipped import shipped_networks
from .tapes import power, read_clips, room, telephone

SEED = 3
BELOW = {"breath": 18.0, "noise": 15.0, "music": 12.0}  # dB
ODDS = tuple(product((0.0, 0.5, 1.0, 1.5), (0.0, 0.5, 1.0)))
SHUT = 0.988
Told = tuple[
    Tensor, Tensor, np.ndarray, list[Segment]
]  # logits of both heads [14,T], loudness [T], what is said


def variants(clip: dict, random: np.random.Generator) -> list[tuple[np.ndarray, list[Segment]]]:
    """A clip with silence around it, as it is and with each sound under it."""
    wave = np.pad(clip["wave"].astype(np.float32) / 32768, RATE)
    end = len(wave) / RATE
    parts = [
        ("sil", 0.0, 1.0),
        *((name, a + 1, b + 1) for name, a, b in segments_of(clip)),
        ("sil", end - 1, end),
    ]
    sounds = {"breath": breath, "noise": coloured_noise, "music": music}
    harmed = [
        wave + unit(sound(len(wave), random)) * power(wave) * 10 ** (-BELOW[name] / 20)
        for name, sound in sounds.items()
    ]
    return [
        (sound.astype(np.float32), parts)
        for sound in (wave, *harmed, room(wave, random), telephone(wave, random))
    ]


def score(told: list[Told], odds: tuple[float, float]) -> dict[str, float]:
    """The measures over all clips with these odds of silence."""
    scores = []
    for every, first, loudness, parts in told:
        said, heard = (
            biased(logits, torch.tensor(odd))[0] for logits, odd in zip((every, first), odds, strict=True)
        )
        silence = torch.minimum(said[:, SILENCE], heard[:, SILENCE])
        visemes = with_silence(said, silence).numpy()[: len(loudness)]
        spoken = within(1 - visemes[:, SILENCE], *DOUBT)
        result = (visemes, articulation(visemes), spoken, loudness)
        scores.append(clip_scores(lambda wave, result=result: result, np.zeros(0), parts))
    return joined(scores)


def told_by(heads: Path, people: Path) -> list[Told]:
    """What the heads of a file say of every variant of every clip of split `fit`."""
    random, told = np.random.default_rng(SEED), []
    encoder, network = shipped_networks(heads)
    for clip in read_clips(people, "fit"):
        for wave, parts in variants(clip, random):
            levels = encoder.levels(scaled(log_mel(torch.from_numpy(wave)))[None])
            loudness = loudness_of(framed(wave, 0, -(-len(wave) // HOP))[0])
            told.append((network.all(levels), network.first(levels), loudness, parts))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("heads", "people", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    told = told_by(arguments.heads, arguments.people)
    rows = {odds: score(told, odds) for odds in ODDS}
    for odds, row in rows.items():
        print(odds, row, flush=True)
    best = min((odds for odds in ODDS if rows[odds]["shut_in_pauses"] >= SHUT), key=sum)
    with safe_open(str(arguments.heads), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}
    state["silence_odds"] = torch.tensor(best).half()
    save_file(state, arguments.out, metadata | {"silence_odds": json.dumps(best)})
    print(f"chosen: {best}")


if __name__ == "__main__":
    main()
