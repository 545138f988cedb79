"""Judge the emotions of a Takin-ADA network by what is seen in drawn pictures, not by the table it learned from.

    python3 run.py python -m talking_portrait.training.takin.emotion_judge WEIGHTS.safetensors RESULT.json [--seed 91]

The built-in renderer draws frames of each film; the face mesh finds the landmarks in them; what they differ by from
the portrait's calm face, laid over it at the corners of the eyes, is what the judge sees. It is a linear classifier
that was fitted on other renders: other people, other sentences, motion by rules with a face of the table at a strength
between 0.6 and 1. Its own score on new people with faces of the table at full strength is the most that a network can
reach.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.builtin.warp import WarpRenderer
from ...models.face.landmarks import landmarks_in_pixels
from ...models.face.weights import load_face_detector
from ...models.face_motion import FaceMotion, resolve
from ...models.takin.config import ANGLES, EMOTIONS, EXPRESSION, FPS
from ...models.takin.emotion import emotion_faces, emotion_label
from ...models.takin.generator import Sampling
from ..data.talking_faces import Person, people
from ..learning.loop import write_json
from .evaluate import Study, rounded
from .films import Film, make_films
from .hearing import hearing_of
from .shipped import load

SHOWN = 5  # frames of a film that are drawn
TEACHERS, LEARNED = 4, 6  # people, and films of each person and emotion, that the judge is fitted on
STRENGTHS = (0.6, 1.0)
EYES = (33, 133, 362, 263)  # corners, which no expression moves
SEEN = (*range(0, 468, 4), 13, 14, 61, 291, 159, 145, 386, 374, 105, 334, 66, 296)  # points of the mesh
RIDGE = 0.03  # of the mean variance


@torch.no_grad()
def drawn_landmarks(who: Person, motion: Tensor) -> np.ndarray:
    """[n,478,2] points in drawn frames of a motion [n,70]; frames without a face are left out."""
    calm = torch.zeros(len(motion), 3)
    moves = FaceMotion.from_expression(
        motion[:, :EXPRESSION].unflatten(1, (21, 3)), motion[:, ANGLES], calm, torch.ones(len(motion)),
        Fraction(FPS), source={"producer": "emotion judge"}, absolute=frozenset(),
    )  # fmt: skip
    resolved = resolve(moves, who.portrait.motion)
    pictures = WarpRenderer().render(who.portrait, resolved, torch.device("cpu"))
    found = load_face_detector().detect_batch(
        [(255 * picture).byte().numpy() for picture in pictures], 1, 0.3, "short"
    )
    return np.array([landmarks_in_pixels(faces[0])[:, :2] for faces in found if faces])


def laid_over(points: np.ndarray, calm: np.ndarray) -> np.ndarray:
    """Points [478,2] turned, scaled and moved so that the eyes' corners lie best on those of `calm`."""
    own, other = points[list(EYES)], calm[list(EYES)]
    a, b = own - own.mean(0), other - other.mean(0)
    number, wanted = a @ [1, 1j], b @ [1, 1j]
    turn = (number.conj() @ wanted) / (number.conj() @ number)
    moved = ((points - own.mean(0)) @ [1, 1j]) * turn
    return np.stack([moved.real, moved.imag], 1) + other.mean(0)


def seen(who: Person, motion: Tensor) -> np.ndarray:
    """What a judge sees of a film [N,70]: how far the mesh's points lie from the calm face, in widths between the eyes,
    mean over some frames; zeros where no face was found."""
    calm = np.asarray(who.portrait.face.points, np.float64)[:, :2]
    chosen = motion[torch.linspace(2, len(motion) - 3, SHOWN).long()]
    found = [laid_over(points, calm) - calm for points in drawn_landmarks(who, chosen)]
    width = np.linalg.norm(calm[EYES[0]] - calm[EYES[-1]])
    mean = np.mean(found, 0) if found else np.zeros_like(calm)
    return (mean[list(SEEN)] / width).ravel()


@dataclass(frozen=True)
class Judge:
    """A linear classifier (discriminant analysis with a ridge)."""

    weights: np.ndarray
    offset: np.ndarray

    @classmethod
    def fitted(cls, rows: np.ndarray, labels: np.ndarray) -> "Judge":
        """From what is seen [n,D] and what it shows [n]."""
        means = np.array([rows[labels == k].mean(0) for k in range(len(EMOTIONS))])
        within = rows - means[labels]
        spread = within.T @ within / len(rows)
        spread += RIDGE * spread.trace() / len(spread) * np.eye(len(spread))
        weights = np.linalg.solve(spread, means.T)
        return cls(weights, -0.5 * np.einsum("kd,dk->k", means, weights))

    def __call__(self, row: np.ndarray) -> int:
        return int((row @ self.weights + self.offset).argmax())


def shown_face(truth: Tensor, index: int, strength: float) -> Tensor:
    """A motion by rules [N,70] with a face of the table."""
    faces, pitches = emotion_faces()
    motion = truth.clone()
    motion[:, :EXPRESSION] += strength * faces[index]
    motion[:, ANGLES.start] += strength * pitches[index]
    return motion


def taught(films: list[Film], seed: int) -> Judge:
    """A judge that was fitted on films by rules of other people."""
    random, rows, labels = np.random.default_rng(seed), [], []
    for who in people(TEACHERS, seed):
        for index in range(len(EMOTIONS)):
            for _ in range(LEARNED):
                film = films[int(random.integers(len(films)))]
                rows.append(seen(who, shown_face(film.truth, index, random.uniform(*STRENGTHS))))
                labels.append(index)
    return Judge.fitted(np.array(rows), np.array(labels))


def judged(judge: Judge, whos: list[Person], films: list[Film], made: Callable[[Film, int], Tensor]) -> dict:
    """How many of the films are taken for what they shall show, everybody by turns."""
    confusion = np.zeros((len(EMOTIONS), len(EMOTIONS)), int)
    for number, film in enumerate(films):
        for index in range(len(EMOTIONS)):
            confusion[index, judge(seen(whos[number % len(whos)], made(film, index)))] += 1
    return {
        "right": int(np.trace(confusion)), "films": int(confusion.sum()),
        "confusion": {
            name: dict(zip(EMOTIONS, row.tolist(), strict=True))
            for name, row in zip(EMOTIONS, confusion, strict=True)
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--films", type=int, default=4, help="films of each voice")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=91)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    network, header = load(options.weights)
    hearing = hearing_of(network.config.encoder)
    with torch.inference_mode():
        lessons = make_films("development", 3, 1, options.seed + 1, hearing)
        films = make_films("test", options.films, 3, options.seed, hearing)
        study = Study(network, hearing, films, Sampling(steps=options.steps))
        judge, whos = taught(lessons, options.seed), people(2, options.seed + 2)
        print(
            f"a judge of {TEACHERS * LEARNED * len(EMOTIONS)} films after {time.process_time() - began:.0f} s",
            flush=True,
        )
        result = {
            "weights": {key: value for key, value in header.items() if key != "takin"},
            "seed": options.seed,
        }
        for name, made in (
            ("faces of the table", lambda film, index: shown_face(film.truth, index, 1.0)),
            ("the network", lambda film, index: study.draw(film, label=emotion_label({EMOTIONS[index]: 1.0}, 1.0))[0]),
        ):  # fmt: skip
            result[name] = judged(judge, whos, films, made)
            print(name, json.dumps(result[name]), flush=True)
    write_json(options.result, rounded(result | {"cpu_seconds": round(time.process_time() - began)}))


if __name__ == "__main__":
    main()
