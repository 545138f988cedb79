"""Write the documents that are made from data: docs/EVIDENCE.md from benchmarks/results, docs/WEIGHTS.md from
the table of weights.

    python3 run.py python -m talking_portrait.tools.make_documents

A test says when they are stale.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..models.measures import descriptions
from ..models.weights.published import markdown_table
from . import headlines

PACK = Path(__file__).resolve().parent.parent
RESULTS, DOCS = PACK / "benchmarks" / "results", PACK / "docs"
MAKERS = {  # results whose script has another name
    "actalker_frames": "training/actalker/train_tiny.py",
    "actalker_mask_drop": "training/actalker/train_tiny.py",
    "fantasytalking_dual_stage": "training/fantasytalking/train_dual_stage.py",
    "fantasytalking_extras": "training/fantasytalking/train_extras.py",
    "fantasytalking_intensity": "training/fantasytalking/train_intensity.py",
    "kdtalker_switches": "training/kdtalker/train_tiny.py",
    "kdtalker_tiny": "training/kdtalker/train_tiny.py",
    "takin": "training/takin/evaluate.py",
    "takin_emotions": "training/takin/emotion_judge.py",
    "takin_people": "training/takin/people.py",
    "takin_predictions": "training/takin/compare_predictions.py",
    "takin_stage1": "training/liveportrait/stage1_proof.py",
    "viseme_heads": "training/speech_net/hear.py",
    "verify_clips": "training/speech_net/verify_clips.py",
}
LONGEST_LIST = 6  # numbers of a curve that a table shows


def evidence() -> str:
    """Every measured figure as a table, with the script that measured it."""
    parts = [
        "# Evidence\n\nEvery figure that was measured, as its script wrote it into `benchmarks/results/`. "
        "Made by `tools/make_documents.py`; do not edit. Measured on two shared CPU cores unless a row says "
        "otherwise.\n"
    ]
    parts += [
        "## The papers' figures, and what measures them\n\nNone was measured here, for no published weight could be "
        f"loaded: this is how to check them.\n\n{headlines.markdown_table()}\n",
        "## The measures\n\nOf `python3 run.py evaluate`, *Evaluate Talking Video* and *Compare Videos*. "
        "Equal to the published scripts on golden data: SyncNet's, Hopenet's and ArcFace's, PSNR, L1, SSIM, CPBD, LMD, "
        "beat alignment and the Fréchet distance. Never run with their published files: all that need any.\n\n"
        f"{descriptions.markdown_table()}\n",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        script = MAKERS.get(path.stem, f"benchmarks/{path.stem}.py")
        parts.append(
            f"## {path.stem}\n\n{purpose(PACK / script)}\n\n`python3 run.py python {as_run(script)}`\n"
        )
        rows = flat(json.loads(path.read_text(encoding="utf-8")))
        parts.append(
            "| figure | value |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in rows)
        )
    return "\n".join(parts)


def as_run(script: str) -> str:
    """How run.py starts a script: as a module of the package, but for benchmarks, which are no part of it."""
    if script.startswith("benchmarks/"):
        return script
    return "-m talking_portrait." + script.removesuffix(".py").replace("/", ".")


def purpose(script: Path) -> str:
    """The first paragraph of a script's docstring."""
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split())


def flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """(place, figure) of every number and word in a result."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name} / {key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for number, inner in enumerate(value, 1):
            yield from flat(inner, f"{name} {number}".strip())
    elif isinstance(value, list):
        shown = ", ".join(map(figure, value[:LONGEST_LIST]))
        yield name, shown + (f", ... ({len(value)} in all)" if len(value) > LONGEST_LIST else "")
    else:
        yield name, figure(value)


def figure(value: Any) -> str:
    """A number with four digits that count, or a word as it is."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|")


def weights() -> str:
    """The table of weight files with what goes where."""
    return (
        "# Weights\n\nWhat each stage reads, where it goes and under which licence. Made by "
        "`tools/make_documents.py`; do not edit. Sizes marked ~ are computed from tensor shapes. None of "
        "the files that do not ship could be loaded where this was made, so nothing is said about them but "
        f"what their publishers say. Nothing in any of these files is run.\n\n{markdown_table()}\n"
    )


DOCUMENTS = {"EVIDENCE.md": evidence, "WEIGHTS.md": weights}


if __name__ == "__main__":
    for name, make in DOCUMENTS.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        print(DOCS / name)
