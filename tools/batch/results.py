"""What became of every row: results.jsonl beside the films, and what a second call has left to do."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DONE, FAILED = "done", "failed"
RESULTS = "results.jsonl"
PART = re.compile(r"\..+\.batch-part(\.\w+)?")


@dataclass(frozen=True)
class Result:
    """One line of results.jsonl; of an id that is there twice the last one counts.

    state: done or failed. seconds: that the row took, the last attempt alone. frames: of the film. error: why not.
    worker: that had it last. workflow: hash of its file. seed: see prompt.seeds. row: hash of what the row asked for.
    film: the file's name. attempts: 1 and one more for each worker that died. ended: seconds since 1970.
    """

    id: str
    state: str
    seconds: float
    frames: int
    error: str
    worker: str
    workflow: str
    seed: Any
    row: str
    film: str
    attempts: int
    ended: float


def part_path(out: Path, row_id: str, ending: str) -> Path:
    """Where a film is written before it is whole: hidden, in the folder of the films."""
    return out / f".{row_id}.batch-part{ending}"


class Results:
    """The results in a folder OUT, of this call and of those before."""

    def __init__(self, out: Path):
        self.out, self.path = out, out / RESULTS
        self.out.mkdir(parents=True, exist_ok=True)
        self.clear_parts()
        self.latest: dict[str, Result] = {result.id: result for result in self._read()}

    def clear_parts(self) -> None:
        """Remove what workers that were stopped left unfinished."""
        for path in self.out.iterdir():
            if PART.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _read(self) -> Iterable[Result]:
        """All lines that are whole. A last line without an end, as a power cut leaves it, is cut off."""
        if not self.path.is_file():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            with self.path.open("rb+") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.decode("utf-8").splitlines(), 1):
            try:
                yield Result(**json.loads(line))
            except (ValueError, TypeError):
                raise ValueError(
                    f"{self.path}, line {number}, is no result. Mend or remove it, or give another folder OUT."
                ) from None

    def is_done(self, row_id: str, fingerprint: str) -> bool:
        """Whether the film of a row that asked for just this is there."""
        result = self.latest.get(row_id)
        return bool(
            result
            and result.state == DONE
            and result.row == fingerprint
            and (self.out / result.film).is_file()
        )

    def keep(self, result: Result, part: Path | None = None) -> None:
        """Give a finished film its name, then write the line: whoever reads a line finds the film."""
        before = self.latest.get(result.id)
        if part is not None:
            os.replace(part, self.out / result.film)
        if before and before.film and before.film != result.film:
            (self.out / before.film).unlink(missing_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.latest[result.id] = result
