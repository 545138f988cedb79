"""How work is cut up for a CPU: parts that stay in its cache, on as many cores as torch may use."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...media.pixels import Box

MOST_THREADS = 8


def spans(whole: slice, most: int) -> Iterator[slice]:
    """A range in parts of at most `most`, in turn."""
    for start in range(whole.start, whole.stop, most):
        yield slice(start, min(start + most, whole.stop))


def together(numbers: Sequence[int], like: Sequence) -> Iterator[slice]:
    """Ascending whole numbers as ranges without a hole, in each of which `like`, asked by number, is the same."""
    first = 0
    for place in range(1, len(numbers) + 1):
        ends = place == len(numbers) or numbers[place] != numbers[place - 1] + 1
        if ends or like[numbers[place]] != like[numbers[first]]:
            yield slice(numbers[first], numbers[place - 1] + 1)
            first = place


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes have pixels in common."""
    return all(max(one[side], other[side]) < min(one[side + 2], other[side + 2]) for side in (0, 1))


def around(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def each(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Do all tasks, which hold no order, in that many threads; within one_thread."""
    if min(threads, len(tasks)) < 2:
        for task in tasks:
            task()
        return
    inference = torch.is_inference_mode_enabled()

    def done(task: Callable[[], None]) -> None:
        with torch.inference_mode(inference):  # which is a thread's own
            task()

    for _ in workers(min(threads, MOST_THREADS)).map(done, tasks):
        pass


@lru_cache(maxsize=1)
def workers(count: int) -> ThreadPoolExecutor:
    """Threads that are kept from frame to frame, each of them with one thread of torch's."""
    return ThreadPoolExecutor(count, "talking_portrait_warp", lambda: torch.set_num_threads(1))


def on_device(value: Any, device: torch.device) -> Any:
    """Tables, nested in dataclasses and tuples, with every tensor on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        return tuple(on_device(part, device) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        moved = {one.name: on_device(getattr(value, one.name), device) for one in fields(value)}
        return type(value)(**moved)
    return value
