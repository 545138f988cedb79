"""Source archives (.tar.gz) that nobody should unpack, as (file name, bytes)."""

import gzip
import io
import tarfile
from collections.abc import Iterator


def source(*members: tuple[str, bytes, dict[str, object]], mode: str = "w:gz") -> bytes:
    """A .tar.gz with these members; the dict sets fields of the header."""
    room = io.BytesIO()
    with tarfile.open(fileobj=room, mode=mode) as tar:
        for name, data, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return room.getvalue()


def sources() -> Iterator[tuple[str, bytes]]:
    """Source archives that lead out of their folder, or unpack to more than a source."""
    plain = ("source/vendor/ComfyUI/main.py", b"print()", {})
    for name, member in {
        "absolute": ("/tmp/canary", b"x", {}),
        "dots": ("../../canary", b"x", {}),
        "dots inside": ("source/../../../canary", b"x", {}),
        "drive": ("C:/canary", b"x", {}),
        "back slashes": ("..\\..\\canary", b"x", {}),
        "symbolic link": ("source/link", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc"}),
        "hard link": ("source/link", b"", {"type": tarfile.LNKTYPE, "linkname": "../../../etc/passwd"}),
        "inner link": ("source/link", b"", {"type": tarfile.SYMTYPE, "linkname": "vendor"}),
        "device": ("source/null", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}),
        "block device": ("source/disk", b"", {"type": tarfile.BLKTYPE, "devmajor": 8}),
        "pipe": ("source/pipe", b"", {"type": tarfile.FIFOTYPE}),
        "own folder above": ("..", b"", {"type": tarfile.DIRTYPE}),
    }.items():
        yield f"{name}.tar.gz", source(plain, member)
    link = ("source/a", b"", {"type": tarfile.SYMTYPE, "linkname": "/tmp"})
    yield "through a link.tar.gz", source(plain, link, ("source/a/canary", b"x", {}))
    yield (
        "a file twice, then a folder.tar.gz",
        source(plain, ("source/a", b"x", {}), ("source/a/b", b"x", {})),
    )
    yield "half a gigabyte.tar.gz", gzip.compress(claimed(600_000_000) + bytes(1024))
    yield "claims a terabyte.tar.gz", gzip.compress(claimed(1_000_000_000_000) + bytes(1024))
    yield "long header.tar.gz", gzip.compress(claimed(2_000_000_000, b"x") + bytes(40_000_000))
    yield "very long name.tar.gz", gzip.compress(claimed(2_000_000_000, b"L") + bytes(40_000_000))
    yield "headers upon headers.tar.gz", gzip.compress(claimed(0, b"x") * 20_000 + bytes(1024))
    yield "many files.tar.gz", gzip.compress(claimed(0) * 30_000 + bytes(1024))
    yield "no gzip.tar.gz", source(plain, mode="w")
    yield "a text.tar.gz", b"404: Not Found"
    yield "gzip of a text.tar.gz", gzip.compress(b"404: Not Found" * 100)
    yield "nothing.tar.gz", b""


def claimed(size: int, kind: bytes = b"0") -> bytes:
    """A header that claims a member of any size."""
    info = tarfile.TarInfo("source/large.bin")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


SOURCES = {"source archives": sources}
