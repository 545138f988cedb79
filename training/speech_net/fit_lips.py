"""How sure of a p, b, m or an f, v the lips must be to meet or to tuck: what each threshold would do to people who are
neither trained nor tested on.

    python3 run.py python -m talking_portrait.training.speech_net.fit_lips HEADS.safetensors PEOPLE

PEOPLE: clips of split `fit`, each as training/speech_net/fit_silence.py harms them. Prints a line for each value of
each threshold of models/builtin/mouth.py, the other ones as they are there; the last TUCK_SHARE lets lips meet whatever
an f would do. Chosen are the lowest that leave needless closures, and needless tucks, below 0.7 %; of CLOSURE a higher
one as long as it costs less than one p, b, m in 200, since the shown jaw gains.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import binary_dilation

from ...models.builtin import mouth
from ...models.face_motion import CONTROLS
from ...models.speech.silence import DOUBT, within
from ...models.speech.viseme_heads import biased, with_silence
from ...models.speech.visemes import SILENCE, articulation
from .fit_silence import Told, told_by
from .measures import FPS, TUCKED, clip_scores, inside, joined, shown
from .shipped import shipped_networks

CLOSURES = (0.12, 0.14, 0.16, 0.18, 0.19, 0.2, 0.21, 0.22, 0.25, 0.3)
START = 0.55  # of a threshold, at which the lips start to move towards each other
SHARES = (
    (0.25, 0.4), (0.3, 0.4), (0.35, 0.45), (0.35, 0.5), (0.4, 0.5), (0.4, 0.55), (0.45, 0.65), (0.5, 0.7), (1, 2),
)  # fmt: skip
PARTIAL_CLOSURES = ((0.2, 0.8), (0.3, 0.7), (0.3, 0.8), (0.35, 0.75), (0.4, 0.7), (0.4, 0.9))
TUCKS = (0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.25)


def heard_of(told: Told, odds: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What measures.shown reads, of what the heads told."""
    said, first = (biased(logits, odd)[0] for logits, odd in zip(told[:2], odds, strict=True))
    visemes = with_silence(said, torch.minimum(said[:, SILENCE], first[:, SILENCE])).numpy()[: len(told[2])]
    return visemes, articulation(visemes), within(1 - visemes[:, SILENCE], *DOUBT), told[2]


def needless_tucks(told: list[Told], heard: list) -> float:
    """Share of frames with a tucked lip further than two frames from any f, v."""
    found = []
    for (_, _, _, parts), one in zip(told, heard, strict=True):
        tucked = shown(one)[:, CONTROLS.index("mouthRollLower")] > TUCKED
        due = binary_dilation(inside(parts, ("FF",), len(tucked), -1 / FPS), iterations=2)
        found.append(tucked & np.logical_not(due))
    return float(np.concatenate(found).mean())


@contextmanager
def changed(name: str, value: object) -> Iterator[None]:
    """The mouth with another threshold."""
    former = getattr(mouth, name)
    setattr(mouth, name, value)
    try:
        yield
    finally:
        setattr(mouth, name, former)


def line(told: list[Told], heard: list) -> str:
    """What the lips do with the present thresholds."""
    scores = [
        clip_scores(lambda wave, one=one: one, np.zeros(0), parts)
        for (*_, parts), one in zip(told, heard, strict=True)
    ]
    found, needless = joined(scores), np.concatenate([score["needless_closed"] for score in scores]).mean()
    return (
        f"p, b, m closed {found['pbm_closed']}, needless {needless:.4f}; f, v tucked {found['fv_tucked']}, needless "
        f"{needless_tucks(told, heard):.4f}; shown jaw {found['shown_jaw']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heads", type=Path)
    parser.add_argument("people", type=Path)
    arguments = parser.parse_args()
    torch.set_grad_enabled(False)
    told, odds = told_by(arguments.heads, arguments.people), shipped_networks(arguments.heads)[1].silence_odds
    heard = [heard_of(one, odds) for one in told]
    for closure in CLOSURES:
        with changed("CLOSURE", (START * closure, closure)):
            print(f"closure {closure}: {line(told, heard)}", flush=True)
    for closure in PARTIAL_CLOSURES:
        with changed("PARTIAL_CLOSURE", closure):
            print(f"articulated closure {closure}: {line(told, heard)}", flush=True)
    for share in SHARES:
        with changed("TUCK_SHARE", share):
            print(f"tuck's share {share}: {line(told, heard)}", flush=True)
    for tuck in TUCKS:
        with changed("SURE_OF_TUCK", tuck):
            print(f"tuck {tuck}: {line(told, heard)}", flush=True)


if __name__ == "__main__":
    main()
