"""Tensors in a pickle of torch's, built by ourselves from their raw numbers.

A checkpoint may hold more than tensors (arguments, optimisers, the classes of a trainer). All that is
Foreign: it is skipped, and the tensors beside it are read.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .causes import Damaged, shown
from .pickle_machine import FOREIGN, Known, add_named

STORAGES = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}  # fmt: skip
LARGEST_EMPTY = 65_536
DTYPES = {
    name: getattr(torch, name)
    for name in (
        "float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
        "float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64",
    )
    if hasattr(torch, name)
}  # fmt: skip
MOST_DIMENSIONS, MOST_NUMBERS = 16, 2**40


@dataclass(frozen=True, slots=True)
class StorageKind:
    """The class of a storage, by what its numbers are."""

    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Storage:
    """Raw numbers, [bytes] uint8, and what they are."""

    raw: Tensor
    dtype: torch.dtype


def whole(*values: Any) -> bool:
    """Whether all values are integers from 0 to MOST_NUMBERS."""
    return all(type(value) is int and 0 <= value <= MOST_NUMBERS for value in values)


def empty_but_large(size: Any) -> bool:
    """Whether a size without numbers claims what a network must not be built from."""
    return 0 in size and max(size) > LARGEST_EMPTY


def tensor(storage: Any, offset: Any = 0, size: Any = (), stride: Any = (), *_: Any) -> Any:
    """A view of a storage's numbers; Damaged if it reaches beyond them."""
    if storage is FOREIGN:
        return FOREIGN
    right = isinstance(storage, Storage) and isinstance(size, tuple) and isinstance(stride, tuple)
    if (
        not right
        or len(size) != len(stride)
        or len(size) > MOST_DIMENSIONS
        or not whole(offset, *size, *stride)
    ):
        raise Damaged("a tensor in it is damaged")
    flat = storage.raw.view(storage.dtype)
    count = math.prod(size)
    end = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count > MOST_NUMBERS or (end > len(flat) if count else empty_but_large(size)):
        raise Damaged(f"a tensor in it of the size {shown(size)} has too few numbers")
    return flat.as_strided(size, stride, offset)


def tensor_of_type(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Any:
    """The same for types that have no storage class of their own."""
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        return FOREIGN
    return tensor(Storage(storage.raw, dtype), offset, size, stride)


def first(value: Any = FOREIGN, *_: Any) -> Any:
    """A parameter is its tensor."""
    return value


def of_subclass(function: Any = None, _type: Any = None, arguments: Any = (), *_: Any) -> Any:
    """A tensor that had attributes of its own: the tensor."""
    return function.call(*arguments) if isinstance(function, Known) and function in REBUILT else FOREIGN


def ordered(pairs: Any = (), *_: Any) -> dict[str, Any]:
    """collections.OrderedDict."""
    result: dict[str, Any] = {}
    add_named(result, pairs)
    return result


REBUILT = (Known(tensor), Known(tensor_of_type))
NAMES: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): REBUILT[0],
    ("torch._utils", "_rebuild_tensor_v2"): REBUILT[0],
    ("torch._utils", "_rebuild_tensor_v3"): REBUILT[1],
    ("torch._utils", "_rebuild_parameter"): Known(first),
    ("torch._utils", "_rebuild_parameter_with_state"): Known(first),
    ("torch._tensor", "_rebuild_from_type_v2"): Known(of_subclass),
    ("collections", "OrderedDict"): Known(ordered),
    ("torch.storage", "UntypedStorage"): StorageKind(torch.uint8),
    **{
        (module, name): StorageKind(dtype)
        for module in ("torch", "torch.cuda")
        for name, dtype in STORAGES.items()
    },
    **{("torch", name): dtype for name, dtype in DTYPES.items()},
}


class TorchParts:
    """What a checkpoint is made of.

    `fetch(key, size)` gives the [size] bytes of a storage; all together have at most `room` bytes.
    """

    def __init__(self, room: int, fetch: Callable[[str, int], Tensor]):
        self.room, self.fetch = room, fetch
        self.storages: dict[str, Storage] = {}

    def find(self, module: str, name: str) -> Any:
        """Ours for torch's own; FOREIGN for everything else."""
        return NAMES.get((module, name), FOREIGN)

    def stored(self, reference: Any) -> Any:
        """The storage that a reference ("storage", kind, key, device, count) names."""
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise Damaged("it refers to a program, not to numbers")
        _, kind, key, _, count, *view = reference
        if kind is FOREIGN:
            return FOREIGN
        if not isinstance(kind, StorageKind) or not isinstance(key, str) or not whole(count) or any(view):
            raise Damaged("it refers to numbers in a way that torch 1.0 and later do not")
        storage = self.storages.get(key) or self.fetched(key, kind.dtype, count * kind.dtype.itemsize)
        if storage.dtype != kind.dtype or len(storage.raw) != count * kind.dtype.itemsize:
            raise Damaged("its tensors contradict each other")
        return storage

    def fetched(self, key: str, dtype: torch.dtype, size: int) -> Storage:
        """A storage that no tensor has asked for yet."""
        self.room -= size
        if self.room < 0:
            raise Damaged("its tensors claim more numbers than the file has")
        self.storages[key] = Storage(self.fetch(key, size), dtype)
        return self.storages[key]


def described_bytes(value: Any) -> int:
    """Bytes that a value stands for."""
    if isinstance(value, Tensor):
        return value.numel() * value.element_size()
    return len(value) if isinstance(value, (str, bytes)) else 1
