"""Which file of the pack imports which, and which imports ComfyUI's node API, read from the source: nothing is run."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PACKAGE = "talking_portrait"
NODE_API = "comfy_api"


@dataclass(frozen=True)
class Import:
    """One file imports another (or NODE_API), by their paths from the root.

    late: inside a function, or for types only, so that neither has to be there before the other.
    """

    source: str
    target: str
    line: int
    late: bool


def imports_of(root: Path, files: Iterable[str]) -> list[Import]:
    """All imports among these files of `root`."""
    known = set(files)
    found = {statement for file in known for statement in _imports_in(root, file, known)}
    return sorted(found, key=lambda statement: (statement.source, statement.line, statement.target))


def _imports_in(root: Path, file: str, known: set[str]) -> Iterator[Import]:
    tree = ast.parse((root / file).read_text(encoding="utf-8"), file)
    late = {id(inner) for outer in ast.walk(tree) if _is_late(outer) for inner in ast.walk(outer)}
    for statement in ast.walk(tree):
        for parts in _modules_of(statement, file):
            target = NODE_API if parts[0] == NODE_API else _file_of(parts, known)
            if target not in (None, file):
                yield Import(file, str(target), getattr(statement, "lineno", 0), id(statement) in late)


def _is_late(statement: ast.AST) -> bool:
    """Whether what it holds is not run when its file is imported."""
    for_types = isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")
    return for_types or isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _modules_of(statement: ast.AST, file: str) -> Iterator[tuple[str, ...]]:
    """What an import statement in `file` may name, as paths from the pack's root without an ending."""
    if isinstance(statement, ast.Import):
        for name in statement.names:
            yield from _inside(tuple(name.name.split(".")))
    elif isinstance(statement, ast.ImportFrom):
        below = tuple(statement.module.split(".")) if statement.module else ()
        for name in statement.names:
            if statement.level:
                yield (*PurePosixPath(file).parts[: -statement.level], *below, name.name)
            else:
                yield from _inside((*below, name.name))


def _inside(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """An absolute name seen from the pack's root, or the node API's; nothing for another package's."""
    if parts[0] == NODE_API:
        yield parts
    elif parts[0] == PACKAGE and len(parts) > 1:
        yield parts[1:]


def _file_of(parts: tuple[str, ...], known: set[str]) -> str | None:
    """The file of a module, or the module that has the last part as a name of its own."""
    for some in (parts, parts[:-1]):
        for file in ("/".join(some) + ".py", "/".join((*some, "__init__.py"))):
            if file in known:
                return file
    return None


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of two and more that can all be reached from each other (Tarjan 1972: strongly connected components)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(place: str) -> None:
        number[place] = lowest[place] = len(number)
        path.append(place)
        for other in arrows.get(place, ()):
            if other not in number:
                visit(other)
            if other in path:
                lowest[place] = min(lowest[place], lowest[other])
        if lowest[place] == number[place]:
            group = path[path.index(place) :]
            del path[path.index(place) :]
            if len(group) > 1:
                found.append(sorted(group))

    for place in arrows:
        if place not in number:
            visit(place)
    return found
