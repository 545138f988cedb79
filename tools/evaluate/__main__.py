"""Measure films as the papers do, and as far as that goes with nothing downloaded.

    python3 run.py evaluate FILM... [--reference FILM...] [--with NETWORK...] [--official] [--json]
    python3 run.py evaluate --features A.npy B.npy
    python3 run.py evaluate --list

Each film alone: lips and voice, closures at p, b, m, blinks, head motion, smoothness, sharpness (CPBD). With one
reference for each film, or one for all: PSNR, SSIM, L1, landmarks (LMD), pose, expression. `--with` adds what needs
files in ComfyUI's models folder (syncnet, hopenet, arcface, inception, i3d, lpips) or packages (lpips, dlib); what is
missing is told and the rest is measured. Several films with inception or i3d give FID or FVD of all of them together
too, as the papers have it. `--list` tells of every measure what it is and what it may be compared with.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import comfy.cli_args
import numpy as np
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from ...models.face.weights import load_face_detector
from ...models.measures.descriptions import markdown_table, shown
from ...models.measures.evaluation import Values, compare, film_measures, tried
from ...models.measures.even_frames import even_frames
from ...models.measures.faces_of_film import watch
from ...models.measures.frechet import frechet_distance
from ...models.progress import silent
from .films import Given, opened
from .networks import NETWORKS, Asked, Sets, own_ear


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="run.py evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("films", type=Path, nargs="*", help="films to measure")
    made.add_argument(
        "--reference", type=Path, nargs="+", default=[], help="what they should be, one for each or one"
    )
    made.add_argument("--with", dest="networks", nargs="+", choices=sorted(NETWORKS), default=[], metavar="NETWORK",
                      help=", ".join(sorted(NETWORKS)))  # fmt: skip
    made.add_argument(
        "--official", action="store_true", help="with the published scripts' traps, to compare numbers"
    )
    made.add_argument("--face", type=int, default=0, help="whose face, 0 is the largest of the first frame")
    made.add_argument("--sharpness-every", type=int, default=5, help="frames of which CPBD takes one")
    made.add_argument(
        "--features", type=Path, nargs=2, help="two files of features [n,D] (.npy) for their distance"
    )
    default = Path(os.environ.get("COMFYUI_PATH", ".")) / "models"
    made.add_argument("--models", type=Path, default=default, help="ComfyUI's models folder")
    made.add_argument(
        "--device", help="where to compute, such as cpu or cuda; by itself the GPU if there is one"
    )
    made.add_argument("--json", action="store_true", help="print everything as one JSON object")
    made.add_argument("--list", action="store_true", help="tell of every measure what it is")
    return made


def main() -> int:
    """Measure, print, and give the exit status."""
    command = parser()
    given = command.parse_args()
    if given.list:
        print(markdown_table())
        return 0
    try:
        if given.features:
            return print_features(*given.features)
        if not given.films:
            command.error("give at least one film")
        result = all_films(given)
    except ValueError as error:
        print(f"run.py evaluate: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(result, indent=1))
    else:
        print("\n\n".join("\n".join(lines(name, part)) for name, part in result.items()))
    return 0


def print_features(first: Path, second: Path) -> int:
    """The Fréchet distance of two files."""
    sets = []
    for path in (first, second):
        try:
            content = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise ValueError(f"{path} is no file of numbers as numpy.save writes it.") from None
        if not isinstance(content, np.ndarray) or content.ndim != 2 or content.dtype.kind not in "fiu":
            raise ValueError(f"{path} does not hold a table [n,D] of numbers.")
        sets.append(content)
    print(shown("feature_distance", frechet_distance(*sets)))
    return 0


def all_films(given: argparse.Namespace) -> dict[str, Any]:
    """Values and notes by film. ValueError where films and references do not belong together."""
    films, references = [opened(path) for path in given.films], [opened(path) for path in given.reference]
    if len(references) not in (0, 1, len(films)):
        raise ValueError(
            f"there are {len(films)} films and {len(references)} references. Give one reference for each film, or one."
        )
    device = torch.device(given.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    detector, ear = load_face_detector(), own_ear(device)
    result, sets = {}, Sets()
    for number, film in enumerate(films):
        reference = references[number % len(references)] if references else None
        result[str(film.path)] = one_film(film, reference, given, detector, ear, device, sets)
    if values := sets.values():
        result["all films together"] = {**values, "notes": []}
    return result


def one_film(
    film: Given,
    reference: Given | None,
    given: argparse.Namespace,
    detector: Any,
    ear: Any,
    device: torch.device,
    sets: Sets,
) -> dict[str, Any]:
    """Everything that is asked of one film; what adds up over all films goes into `sets`."""
    progress = silent if given.json or not sys.stderr.isatty() else told
    fps = film.film.fps
    seen = watch(even_frames(film.film, fps), fps, detector, progress, film.frames, given.sharpness_every)
    values, notes = film_measures(seen, film.sound, ear, given.face, given.official)
    others = None
    if reference is not None:
        rate = reference.film.fps
        found = compare(
            even_frames(film.film, rate), even_frames(reference.film, rate), rate, detector, progress,
            reference.frames, given.official,
        )  # fmt: skip
        more, about = found.values(given.face)
        values, notes, others = values | more, notes + about, found.films[1].followed(given.face)
    asked = Asked(
        film,
        seen,
        seen.followed(given.face),
        reference,
        others,
        detector,
        given.models,
        device,
        given.official,
        sets,
    )
    for name in given.networks:
        added: Values = {}
        about = []
        tried(added, about, lambda name=name: NETWORKS[name](asked))
        values, notes = values | added, notes + [f"{name}: {note}" for note in about]
    return {"frames": len(seen), "fps": float(fps), **values, "notes": notes}


def told(done: int, total: int) -> None:
    """Progress in the terminal."""
    print(f"\r{done} of {max(done, total)} frames", end="", file=sys.stderr, flush=True)


def lines(name: str, part: dict[str, Any]) -> list[str]:
    """One film for people."""
    values = {key: value for key, value in part.items() if key not in ("frames", "fps", "notes")}
    head = f"{name}: {part['frames']} frames, {part['fps']:g} per second" if "fps" in part else f"{name}:"
    return [
        head,
        *(f"  {shown(*pair)}" for pair in values.items()),
        *(f"  Note: {note}" for note in part["notes"]),
    ]


if __name__ == "__main__":
    with torch.inference_mode():
        sys.exit(main())
