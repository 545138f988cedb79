"""Read pickled files without running anything in them.

.pth files that hold more than tensors: pass this module to torch.load as `pickle_module`. Tensors and plain containers are
built; every other class that the file names becomes an inert placeholder that swallows what it is given. Plain pickles of
numpy arrays: `load_arrays`, which refuses everything else.
"""

import io
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import torch

ALLOWED = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("collections", "OrderedDict"),
}
ARRAYS = {
    (module, name)
    for module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
    for name in ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer")
} | {("_codecs", "encode")}
DAMAGED = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError,
    OverflowError, MemoryError, struct.error,
)  # fmt: skip


class Placeholder(dict):
    """Stands for an object whose class is not let in; calling, filling or setting it does nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Placeholder":
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...

    def add(self, value: Any) -> None: ...

    def __hash__(self) -> int:
        return id(self)


class Unpickler(pickle.Unpickler):
    """Lets in what tensors are made of. torch.load derives its own from this and adds the storages."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(module, name) if (module, name) in ALLOWED else Placeholder


def load(file: Any, **options: Any) -> Any:
    """pickle.load with the reader above, for files in torch's old format."""
    return Unpickler(file, **options).load()


def loads(data: bytes, **options: Any) -> Any:
    """pickle.loads with the reader above."""
    return load(io.BytesIO(data), **options)


def load_tensors(path: Path) -> Any:
    """The content of a .pth file on the CPU, placeholders where something else than tensors and containers was."""
    try:
        return torch.load(str(path), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return torch.load(str(path), map_location="cpu", weights_only=False, pickle_module=sys.modules[__name__])


class ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers; everything else in a file is refused, not run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_arrays(path: Path) -> Any:
    """The content of a pickle of arrays and plain containers; ValueError if it is damaged or holds anything else."""
    try:
        return ArrayUnpickler(io.BytesIO(path.read_bytes())).load()
    except DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from None
