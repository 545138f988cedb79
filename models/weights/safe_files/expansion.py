"""Whether content that shares its parts stays small when every part is written out."""

from collections.abc import Callable, Iterable
from typing import Any

from .causes import Damaged

DEEPEST = 100  # lists in lists
FREE = 1_000_000  # bytes that any file may describe
TIMES = 8  # how often beyond that it may describe its own size
OPEN = -1


def check_expansion(content: Any, file_size: int, weigh: Callable[[Any], int] = lambda value: 1) -> None:
    """Damaged if `content` contains itself, is nested too deeply, or describes far more than the file holds.

    `weigh` says how many bytes an innermost value describes.
    """
    most = FREE + TIMES * file_size
    sizes: dict[int, int] = {}
    waiting: list[Any] = [(content,)]
    depth = 0
    while waiting:
        value = waiting[-1]
        state = sizes.get(id(value))
        if state is None:
            sizes[id(value)] = OPEN
            depth += 1
            if depth > DEEPEST:
                raise Damaged("its lists are nested too deeply")
            waiting += unknown_parts(value, sizes)
        else:
            waiting.pop()
            if state == OPEN:
                depth -= 1
                size = 1 + sum(
                    sizes[id(part)] if is_container(part) else weigh(part) for part in parts_of(value)
                )
                if size > most:
                    raise Damaged("it describes far more than a file of its size can hold")
                sizes[id(value)] = size


def unknown_parts(value: Any, sizes: dict[int, int]) -> list[Any]:
    """The containers in a container that were not looked at yet."""
    parts = [part for part in parts_of(value) if is_container(part)]
    if any(sizes.get(id(part)) == OPEN for part in parts):
        raise Damaged("it contains itself")
    return [part for part in parts if id(part) not in sizes]


def is_container(value: Any) -> bool:
    """Whether a value has parts."""
    return isinstance(value, (dict, list, tuple))


def parts_of(value: Any) -> Iterable[Any]:
    """The values in a container; none in anything else."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
