"""Hand rows to workers until none is left, and keep what comes of each; nothing here knows Ray."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .manifest import Row
from .progress import Progress
from .results import DONE, FAILED, Result, Results
from .worker import Made, read_workflow

WAIT_SECONDS = 0.5


@dataclass(frozen=True)
class Lost:
    """A row whose worker died over it. why: what is known; back: whether the worker comes back by itself."""

    why: str
    back: bool


class Crew(Protocol):
    """Workers that make films. A worker is a number."""

    def ready(self) -> Iterable[int]:
        """All that can be given a row, or have one; not those that are being started again."""
        ...

    def hopeless(self) -> bool:
        """Whether all have gone for good."""
        ...

    def begin(self, worker: int, row: Row) -> None:
        """Have an idle worker make a row."""
        ...

    def finished(self, seconds: float) -> list[tuple[int, Row, Made | Lost]]:
        """What ended within that time; those workers are idle again."""
        ...


class NoWorkers(RuntimeError):
    """All workers are gone for good; the message says why."""


def left_to_do(rows: Iterable[Row], results: Results) -> list[Row]:
    """Rows that have no film of what they ask for now. A workflow that cannot be read is for a worker to say."""
    return [row for row in rows if not results.is_done(row.id, asked(row))]


def asked(row: Row) -> str:
    """The row's fingerprint, as it is written beside its film."""
    try:
        return row.fingerprint(read_workflow(row.workflow)[1])
    except ValueError:
        return row.fingerprint("")


def run_rows(
    rows: list[Row],
    crew: Crew,
    results: Results,
    retries: int,
    progress: Progress,
    stopped: Callable[[], bool],
) -> None:
    """Make all rows; a row whose worker dies is tried again at most `retries` times. Ends early when `stopped`.

    NoWorkers when nobody is left to make the rest. What was finished is kept in every case.
    """
    waiting, attempts, busy = deque(rows), dict.fromkeys((row.id for row in rows), 0), set[int]()
    while (waiting or busy) and not stopped():
        for worker in crew.ready():
            if waiting and worker not in busy:
                row = waiting.popleft()
                attempts[row.id] += 1
                busy.add(worker)
                crew.begin(worker, row)
        for worker, row, outcome in crew.finished(WAIT_SECONDS):
            busy.discard(worker)
            if isinstance(outcome, Lost):
                progress.say(f"{row.place}: its worker died ({outcome.why})")
                if not outcome.back:  # it never came to work: the row is not to blame
                    attempts[row.id] -= 1
                if attempts[row.id] <= retries:
                    waiting.appendleft(row)
                    continue
                outcome = given_up(attempts[row.id], outcome)
            keep(row, outcome, attempts[row.id], results)
            progress.count(failed=bool(outcome.error))
            if outcome.error:
                progress.say(f"{row.place}: {outcome.error}")
        if waiting and not busy and crew.hopeless():
            raise NoWorkers(f"no worker is left; {len(waiting)} rows were not made. Call it again to go on.")


def given_up(attempts: int, lost: Lost) -> Made:
    """What is said of a row over which too many workers died."""
    error = f"its worker died {attempts} times, the last time so: {lost.why}"
    return Made(None, error, 0.0, 0, None, "", "")


def keep(row: Row, made: Made, attempts: int, results: Results) -> None:
    """Write down what came of a row."""
    results.keep(
        Result(
            id=row.id, state=FAILED if made.part is None else DONE, seconds=round(made.seconds, 2),
            frames=made.frames, error=made.error, worker=made.worker, workflow=made.workflow, seed=made.seed,
            row=row.fingerprint(made.workflow), film=film_name(row, made.part), attempts=attempts,
            ended=round(time.time(), 2),
        ),
        made.part,
    )  # fmt: skip


def film_name(row: Row, part: Path | None) -> str:
    """What a row's film is called, "" without one."""
    return "" if part is None else row.id + part.suffix
