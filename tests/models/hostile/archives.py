"""torch's archives and numpy's .npz that nobody should trust, as (file name, bytes)."""

import io
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import torch

from .pickle_pieces import HEAD, STOP, named, text
from .statistics_files import STATISTICS, npy, npz, zipped

THREE = struct.pack("<3f", 0, 1, 2)
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
GOOD_TENSOR = b"(" + text("storage") + named("torch FloatStorage") + text("0") + text("cpu") + b"K\x03tQ"
GOOD_PICKLE = (
    HEAD
    + b"}"
    + text("a")
    + named("torch._utils _rebuild_tensor_v2")
    + b"("
    + GOOD_TENSOR
    + b"K\x00K\x03\x85K\x01\x85\x89}tRs"
    + STOP
)


def torch_zip(record: bytes = GOOD_PICKLE, **more: bytes) -> bytes:
    """torch's format of today around a pickle; storage 0 has the numbers 0, 1, 2."""
    return zipped(
        {"x/data.pkl": record, "x/byteorder": b"little", "x/data/0": THREE, "x/version": b"3\n", **more}
    )


def torch_stream(
    record: bytes = GOOD_PICKLE, keys: object = ("0",), numbers: bytes = struct.pack("<q", 3) + THREE
) -> bytes:
    """torch's format before 1.6 around a pickle."""
    facts = {
        "protocol_version": PROTOCOL,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    before = b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, facts))
    return before + record + pickle.dumps(list(keys) if isinstance(keys, tuple) else keys, 2) + numbers


def saved(content: object, new_format: bool = True) -> bytes:
    """What torch itself writes."""
    room = io.BytesIO()
    torch.save(content, room, _use_new_zipfile_serialization=new_format)
    return room.getvalue()


def torch_members() -> Iterator[tuple[str, bytes]]:
    """Archives whose members are missing, wrong or twice there."""
    good = {"x/data.pkl": GOOD_PICKLE, "x/byteorder": b"little", "x/data/0": THREE}
    for name, change in {
        "no pickle": {"x/data.pkl": None},
        "two pickles": {"y/data.pkl": GOOD_PICKLE},
        "no storage": {"x/data/0": None},
        "storage too short": {"x/data/0": THREE[:-1]},
        "storage too long": {"x/data/0": THREE * 2},
        "storage empty": {"x/data/0": b""},
        "big endian": {"x/byteorder": b"big"},
        "long byte order": {"x/byteorder": b"l" * 100_000},
        "TorchScript": {"x/constants.pkl": b"."},
        "pickle empty": {"x/data.pkl": b""},
        "pickle is a zip": {"x/data.pkl": zipped({})},
        "only a folder": {"x/data.pkl": None, "x/": b""},
        "pickle too deep": {"x/data.pkl": None, "x/y/data.pkl": GOOD_PICKLE},
        "pickle at the top": {"x/data.pkl": None, "data.pkl": GOOD_PICKLE},
        "leads out": {"../../x/data.pkl": GOOD_PICKLE, "x/data.pkl": None},
        "absolute": {"/data.pkl": GOOD_PICKLE, "x/data.pkl": None},
        "evil neighbours": {
            "../../../evil.py": b"import os",
            "/etc/cron.d/x": b"* * * * * root touch canary",
        },
    }.items():
        yield (
            f"{name}.pth",
            zipped({key: data for key, data in {**good, **change}.items() if data is not None}),
        )
    yield "no members.pth", zipped({}) + b" " * 20
    yield "only the signature.pth", b"PK\x03\x04" + bytes(60)
    yield "a comment.pth", torch_zip()[:-2] + struct.pack("<H", 65535) + bytes(100)


def patched(data: bytes, signature: bytes, offset: int, value: bytes, which: int = 0) -> bytes:
    """A zip with one field of its `which`-th header of this kind changed."""
    place = -1
    for _ in range(which + 1):
        place = data.index(signature, place + 1)
    return data[: place + offset] + value + data[place + offset + len(value) :]


def zip_fields() -> Iterator[tuple[str, bytes]]:
    """Right archives with one field of a header changed to something mean."""
    central, end = b"PK\x01\x02", b"PK\x05\x06"
    for name, signature, offset, value in (
        ("encrypted", central, 8, b"\x01\x00"),
        ("deflated in name only", central, 10, b"\x08\x00"),
        ("lzma", central, 10, b"\x0e\x00"),
        ("unknown packing", central, 10, b"\x63\x00"),
        ("needs version 99", central, 6, b"\x63\x00"),
        ("huge", central, 24, b"\xfe\xff\xff\x7f"),
        ("zip64 without its part", central, 24, b"\xff\xff\xff\xff"),
        ("begins beyond the end", central, 42, b"\xfe\xff\xff\x7f"),
        ("name without end", central, 28, b"\xff\xff"),
        ("extra without end", central, 30, b"\xff\xff"),
        ("entries", end, 10, b"\xff\xff"),
        ("directory beyond the end", end, 16, b"\xfe\xff\xff\x7f"),
        ("directory huge", end, 12, b"\xfe\xff\xff\x7f"),
        ("other check sum", central, 16, b"\x01\x02\x03\x04"),
        ("name no text", central, 46, b"\xff\xfe"),
        ("date", central, 12, b"\xff\xff\xff\xff"),
    ):
        for which in (0, 2) if signature == central else (0,):
            yield f"{name} {which}.pth", patched(torch_zip(), signature, offset, value, which)
            yield f"{name} {which}.npz", patched(npz(), signature, offset, value, which)


def overlapping(data: bytes, count: int) -> bytes:
    """A zip whose last member, x/data/0, is listed under `count` numbers more; all lie in the same place."""
    start, last, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entries = [data[last:end].replace(b"x/data/0", f"x/data/{i}".encode()) for i in range(1, count + 1)]
    entries = [
        entry[:28] + struct.pack("<H", len(f"x/data/{i}")) + entry[30:] for i, entry in enumerate(entries, 1)
    ]
    directory = data[start:end] + b"".join(entries)
    members = data[start:end].count(b"PK\x01\x02") + count
    return (
        data[:start]
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, members, members, len(directory), start, 0)
    )


def repeated(members: list[tuple[str, bytes]]) -> bytes:
    """A zip that may hold a name twice."""
    room = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(room, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return room.getvalue()


def doubles() -> Iterator[tuple[str, bytes]]:
    """Members of the same name, or at the same place."""
    yield (
        "two pickles of one name.pth",
        repeated([("x/data.pkl", GOOD_PICKLE), ("x/data/0", THREE), ("x/data.pkl", b"\x80\x02N.")]),
    )
    yield (
        "two storages of one name.pth",
        repeated([("x/data.pkl", GOOD_PICKLE), ("x/data/0", THREE), ("x/data/0", THREE)]),
    )
    yield (
        "statistics twice.npz",
        repeated([(f"{name}.npy", npy(array)) for name, array in STATISTICS.items()] * 2),
    )
    for count in (9, 999):
        million = b"J" + struct.pack("<i", 1_000_000)
        ask = b"".join(
            b"(" + text("storage") + named("torch ByteStorage") + text(f"{i}") + text("cpu") + million + b"tQ"
            for i in range(count + 1)
        )
        whole = zipped({"x/data.pkl": HEAD + b"](" + ask + b"e" + STOP, "x/data/0": bytes(1_000_000)})
        yield f"{count + 1} storages in one place.pth", overlapping(whole, count)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Small files that unpack to very large ones."""
    zeros, packed = bytes(12_000_000), zipfile.ZIP_DEFLATED
    count = struct.pack("<i", 3_000_000)
    large = GOOD_PICKLE.replace(b"K\x03t", b"J" + count + b"t").replace(b"K\x03\x85", b"J" + count + b"\x85")
    yield "deflated storage.pth", zipped({"x/data.pkl": large, "x/data/0": zeros}, packed)
    yield (
        "deflated pickle.pth",
        zipped({"x/data.pkl": HEAD + b"N0" * 6_000_000 + GOOD_PICKLE[2:], "x/data/0": THREE}, packed),
    )
    yield "deflated but right.pth", zipped({"x/data.pkl": GOOD_PICKLE, "x/data/0": THREE}, packed)
    yield "bzip2.pth", zipped({"x/data.pkl": large, "x/data/0": zeros}, zipfile.ZIP_BZIP2)
    yield "lzma.pth", zipped({"x/data.pkl": large, "x/data/0": zeros[:1_000_000]}, zipfile.ZIP_LZMA)
    members = {f"{key}.npy": npy(value) for key, value in STATISTICS.items()}
    for name, method, size in (
        ("deflated", packed, 40_000_000),
        ("bzip2", zipfile.ZIP_BZIP2, 1_000_000),
        ("lzma", zipfile.ZIP_LZMA, 1_000_000),
    ):
        yield f"{name}.npz", zipped({**members, "exp_mean.npy": npy(np.zeros(size, np.int8))}, method)
    yield "claims a large storage.pth", torch_zip(large)
    yield "claims a large storage, old.pth", torch_stream(large)


def streams() -> Iterator[tuple[str, bytes]]:
    """torch's old format with wrong keys, counts and facts."""
    eight = struct.pack("<q", 3)
    for name, data in {
        "no keys": torch_stream(keys=()),
        "other keys": torch_stream(keys=("1",)),
        "keys twice": torch_stream(keys=("0", "0")),
        "keys by name": torch_stream(keys={"0": 1}),
        "keys a number": torch_stream(keys=3),
        "keys of lists": torch_stream(keys=([],)),
        "keys of numbers": torch_stream(keys=(0,)),
        "a count too high": torch_stream(numbers=struct.pack("<q", 4) + THREE),
        "a count negative": torch_stream(numbers=struct.pack("<q", -1) + THREE),
        "numbers cut": torch_stream(numbers=eight + THREE[:-1]),
        "no numbers": torch_stream(numbers=b""),
        "other magic": pickle.dumps(MAGIC + 1, 2) + torch_stream()[15:],
        "only magic": pickle.dumps(MAGIC, 2),
        "magic is a list": pickle.dumps([MAGIC], 2),
        "another order of bytes": b"".join(
            pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": False}, {}, [])
        ),
        "facts are a list": b"".join(pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, [1], {}, [])),
        "a bare pickle": pickle.dumps({"a": [1, 2]}, 2),
        "content is a list": torch_stream(HEAD + b"](NNe."),
        "content is None": torch_stream(HEAD + b"N.", keys=(), numbers=b""),
    }.items():
        yield f"{name}.pt", data


ARCHIVES: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "archive members": torch_members,
    "zip headers": zip_fields,
    "duplicated members": doubles,
    "deflate bombs": bombs,
    "old torch streams": streams,
}
