"""Pieces of pickles, written instruction by instruction."""

import struct

HEAD, STOP = b"\x80\x02", b"."


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def raw(data: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(data)) + data


def named(name: str) -> bytes:
    module, _, attribute = name.partition(" ")
    return f"c{module}\n{attribute}\n".encode()


def long(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return (
        b"\x8a" + bytes([len(data)]) if len(data) < 256 else b"\x8b" + struct.pack("<i", len(data))
    ) + data


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def got(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


def dtype(code: str, state: bytes | None = None) -> bytes:
    state = b"(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t" if state is None else state
    return named("numpy dtype") + text(code) + b"\x89\x88\x87R" + state + b"b"


def array(kind: bytes, shape: bytes, data: bytes, fortran: bytes = b"\x89") -> bytes:
    shell = (
        named("numpy.core.multiarray _reconstruct")
        + named("numpy ndarray")
        + b"K\x00\x85"
        + raw(b"b")
        + b"\x87R"
    )
    return shell + b"(K\x01" + shape + kind + fortran + data + b"tb"
