"""The one loop of all trainings: steps until all are done, the time is up, or somebody stops it politely."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...models.atomic_file import atomic_file
from .training import Terms, Training

SAVE_SECONDS = 60
VALIDATED = 10  # every so many reports
REPORTED = 50  # steps from one report to the next


@contextmanager
def stop_asked() -> Iterator[list[int]]:
    """A list that gets the signal's number on Ctrl-C and on a polite kill, as long as this lasts."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    for name in before:
        signal.signal(name, lambda number, _: asked.append(number))
    try:
        yield asked
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def train(
    training: Training, loss_of: Callable[[], Tensor | Terms], resume: Path | None = None,
    seconds: float = float("inf"), report: int = REPORTED, validate: Callable[[], float] | None = None,
    name: str = "",
) -> bool:  # fmt: skip
    """Whether all steps are done. loss_of() draws a batch and gives its loss.

    Every minute and at the end the state goes to `resume`, progress to the terminal and beside it. Means of the
    terms go into the curve every `report` steps, what validate() says every tenth time.
    """
    began, before, saved = time.monotonic(), training.seconds, time.monotonic()
    recent: list[dict[str, float]] = []
    with stop_asked() as asked:
        while training.step < training.recipe.steps and not asked and training.seconds - before < seconds:
            recent.append(training.learn(loss_of()).terms)
            training.seconds = before + time.monotonic() - began
            if training.step % report == 0:
                tell(training, recent, report, validate, resume, name)
                recent = []
            if resume is not None and time.monotonic() - saved > SAVE_SECONDS:
                training.save(resume)
                saved = time.monotonic()
        if resume is not None:
            training.save(resume)
    return training.step >= training.recipe.steps


def train_fully(training: Training, loss_of: Callable[[], Tensor | Terms], resume: Path, **how: Any) -> None:
    """As `train`, for programs that do more with the result: one that was stopped ends here, with SystemExit."""
    if not train(training, loss_of, resume, **how):
        raise SystemExit(
            f"stopped after {training.step} of {training.recipe.steps} steps; the same command goes on from {resume}"
        )


def tell(
    training: Training, recent: list[dict[str, float]], report: int, validate: Callable[[], float] | None,
    resume: Path | None, name: str,
) -> None:  # fmt: skip
    """Put the means of the last steps into the curve, the terminal and the file of progress."""
    entry: dict[str, float] = {"step": training.step}
    entry |= {key: round(float(np.mean([terms[key] for terms in recent])), 5) for key in recent[0]}
    entry["seconds"] = round(training.seconds)
    if validate is not None and training.step % (VALIDATED * report) == 0:
        entry["validation"] = round(validate(), 5)
    training.curve.append(entry)
    print(f"{name} {training.step} of {training.recipe.steps}: {entry}".strip(), flush=True)
    if resume is not None:
        write_json(resume.with_suffix(".progress.json"), entry | {"steps": training.recipe.steps})


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all."""
    with atomic_file(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def go_on(training: Training, resume: Path) -> None:
    """Take up a run where its file left it, if there is one; ValueError as Training.resume."""
    if resume.is_file():
        training.resume(resume)
        print(f"goes on from step {training.step}", flush=True)


def command(module: str) -> str:
    """The command that runs, without the folders of what it reads and writes."""
    words = (Path(word).name if os.sep in word else word for word in sys.argv[1:])
    return f"python3 run.py python -m talking_portrait.training.{module} " + " ".join(words)


def losses(training: Training) -> list[float]:
    """The loss over a run: the mean of every report's steps."""
    return [entry["loss"] for entry in training.curve]
