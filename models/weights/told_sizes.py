"""Sizes of a network, read from a file's tensors."""

from collections.abc import Iterable, Mapping

from torch import Tensor


def told_sizes(state: Mapping[str, Tensor], places: Iterable[tuple[str, int]]) -> list[int] | None:
    """The size of each tensor along a dimension, for (key, dimension); None if one is missing, flatter or empty."""
    sizes = []
    for key, dimension in places:
        shape = state[key].shape if key in state else ()
        if len(shape) <= dimension or not shape[dimension]:
            return None
        sizes.append(shape[dimension])
    return sizes
