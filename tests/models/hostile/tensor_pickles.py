"""Pickles of torch's whose tensors are none, as (name, bytes). Storage 0 of the archive has 3 float32."""

import struct
from collections.abc import Iterator

from .pickle_pieces import HEAD, STOP, long, named, text


def references() -> Iterator[tuple[str, bytes]]:
    """What torch keeps outside of its pickle, claimed wrongly."""

    def pid(*parts: bytes) -> bytes:
        return HEAD + b"}" + text("a") + b"(" + b"".join(parts) + b"tQs" + STOP

    word, kind, key, place, count = (
        text("storage"),
        named("torch FloatStorage"),
        text("0"),
        text("cpu"),
        b"K\x03",
    )
    yield (
        "module",
        pid(text("module"), named("torch._utils _rebuild_tensor_v2"), text("x\n#!/bin/sh"), text("line")),
    )
    yield "nothing", HEAD + b"NQ" + STOP
    yield "empty", pid()
    yield "a word", HEAD + text("storage") + b"Q" + STOP
    yield "too short", pid(word, kind, key)
    yield "kind is a text", pid(word, text("FloatStorage"), key, place, count)
    yield "kind is a function", pid(word, named("torch._utils _rebuild_tensor_v2"), key, place, count)
    yield "key is a number", pid(word, kind, b"K\x00", place, count)
    yield "key is a list", pid(word, kind, b"]", place, count)
    for path in ("../../../etc/passwd", "/etc/passwd", "..\\x", "", "9", "0/../0", "\x00"):
        yield f"key {path!r}", pid(word, kind, text(path), place, count)
    for name, claimed in {
        "negative": b"J\xff\xff\xff\xff",
        "huge": long(1 << 62),
        "larger than any": long(1 << 2000),
        "a float": b"G" + struct.pack(">d", 3.0),
        "True": b"\x88",
        "None": b"N",
        "too many": b"J\x00\x00\x00\x40",
        "too few": b"K\x02",
    }.items():
        yield f"count {name}", pid(word, kind, key, place, claimed)
    yield "view of another", pid(word, kind, key, place, count, text("x") + b"K\x00K\x01\x87")
    yield (
        "twice, differently",
        HEAD
        + b"]("
        + (b"(" + word + kind + key + place + count + b"tQ")
        + (b"(" + word + named("torch HalfStorage") + key + place + b"K\x06tQ")
        + b"e"
        + STOP,
    )


def tensors() -> Iterator[tuple[str, bytes]]:
    """Tensors that reach beyond their storage of three numbers."""
    storage = b"(" + text("storage") + named("torch FloatStorage") + text("0") + text("cpu") + b"K\x03tQ"
    huge = long(1 << 39)
    sizes = {
        "offset beyond": (b"K\x05", b"K\x01\x85", b"K\x01\x85"),
        "offset negative": (b"J\xff\xff\xff\xff", b"K\x01\x85", b"K\x01\x85"),
        "size beyond": (b"K\x00", b"K\x04\x85", b"K\x01\x85"),
        "size negative": (b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
        "size huge": (b"K\x00", long(1 << 62) + b"\x85", b"K\x00\x85"),
        "size huge of one number": (b"K\x00", huge + b"\x85", b"K\x00\x85"),
        "sizes huge squared": (b"K\x00", huge + huge + b"\x86", b"K\x00K\x00\x86"),
        "stride beyond": (b"K\x00", b"K\x02\x85", b"K\x09\x85"),
        "stride negative": (b"K\x02", b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
        "size a list": (b"K\x00", b"](K\x01e", b"](K\x01e"),
        "no numbers, but large": (b"K\x00", b"K\x00" + huge + b"\x86", b"K\x01K\x01\x86"),
        "other lengths": (b"K\x00", b"K\x01\x85", b")"),
        "size of True": (b"K\x00", b"\x88\x85", b"K\x01\x85"),
        "17 dimensions": (b"K\x00", b"(" + b"K\x01" * 17 + b"t", b"(" + b"K\x01" * 17 + b"t"),
        "a megabyte of one number": (b"K\x00", b"J\x00\x00\x40\x00\x85", b"K\x00\x85"),
    }
    for name, (offset, size, stride) in sizes.items():
        body = named("torch._utils _rebuild_tensor_v2") + b"(" + storage + offset + size + stride + b"\x89}tR"
        yield name, HEAD + b"}" + text("a") + body + b"s" + STOP
    yield (
        "of no storage",
        HEAD + b"}" + text("a") + named("torch._utils _rebuild_tensor_v2") + b"(NK\x00))\x89}tRs" + STOP,
    )
    yield (
        "of a text",
        HEAD
        + b"}"
        + text("a")
        + named("torch._utils _rebuild_tensor_v2")
        + b"("
        + text("x")
        + b"K\x00))\x89}tRs"
        + STOP,
    )
    yield (
        "changed afterwards",
        HEAD
        + b"}"
        + text("a")
        + named("torch._utils _rebuild_tensor_v2")
        + b"("
        + storage
        + (b"K\x00K\x03\x85K\x01\x85\x89}tR}bs" + STOP),
    )
    yield (
        "type that does not divide",
        HEAD
        + b"}"
        + text("a")
        + named("torch._utils _rebuild_tensor_v3")
        + b"("
        + storage
        + (b"K\x00K\x01\x85K\x01\x85\x89}" + named("torch float64") + b"NtRs" + STOP),
    )
    yield "a storage itself", HEAD + b"}" + text("a") + storage + b"s" + STOP
    yield "a list of weights", HEAD + b"](NNe" + STOP
    yield "a whole program", HEAD + named("foreign Module") + b")\x81}" + text("weight") + b"Nsb" + STOP


FOR_TENSORS = {"outside references": references, "tensor shapes": tensors}
