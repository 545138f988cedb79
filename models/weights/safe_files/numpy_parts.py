"""numpy's arrays and scalars in a pickle, built by ourselves: numpy's functions believe what a file says."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .causes import Damaged, shown
from .pickle_machine import Known, Unfinished

KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
ORDERS = {"<": "<", "=": "<", "|": "|", ">": ">"}
MOST_DIMENSIONS = 32


@dataclass(frozen=True, slots=True)
class NumberKind:
    """How numbers are written: one of KINDS, and the order of their bytes."""

    code: str
    order: str = "<"

    @property
    def dtype(self) -> np.dtype:
        """The same as numpy calls it."""
        return np.dtype(self.order + self.code)


def number_kind(code: Any, order: Any = "<") -> NumberKind:
    """Damaged for anything but plain numbers."""
    if not isinstance(code, str) or code not in KINDS or not isinstance(order, str) or order not in ORDERS:
        raise Damaged(f"it holds values of the kind {shown(code)}, which are no plain numbers")
    return NumberKind(code, ORDERS[order])


def array_of(data: Any, kind: Any, shape: Any, columns_first: bool) -> np.ndarray:
    """An array from bytes that fit its shape exactly."""
    if isinstance(kind, UnfinishedKind):
        kind = kind.kind
    if not isinstance(kind, NumberKind) or not isinstance(data, bytes):
        raise Damaged("it holds an array that is no array of numbers")
    if (
        not isinstance(shape, tuple)
        or len(shape) > MOST_DIMENSIONS
        or not all(type(n) is int and n >= 0 for n in shape)
    ):
        raise Damaged(f"an array in it has the shape {shown(shape)}")
    if math.prod(shape) * kind.dtype.itemsize != len(data):
        raise Damaged(f"an array in it has the shape {shown(shape)}, but {len(data)} bytes")
    numbers = np.frombuffer(data, kind.dtype).astype(kind.dtype.newbyteorder("="))
    return numbers.reshape(shape, order="F" if columns_first else "C")


class UnfinishedKind(Unfinished):
    """numpy.dtype(code), whose byte order comes later."""

    __slots__ = ("kind",)

    def __init__(self, code: Any = None, *_: Any):
        super().__init__()
        self.kind = number_kind(code)

    def finished(self, state: Any) -> NumberKind:
        """The state of a plain kind is (3, order, None, None, None, -1, -1, 0)."""
        if not isinstance(state, tuple) or len(state) < 2:
            raise Damaged("it holds an array that is no array of numbers")
        return number_kind(self.kind.code, state[1])


class UnfinishedArray(Unfinished):
    """An array before its shape, kind and numbers come."""

    __slots__ = ()

    def finished(self, state: Any) -> np.ndarray:
        """The state is (1, shape, kind, columns first, bytes)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise Damaged("it holds an array that is no array of numbers")
        return array_of(state[4], state[2], state[1], state[3] is True)


def scalar(kind: Any = None, data: Any = b"") -> Any:
    """One number, of numpy's own type."""
    return array_of(data, kind, (), False)[()]


def from_buffer(data: Any = b"", kind: Any = None, shape: Any = (), order: Any = "C") -> np.ndarray:
    """An array as protocol 5 writes it."""
    return array_of(data, kind, shape, order == "F")


def encoded(text: Any = "", encoding: Any = "latin1") -> bytes:
    """Bytes as protocol 2 writes them."""
    if not isinstance(text, str) or encoding != "latin1":
        raise Damaged("it holds bytes in an unknown form")
    return text.encode("latin1")


NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): Known(lambda *_: UnfinishedArray()),
    ("numpy", "dtype"): Known(UnfinishedKind),
    ("_codecs", "encode"): Known(encoded),
    ("__builtin__", "bytes"): Known(lambda: b""),  # an empty array's, in protocol 2
}
for _core in ("numpy.core", "numpy._core"):  # before numpy 2, and since
    NAMES[f"{_core}.multiarray", "_reconstruct"] = Known(lambda *_: UnfinishedArray())
    NAMES[f"{_core}.multiarray", "scalar"] = Known(scalar)
    NAMES[f"{_core}.numeric", "_frombuffer"] = Known(from_buffer)


class NumpyParts:
    """What a pickle of arrays may be made of; everything else is refused by name."""

    def find(self, module: str, name: str) -> Any:
        """Ours for numpy's own; Damaged for another."""
        try:
            return NAMES[module, name]
        except KeyError:
            raise Damaged(
                f"it asks for {shown(f'{module}.{name}')[1:-1]}, which is more than arrays need"
            ) from None

    def stored(self, reference: Any) -> Any:
        """Arrays keep nothing outside of their pickle."""
        raise Damaged("it refers to something outside of it")
