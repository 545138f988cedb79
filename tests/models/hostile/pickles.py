"""Pickles that nobody should trust, as (name, bytes); each builds one object, or tries to."""

import pickle
import struct
from collections.abc import Iterator

from .pickle_pieces import HEAD, STOP, array, dtype, got, long, named, put, raw, text

CALLABLES = (
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "collections OrderedDict",
    "_codecs encode",
    "numpy.core.multiarray _reconstruct",
    "numpy.core.multiarray scalar",
    "numpy.core.numeric _frombuffer",
    "numpy dtype",
)
PROGRAMS = (
    "os system",
    "posix system",
    "nt system",
    "os mkdir",
    "builtins eval",
    "builtins exec",
    "builtins getattr",
    "builtins open",
    "builtins __import__",
    "subprocess Popen",
    "runpy _run_code",
    "importlib import_module",
    "operator attrgetter",
    "torch load",
    "torch.hub load",
    "numpy load",
    "pickle loads",
    "shutil rmtree",
    "webbrowser open",
    "os path.join",
    "numpy ndarray.tofile",
    "talking_portrait.models.safe_pickle load_tensors",
    "codecs encode",
    "pathlib PosixPath",
)


def changed_callables() -> Iterator[tuple[str, bytes]]:
    """BUILD on what a file is allowed to call."""
    for name in CALLABLES:
        for attribute, value in {
            "__defaults__": b")",
            "__name__": text("/tmp/x"),
            "__code__": b"N",
            "__kwdefaults__": b"}",
            "dump_patches": b"\x88",
        }.items():
            entry = b"}" + text(attribute) + value + b"s"
            yield f"{name} {attribute} slots", HEAD + named(name) + b"N" + entry + b"\x86b" + STOP
            yield f"{name} {attribute}", HEAD + named(name) + entry + b"b" + STOP


def programs() -> Iterator[tuple[str, bytes]]:
    """Functions of the system, asked for in every way, called with a name that would appear in the folder."""
    for name in PROGRAMS:
        module, _, attribute = name.partition(" ")
        arguments = text("touch canary") + b"\x85"
        yield f"GLOBAL {name}", HEAD + named(name) + arguments + b"R" + STOP
        stacked = b"\x80\x04" + text(module) + text(attribute) + b"\x93"
        yield f"STACK_GLOBAL {name}", stacked + arguments + b"R" + STOP
        yield f"NEWOBJ {name}", stacked + arguments + b"\x81" + STOP
    yield "NEWOBJ_EX", b"\x80\x04" + named("os system") + text("touch canary") + b"\x85}\x92" + STOP
    yield "name is no text", b"\x80\x04K\x01K\x02\x93" + STOP
    yield "name with a line feed", HEAD + b"cos\x00\nsystem\n" + STOP
    yield "very long name", HEAD + b"c" + b"a" * 100_000 + b"\n" + b"b" * 100_000 + b"\n" + STOP


def old_instructions() -> Iterator[tuple[str, bytes]]:
    """What protocols 0 and 1 had, and registries that this pack does not use."""
    yield "INST", b"(" + text("touch canary") + b"ios\nsystem\n."
    yield "INST in protocol 2", HEAD + b"(" + text("touch canary") + b"ios\nsystem\n."
    yield "OBJ", HEAD + b"(" + named("os system") + text("touch canary") + b"o."
    for code, size in ((b"\x82", 1), (b"\x83", 2), (b"\x84", 4)):
        yield f"EXT{size}", HEAD + code + b"\x01".ljust(size, b"\x00") + STOP
    yield "PERSID", HEAD + b"Pmodule\n."
    yield "NEXT_BUFFER", b"\x80\x05\x97."
    yield "READONLY_BUFFER", b"\x80\x05K\x01\x98."
    yield "LIST", HEAD + b"(K\x01l."
    yield "DICT", HEAD + b"(" + text("a") + b"K\x01d."
    yield "DUP", HEAD + b"]2a."
    yield "protocol 0", pickle.dumps({"motion": [1]}, 0)
    yield "protocol 1", pickle.dumps({"motion": [1]}, 1)
    yield "protocol 255", b"\x80\xffN."
    for code in (b"\x00", b"\xff", b"\x99", b"z"):
        yield f"unknown instruction {code[0]}", HEAD + code * 3 + STOP


def text_numbers() -> Iterator[tuple[str, bytes]]:
    """Numbers written as texts."""
    for name, line in {
        "hexadecimal": b"I0x41",
        "NaN": b"Fnan",
        "huge float": b"F1e999999999",
        "infinity": b"Finf",
        "blank": b"I ",
        "million digits": b"I" + b"9" * 1_000_000,
        "million digits long": b"L" + b"9" * 1_000_000 + b"L",
        "float of a million digits": b"F" + b"9" * 1_000_000,
        "underscore": b"I1_0",
        "no end": b"I1",
        "put": b"Np99999999",
        "get": b"g99999999",
        "string": b"S'a",
        "unicode": b"V\\ud800",
    }.items():
        yield name, HEAD + line + b"\n" + STOP


def integers() -> Iterator[tuple[str, bytes]]:
    """Integers that are long, or claim to be."""
    for name, value in {"2000 bits": long(1 << 2000), "a million bytes": long(1 << 7_999_000)}.items():
        yield name, HEAD + value + STOP
        yield f"{name} in a list", HEAD + b"](" + value * 3 + b"e" + STOP
    yield "LONG4 of a negative length", HEAD + b"\x8b" + struct.pack("<i", -5) + STOP
    yield "LONG4 of 2 GB", HEAD + b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1" + STOP
    yield "LONG1 cut", HEAD + b"\x8a\xff\x01" + STOP


def claimed_sizes() -> Iterator[tuple[str, bytes]]:
    """Texts and bytes that claim far more than the file."""
    for name, code, form in (
        ("BINUNICODE", b"X", "<I"),
        ("BINBYTES", b"B", "<I"),
        ("BINSTRING", b"T", "<I"),
        ("BINUNICODE8", b"\x8d", "<Q"),
        ("BINBYTES8", b"\x8e", "<Q"),
        ("BYTEARRAY8", b"\x96", "<Q"),
        ("FRAME", b"\x95", "<Q"),
    ):
        for size in (1000, 2**31 - 1, 2**32 - 1) if form == "<I" else (1000, 2**40, 2**63 - 1, 2**64 - 1):
            yield f"{name} of {size}", b"\x80\x05" + code + struct.pack(form, size) + b"abc" + STOP


def memo() -> Iterator[tuple[str, bytes]]:
    """Places in the memo that are far away, or empty."""
    for place in (50_000_000, 2**32 - 1):
        yield f"place {place}", HEAD + b"N" + put(place) + STOP
    yield (
        "a hundred thousand places",
        HEAD + b"N" + b"".join(put(2**31 + i * 977) for i in range(100_000)) + STOP,
    )
    yield "MEMOIZE all the way", b"\x80\x04N" + b"\x94" * 200_000 + STOP
    yield "never put", HEAD + b"h\x07" + STOP
    yield "never put, far away", HEAD + got(2**32 - 1) + STOP
    yield "put of nothing", HEAD + b"q\x00" + STOP


def nesting() -> Iterator[tuple[str, bytes]]:
    """Deep lists, tuples, dicts and marks."""
    for depth in (101, 5_000, 40_000):
        yield f"{depth} lists", HEAD + b"]" * depth + b"a" * (depth - 1) + STOP
        yield f"{depth} tuples", HEAD + b")" + b"\x85" * depth + STOP
        yield f"{depth} dicts", HEAD + b"}" + (text("a") + b"}") * depth + b"s" * depth + STOP
        yield f"{depth} marks", HEAD + b"(" * depth + b"t" * depth + STOP
        yield f"{depth} open marks", HEAD + b"(" * depth + b"N" + STOP
        yield f"{depth} tuples as a key", HEAD + b"})" + b"\x85" * depth + b"Ns" + STOP
    yield "foreign all the way", HEAD + named("foreign Thing") + b")R" * 50_000 + STOP


def shared_parts() -> Iterator[tuple[str, bytes]]:
    """Few bytes that describe very much, by using the same part again and again."""
    for name, start, end in (("lists", b"](", b"e"), ("tuples", b"(", b"t")):
        for width, levels in ((10, 9), (2, 60), (200, 4)):
            data = HEAD + start + b"K\x01" * width + end
            for level in range(levels):
                data += put(level) + b"0" + start + got(level) * width + end
            yield f"{name}, {width} to the {levels}", data + STOP
    big = raw(bytes(1_000_000))
    yield "one megabyte a thousand times", HEAD + big + b"q\x000](" + b"h\x00" * 1000 + b"e" + STOP
    yield (
        "one long text a thousand times",
        HEAD + text("9" * 1_000_000) + b"q\x000](" + b"h\x00" * 1000 + b"e" + STOP,
    )
    calls = named("_codecs encode") + b"q\x010" + text("9" * 500_000) + text("latin1") + b"\x86q\x020]("
    yield "bytes made of one text", HEAD + calls + b"h\x01h\x02R" * 2000 + b"e" + STOP
    pairs = b"](" + b"".join(text(f"{i}") + b"N\x86" for i in range(3000)) + b"e"
    calls = named("collections OrderedDict") + b"q\x010" + pairs + b"\x85q\x020]("
    yield "dicts made of one list", HEAD + calls + b"h\x01h\x02R" * 3000 + b"e" + STOP
    whole = array(dtype("f8"), b"M\x60\xea\x85", raw(bytes(480_000)))
    frame = b"}" + text("exp") + whole + b"s"
    yield (
        "one frame a hundred thousand times",
        HEAD + b"}" + text("motion") + frame + b"q\x000](" + b"h\x00" * 100_000 + b"es" + STOP,
    )


def loops() -> Iterator[tuple[str, bytes]]:
    """Containers that contain themselves."""
    yield "list", HEAD + b"]q\x00h\x00a" + STOP
    yield "dict", HEAD + b"}q\x00" + text("motion") + b"h\x00s" + STOP
    yield "tuple in a list in it", HEAD + b"]q\x00h\x00\x85a" + STOP
    yield "two lists", HEAD + b"]q\x00]q\x01h\x00ah\x01a" + STOP
    yield "motion in motion", HEAD + b"}q\x00" + text("motion") + b"]q\x01h\x00ah\x01as" + STOP


def broken_instructions() -> Iterator[tuple[str, bytes]]:
    """Instructions that do not belong together."""
    for name, body in {
        "nothing": b"",
        "pop of nothing": b"0",
        "pair of nothing": b"\x86",
        "mark that is not there": b"t",
        "odd entries": b"}(NNNu",
        "append to a dict": b"}Na",
        "entries of a list": b"](NNu",
        "entries of a number": b"K\x01" + text("a") + b"Ns",
        "append to a text": text("a") + b"Na",
        "state of a list": b"]}b",
        "state of a number": b"K\x01}b",
        "state of nothing": b"}b",
        "call of a text": text("os.system") + text("touch canary") + b"\x85R",
        "call of a number": b"K\x01)R",
        "call of a list": b"])R",
        "call of None": b"N)R",
        "call with a list": named("collections OrderedDict") + b"]R",
        "call with too much": named("numpy dtype") + b"(" + b"N" * 50 + b"tR",
        "call of nothing": b")R",
        "call of a call": named("collections OrderedDict") + b")R)R",
        "set of lists": b"\x8f(]]\x90",
        "frozen set": b"(]]\x91",
        "call with itself": named("torch._tensor _rebuild_from_type_v2") + b"q\x00(h\x00N(h\x00N)NtNtR",
        "called with a number": named("collections OrderedDict") + b"K\x05\x85R",
    }.items():
        yield name, HEAD + body + STOP
    yield "no end", HEAD + b"N"
    yield "only the protocol", HEAD


def keys() -> Iterator[tuple[str, bytes]]:
    """Keys that are slow, long or no texts."""
    prime = 2**61 - 1
    yield (
        "numbers of one hash",
        HEAD + b"}(" + b"".join(long(i * prime) + b"N" for i in range(1, 20_000)) + b"u" + STOP,
    )
    yield "list", HEAD + b"}]Ns" + STOP
    yield "number", HEAD + b"}K\x05K\x06s" + STOP
    yield "a megabyte", HEAD + b"}" + text("k" * 1_000_000) + b"Ns" + STOP
    yield "tuple of lists", HEAD + b"}]\x85Ns" + STOP


def wrong_texts() -> Iterator[tuple[str, bytes]]:
    """Texts that are no UTF-8."""
    for name, data in {
        "high bytes": b"\xff\xfe\xfd",
        "surrogate": b"\xed\xa0\x80",
        "cut": b"\xe2\x82",
        "overlong": b"\xc0\xaf",
    }.items():
        yield name, HEAD + b"X" + struct.pack("<I", len(data)) + data + STOP
        yield f"{name} as a key", HEAD + b"}X" + struct.pack("<I", len(data)) + data + b"Ns" + STOP
        yield f"{name}, Python 2", HEAD + b"U" + bytes([len(data)]) + data + STOP
    yield "name", HEAD + b"c\xff\xfe\nsystem\n" + STOP


FOR_BOTH = {
    "BUILD on callables": changed_callables,
    "asks for programs": programs,
    "instructions of old or unknown editions": old_instructions,
    "numbers as texts": text_numbers,
    "huge integers": integers,
    "claimed sizes": claimed_sizes,
    "memo bombs": memo,
    "nesting bombs": nesting,
    "shared parts": shared_parts,
    "contains itself": loops,
    "broken instructions": broken_instructions,
    "keys": keys,
    "wrong texts": wrong_texts,
}
