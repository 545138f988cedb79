"""safetensors: the library checks the header; here its errors become sentences and its names are bounded."""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from .causes import Damaged, reading
from .stream import opened
from .torch_parts import empty_but_large

LONGEST_NAME = 300


def check_safetensors(path: Path) -> None:
    """Unreadable unless the file is whole: what the header says of places and sizes fits the file exactly."""
    with reading(path):
        open_checked(path)


def read_safetensors(
    path: Path, names: Iterable[str] | None = None
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors (those of `names` that are there, or all); Unreadable if it is no such file."""
    with reading(path):
        file = open_checked(path)
        wanted = set(file.keys()) if names is None else set(file.keys()) & set(names)
        return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys() if key in wanted}


def open_checked(path: Path) -> safe_open:
    """The open file; Damaged if the library refuses it."""
    with opened(path):  # says in words what is no file, or empty
        pass
    try:
        file = safe_open(str(path), "pt")
    except SafetensorError:
        raise Damaged(
            "its header does not fit the file, which was cut short or is no safetensors file"
        ) from None
    for name in file.keys():
        if len(name) > LONGEST_NAME:
            raise Damaged(f"a name in it has {len(name)} letters")
        if empty_but_large(file.get_slice(name).get_shape()):
            raise Damaged(f"its tensor {name} has no numbers")
    return file
