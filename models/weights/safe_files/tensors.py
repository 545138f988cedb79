"""Weight files of torch, both formats: the zip of today, and the stream of pickles before torch 1.6."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .causes import Damaged, reading
from .expansion import check_expansion
from .pickle_machine import Foreign, PickleMachine
from .safetensors_file import read_safetensors
from .stream import Stream, opened
from .torch_parts import Storage, TorchParts, described_bytes
from .weight_kind import told_by

MOST_STEPS = 2_000_000  # a network of a thousand tensors, with its optimiser, needs 150,000
LARGEST_RECORD = 64_000_000  # bytes of the pickle beside the tensors
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
BLOCK = 16_000_000
LOCAL_HEADER = 30


def load_tensors(path: Path) -> dict[str, Any]:
    """What a weight file holds by name, tensors on the CPU; Unreadable if it is damaged or no weight file.

    Objects of classes that are not torch's own are skipped, and so is what has no text for a name.
    """
    with reading(path), opened(path) as stream:
        size = stream.left
        kind = told_by(stream.take(min(size, 64)))
        if kind == "safetensors":
            return read_safetensors(path)[1]
        stream.file.seek(0)
        content = (
            read_zip(stream.file, size) if kind == "torch zip" else read_stream(Stream(stream.file, size))
        )
        if not isinstance(content, dict):
            whole = isinstance(content, Foreign)
            raise Damaged(
                "it holds a program's object, not weights by name" if whole else "it holds no weights by name"
            )
        check_expansion(content, size, described_bytes)
        return content


def read_zip(file: Any, size: int) -> Any:
    """The content of <name>/data.pkl; its storages are <name>/data/<key>."""
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()):
            raise Damaged("its archive holds two parts of the same name")
    records = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(records) != 1:
        raise Damaged("it is a zip, but not one that torch wrote")
    folder = records[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in members:
        raise Damaged("it is a TorchScript program, not weights")
    order = members.get(f"{folder}byteorder")
    if order is not None and read_member(file, order, len(b"little")) != b"little":
        raise Damaged("it was written on a computer with another order of bytes")

    def fetch(key: str, count: int) -> Tensor:
        info = members.get(f"{folder}data/{key}")
        if info is None or info.file_size != count:
            raise Damaged(
                "a tensor in it has lost its numbers"
                if info is None
                else "a tensor in it has another size than it says"
            )
        raw = torch.empty(count, dtype=torch.uint8)
        fill_from_member(file, info, raw.numpy().data)
        return raw

    record = read_member(file, members[records[0]], LARGEST_RECORD)
    return PickleMachine(Stream(io.BytesIO(record), len(record)), TorchParts(size, fetch), MOST_STEPS).run()


def read_member(file: Any, info: zipfile.ZipInfo, largest: int) -> bytes:
    """All of a small member."""
    if info.file_size > largest:
        raise Damaged("a part of its archive is larger than a right file's")
    data = bytearray(info.file_size)
    fill_from_member(file, info, memoryview(data))
    return bytes(data)


def fill_from_member(file: Any, info: zipfile.ZipInfo, room: memoryview) -> None:
    """A member's bytes; torch never compresses, so what is there is as large as it says."""
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
        raise Damaged("its archive was packed anew; take the file as torch wrote it")
    file.seek(info.header_offset)
    head = file.read(LOCAL_HEADER)
    if len(head) != LOCAL_HEADER or head[:4] != b"PK\x03\x04":
        raise Damaged("its archive is damaged")
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), io.SEEK_CUR)
    found = 0
    for start in range(0, len(room), BLOCK):
        block = room[start : start + BLOCK]
        Stream(file, len(block)).fill(block)
        found = zlib.crc32(block, found)
    if info.CRC not in (0, found):  # torch can be told to write 0
        raise Damaged("a check sum does not fit: it was damaged on the way")


def read_stream(stream: Stream) -> Any:
    """Four pickles (magic number, version, facts, content), then the storages in the order of a fifth."""
    parts = TorchParts(stream.left, lambda _, count: torch.empty(count, dtype=torch.uint8))

    def read() -> Any:
        return PickleMachine(stream, parts, MOST_STEPS).run()

    if read() != MAGIC or read() != PROTOCOL:
        raise Damaged("it is a pickle that torch did not write")
    facts = read()
    if not isinstance(facts, dict) or facts.get("little_endian") is False:
        raise Damaged("it was written on a computer with another order of bytes")
    content, keys = read(), read()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(parts.storages):
        raise Damaged("its list of storages does not fit its tensors")
    for key in keys:
        fill_storage(stream, parts.storages[key])
    return content


def fill_storage(stream: Stream, storage: Storage) -> None:
    """In the file a storage is its count of numbers in 8 bytes, then the numbers."""
    if stream.number(8) * storage.dtype.itemsize != len(storage.raw):
        raise Damaged("a tensor in it has another size than it says")
    stream.fill(storage.raw.numpy().data)
