"""Make every clip of a manifest: `python3 run.py batch MANIFEST OUT`"""

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..workflow_drafts import shipped
from .manifest import ManifestError, Row, read_manifest
from .progress import Progress
from .ray_crew import NoRay, RayCrew, TooFew, ray_module
from .results import Results
from .runner import NoWorkers, left_to_do, run_rows
from .worker import Worker

INTERRUPTED = 130


def arguments_of(given: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="run.py batch", description=__doc__)
    parser.add_argument("manifest", type=Path, help="rows as .jsonl or .csv")
    parser.add_argument("out", type=Path, help="folder of <id>.mp4 and results.jsonl")
    parser.add_argument(
        "--workflow", type=Path, default=shipped("talking_portrait"), help="of rows without their own"
    )
    parser.add_argument("--workers", type=int, default=0, help="default: one per GPU, one without")
    parser.add_argument("--gpus-per-worker", type=float, help="1, or a part of one, such as 0.5")
    parser.add_argument("--address", help="of a Ray cluster, such as ray://head:10001; default: this machine")
    parser.add_argument("--retries", type=int, default=2, help="tries more for a row whose worker died")
    parser.add_argument("--dry-run", action="store_true", help="check every row and run none")
    found = parser.parse_args(given)
    for name, value in (("--workers", found.workers), ("--retries", found.retries)):
        if value < 0:
            parser.error(f"{name} is {value}; it cannot be below 0.")
    if found.gpus_per_worker is not None and not 0 <= found.gpus_per_worker <= 16:
        parser.error(f"--gpus-per-worker is {found.gpus_per_worker}; it must be from 0 to 16.")
    return found


def main(given: list[str]) -> int:
    """Carry out a command line; the exit status: 0 all done, 1 some failed, 2 cannot work, 130 stopped."""
    asked = arguments_of(given)
    try:
        rows = read_manifest(asked.manifest, asked.workflow)
        return check(rows) if asked.dry_run else run(rows, asked)
    except (ManifestError, NoRay, TooFew, NoWorkers, ValueError) as error:
        print(f"run.py batch: {error}", file=sys.stderr)
        return 2


def check(rows: list[Row]) -> int:
    """Tell what is wrong with every row, on a server of this machine; nothing is run, and Ray is not needed."""
    print(f"Checking {len(rows)} rows ...", file=sys.stderr, flush=True)
    faults = 0
    with Worker("check", Path(os.environ["COMFYUI_PATH"])) as worker:
        for row in rows:
            try:
                worker.check(row)
            except ValueError as error:
                faults += 1
                print("\n".join(f"{row.place}: {line}" for line in str(error).splitlines()), flush=True)
    print(
        f"{len(rows) - faults} of {len(rows)} rows can run." if faults else f"All {len(rows)} rows can run."
    )
    return int(faults > 0)


def run(rows: list[Row], asked: argparse.Namespace) -> int:
    """Make what is left to make."""
    ray_module()
    with alone(asked.out):
        results = Results(asked.out)
        todo = left_to_do(rows, results)
        if not todo:
            print(f"Nothing to do: all {len(rows)} rows are done.")
            return 0
        print("Starting the workers ...", file=sys.stderr, flush=True)
        with (
            stopping() as stopped,
            RayCrew(asked.workers, asked.gpus_per_worker, asked.address, asked.out.resolve()) as crew,
        ):
            progress = Progress(len(todo), len(rows) - len(todo))
            run_rows(todo, crew, results, asked.retries, progress, stopped)
        results.clear_parts()
    print(f"\n{progress.line()}; {results.path}")
    if stopped():
        print("Stopped. The same command goes on with what is left.")
        return INTERRUPTED
    return int(progress.failed > 0)


@contextmanager
def alone(out: Path):
    """Refuse a second batch into the same folder at once."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".batch.lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout:
        raise ValueError(f"another batch is at work in {out}; wait for it, or give another folder.") from None


@contextmanager
def stopping():
    """Gives a function that tells whether Ctrl-C was pressed; a second Ctrl-C ends at once."""
    presses = []

    def pressed(*_: object) -> None:
        presses.append(True)
        if len(presses) > 1:
            raise KeyboardInterrupt
        print("\nStopping ...", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield lambda: bool(presses)
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
