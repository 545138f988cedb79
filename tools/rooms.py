"""The rooms of the pack and who uses whom: `python3 run.py python -m talking_portrait.tools.rooms`

Prints lines and share of every room, the arrows between them (how many import statements), circles, and imports that
lead upward. The exit status is 1 if there is a circle, an upward arrow, or a room with over a quarter of all.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .import_graph import NODE_API, Import, circles, imports_of

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("models", "nodes", "tools", "training", "benchmarks")
MOST = 0.25
# beside the models, the node API and themselves
MAY_USE = {
    "__init__.py": ["nodes"],
    "training": ["tools"],
    "tools/golden_cases": ["training"],  # some goldens are of a training
    "benchmarks": ["tools", "training"],
}
SYSTEMS = {"actalker", "fantasytalking", "kdtalker", "joyvasa", "takin", "builtin"}


def room_of(file: str) -> str:
    """The folder below the top one; a file at the top of models is a room of its own, for they lie at all heights."""
    top, *below = file.split("/")
    if top == "models" and len(below) == 1:
        return f"models/{below[0]}"
    return f"{top}/{below[0]}" if len(below) > 1 else top


def is_upward(source: str, target: str) -> bool:
    """Whether an import goes against nodes -> models -> what its systems share, or into a program from outside."""
    top, aim = source.split("/")[0], target.split("/")[0]
    if top == "models":
        return aim != "models" or is_sideways(room_of(source), room_of(target))
    allowed = (*MAY_USE.get(top, ()), *MAY_USE.get(room_of(source), ()))
    return aim not in (top, "models", NODE_API, *allowed)


def is_sideways(room: str, other: str) -> bool:
    """Whether a room of models uses a system: what is shared must not, and neither must another system."""
    return room != other and other.removeprefix("models/") in SYSTEMS


@dataclass(frozen=True)
class Plan:
    """What there is: lines of every file, and the imports among them."""

    lines: Mapping[str, int]
    imports: list[Import]

    def rooms(self) -> dict[str, int]:
        """Lines of every room, the largest first."""
        sizes: Counter[str] = Counter()
        for file, count in self.lines.items():
            sizes[room_of(file)] += count
        return dict(sizes.most_common())

    def arrows(self) -> dict[tuple[str, str], int]:
        """How many statements of a room import from another one."""
        pairs = ((room_of(found.source), room_of(found.target)) for found in self.imports)
        return dict(sorted(Counter(pair for pair in pairs if pair[0] != pair[1]).items()))

    def room_circles(self) -> list[list[str]]:
        """Rooms that use each other, also by imports inside functions."""
        return circles(together(self.arrows()))

    def file_circles(self, late: bool) -> list[list[str]]:
        """Files that import each other; with `late`, also inside functions and for types."""
        chosen = (found for found in self.imports if late or not found.late)
        return circles(together((found.source, found.target) for found in chosen))

    def upward(self) -> list[Import]:
        """The imports that go the wrong way."""
        return [found for found in self.imports if is_upward(found.source, found.target)]

    def too_large(self) -> list[str]:
        """Rooms with more than a quarter of all lines."""
        rooms = self.rooms()
        return [room for room, count in rooms.items() if count > MOST * sum(rooms.values())]


def together(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Everything that each place leads to."""
    found: dict[str, set[str]] = {}
    for source, target in pairs:
        found.setdefault(source, set()).add(target)
    return found


def read_plan(root: Path = ROOT) -> Plan:
    """All Python files of a checkout but its tests."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))]
    files += [path for path in (root / "__init__.py", root / "prestartup_script.py") if path.is_file()]
    lines = {path.relative_to(root).as_posix(): len(path.read_text("utf-8").splitlines()) for path in files}
    return Plan(lines, imports_of(root, lines))


def report(plan: Plan) -> str:
    """All of it in words."""
    rooms = plan.rooms()
    total = sum(rooms.values())
    text = [f"{len(rooms)} rooms, {len(plan.lines)} files, {total} lines", ""]
    text += [f"{room:32}{count:7}{100 * count / total:7.1f} %" for room, count in rooms.items()]
    text += ["", "arrows between rooms"]
    text += [f"{source:32}-> {target:32}{count:5}" for (source, target), count in plan.arrows().items()]
    late = [group for group in plan.file_circles(late=True) if group not in plan.file_circles(late=False)]
    findings = {
        "circles of rooms": plan.room_circles(),
        "circles of files": plan.file_circles(late=False),
        "circles of files by imports inside functions or for types, which are allowed": late,
        "upward arrows": [f"{found.source}:{found.line} -> {found.target}" for found in plan.upward()],
        f"rooms over {MOST:.0%}": plan.too_large(),
    }
    for name, found in findings.items():
        text += ["", f"{name}: {len(found)}", *(f"  {each}" for each in found)]
    return "\n".join(text)


def main() -> int:
    plan = read_plan()
    print(report(plan))
    return int(any((plan.room_circles(), plan.file_circles(late=False), plan.upward(), plan.too_large())))


if __name__ == "__main__":
    sys.exit(main())
