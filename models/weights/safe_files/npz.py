"""numpy's .npz archives of plain arrays: a zip of .npy files, whose header is read by a pattern alone."""

import io
import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .causes import Damaged, reading
from .numpy_parts import array_of, number_kind
from .stream import Stream, opened

MAGIC = b"\x93NUMPY"
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LONGEST_HEADER = 10_000
HEADER = re.compile(  # every text fits it in one way at most, so that none is slow to refuse
    r"\{'descr': '([<>=|])([a-z]\d)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,12}(?:, \d{1,12})*,?)?)\), \} *\n?"
)


def load_npz(path: Path, names: Iterable[str], largest: int) -> dict[str, np.ndarray]:
    """The arrays called `names`, of at most `largest` bytes each; Unreadable if one is missing or another."""
    with reading(path), opened(path) as stream, zipfile.ZipFile(stream.file) as archive:
        return {name: read_array(archive, name, largest + LONGEST_HEADER) for name in names}


def read_array(archive: zipfile.ZipFile, name: str, largest: int) -> np.ndarray:
    """One member of the archive."""
    found = [info for info in archive.infolist() if info.filename == f"{name}.npy"]
    if len(found) != 1:
        raise Damaged(f"{name} is missing" if not found else f"it holds {name} {len(found)} times")
    if found[0].compress_type not in PACKINGS or found[0].flag_bits & 1:
        raise Damaged(f"{name} is packed in a way that numpy does not write")
    with archive.open(found[0]) as member:
        data = member.read(largest + 1)
    if len(data) > largest:
        raise Damaged(f"{name} is larger than a right file's")
    return parsed(data, name)


def parsed(data: bytes, name: str) -> np.ndarray:
    """A .npy file of editions 1 to 3."""
    stream = Stream(io.BytesIO(data), len(data))
    magic, (edition, _) = stream.take(6), stream.take(2)
    if magic != MAGIC or edition not in (1, 2, 3):
        raise Damaged(f"{name} is no array of numpy's")
    (length,) = struct.unpack("<H", stream.take(2)) if edition == 1 else struct.unpack("<I", stream.take(4))
    header = HEADER.fullmatch(stream.text(length))
    if header is None:
        raise Damaged(f"{name} is no array of plain numbers")
    order, code, columns_first, sizes = header.groups()
    shape = tuple(int(size) for size in re.findall(r"\d+", sizes))
    return array_of(stream.take(stream.left), number_kind(code, order), shape, columns_first == "True")
