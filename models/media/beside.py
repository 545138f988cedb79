"""Work that goes on beside what makes it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class Beside(Generic[Item]):
    """Does one thing with each of many items, in their order, in a thread of its own; use it as a context manager.

    At most `most` items wait, so memory stays flat. What goes wrong with an item is raised where the next one is given,
    or at the end; the items after it are left out. Leaving by an error or a cancel throws away what waits, and returns
    when the one at work is done.
    """

    def __init__(self, do: Callable[[Item], Any], most: int = 3):
        self._do, self._most = do, most
        self._given: deque[Future] = deque()
        self._stopped = False

    def __enter__(self) -> "Beside[Item]":
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="talking-portrait")
        return self

    def give(self, item: Item) -> None:
        """Add an item; waits while as many wait as may."""
        while len(self._given) >= self._most:
            self._given.popleft().result()
        self._given.append(self._thread.submit(self._one, item))

    def _one(self, item: Item) -> None:
        if self._stopped:
            return
        try:
            self._do(item)
        except BaseException:
            self._stopped = True
            raise

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._stopped = self._stopped or kind is not None
        self._thread.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None:
            for one in self._given:
                one.result()
