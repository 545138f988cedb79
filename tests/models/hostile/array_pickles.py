"""Pickles of numpy arrays that are none, as (name, bytes)."""

from collections.abc import Iterator

from .pickle_pieces import HEAD, STOP, array, dtype, long, named, raw, text


def kinds_of_numbers() -> Iterator[tuple[str, bytes]]:
    """numpy dtypes that are no plain numbers, and states that change what a dtype means."""
    plain = raw(b"A" * 8)
    for code in (
        "O",
        "O8",
        "V8",
        "M8",
        "m8",
        "U2",
        "S8",
        "c16",
        "f16",
        "b8",
        "i3",
        "f8,f8",
        "",
        "float64",
        "|O",
        ">f8",
        "f4\x00",
        "(9999,9999)f8",
    ):
        yield f"kind {code!r}", HEAD + array(dtype(code), b"K\x01\x85", plain) + STOP
        yield (
            f"scalar {code!r}",
            HEAD + named("numpy.core.multiarray scalar") + dtype(code) + plain + b"\x86R" + STOP,
        )
    objects = dtype("O8", b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?t")
    field = text("a") + b"\x85}" + text("a") + objects + b"K\x00\x86s"
    struct_state = b"(K\x03" + text("|") + b"N" + field + b"K\x08K\x01K\x00t"
    yield "fields with objects", HEAD + array(dtype("V8", struct_state), b"K\x01\x85", plain) + STOP
    yield "fields on f8", HEAD + array(dtype("f8", struct_state), b"K\x01\x85", plain) + STOP
    for name, state in {
        "number": b"K\x05",
        "empty": b")",
        "list": b"]",
        "order x": b"(K\x03" + text("x") + b"NNNNNK\x00t",
        "order None": b"(K\x03NNNNNNK\x00t",
        "order a list": b"(K\x03]NNNNNK\x00t",
        "itself": dtype("f8"),
    }.items():
        yield f"state {name}", HEAD + array(dtype("f8", state), b"K\x01\x85", plain) + STOP
    yield "dtype of a list", HEAD + named("numpy dtype") + b"]\x85R" + STOP
    yield "dtype of a dict", HEAD + named("numpy dtype") + b"}\x85R" + STOP
    yield "dtype changed twice", HEAD + array(dtype("f8") + b"Nb", b"K\x01\x85", plain) + STOP
    yield (
        "subarray state",
        HEAD
        + array(
            dtype("V8", b"(K\x04" + text("|") + dtype("f8") + b"K\x01\x85\x86NNK\x08K\x01K\x00}t"),
            b"K\x01\x85",
            plain,
        )
        + STOP,
    )


def arrays() -> Iterator[tuple[str, bytes]]:
    """Arrays whose numbers do not fit their shapes."""
    kind, plain = dtype("f8"), raw(b"A" * 8)
    huge = long(1 << 62)
    for name, shape in {
        "too large": b"K\x05\x85",
        "too small": b"K\x00\x85",
        "negative": b"J\xff\xff\xff\xff\x85",
        "two negatives": b"J\xff\xff\xff\xffq\x10h\x10\x86",
        "huge": huge + b"\x85",
        "huge times nothing": huge + b"K\x00\x86",
        "huge squared": huge + huge + b"\x86",
        "a list": b"](K\x01e",
        "a number": b"K\x01",
        "None": b"N",
        "of a float": b"G\x3f\xf0\x00\x00\x00\x00\x00\x00\x85",
        "of True": b"\x88\x85",
        "of a text": text("1") + b"\x85",
        "33 dimensions": b"(" + b"K\x01" * 33 + b"t",
        "a thousand dimensions": b"(" + b"K\x01" * 1000 + b"t",
    }.items():
        yield f"shape {name}", HEAD + array(kind, shape, plain) + STOP
        yield (
            f"buffer of shape {name}",
            HEAD
            + named("numpy.core.numeric _frombuffer")
            + b"("
            + plain
            + kind
            + shape
            + text("C")
            + b"tR"
            + STOP,
        )
    for name, data in {
        "text": text("A" * 8),
        "list": b"](Ne",
        "None": b"N",
        "cut": raw(b"A" * 7),
        "number": b"K\x05",
    }.items():
        yield f"numbers {name}", HEAD + array(kind, b"K\x01\x85", data) + STOP
    shell = (
        named("numpy.core.multiarray _reconstruct")
        + named("numpy ndarray")
        + b"K\x00\x85"
        + raw(b"b")
        + b"\x87R"
    )
    yield "never filled", HEAD + shell + STOP
    yield "never filled, in a list", HEAD + b"]" + shell + b"a" + STOP
    yield "filled after it was shared", HEAD + shell + b"q\x09h\x09\x86" + STOP
    yield "filled twice", HEAD + array(kind, b"K\x01\x85", plain) + b"Nb" + STOP
    yield "a kind that is a text", HEAD + array(text("f8"), b"K\x01\x85", plain) + STOP
    yield "the kind itself", HEAD + kind + STOP
    yield "a function itself", HEAD + named("numpy dtype") + STOP
    yield (
        "bytes in another encoding",
        HEAD + named("_codecs encode") + text("a") + text("rot13") + b"\x86R" + STOP,
    )
    yield (
        "bytes beyond latin1",
        HEAD + named("_codecs encode") + text("\u20ac") + text("latin1") + b"\x86R" + STOP,
    )


FOR_ARRAYS = {"dtype states": kinds_of_numbers, "array shapes": arrays}
