"""Every hostile file with the readers that may meet it."""

import struct
from collections.abc import Iterator

import torch
from safetensors.torch import save

from .archives import ARCHIVES, GOOD_TENSOR, saved, torch_stream, torch_zip
from .array_pickles import FOR_ARRAYS
from .case import Case
from .damaged import broken, cut, flipped, other_content, right_files, template_values
from .headers import HEADERS
from .pickle_pieces import HEAD, STOP, named, text
from .pickles import FOR_BOTH, programs
from .sources import SOURCES
from .statistics_files import STATISTICS_FILES
from .tensor_pickles import FOR_TENSORS

BY_ENDING = {
    "pth": ("weights",),
    "pt": ("tensors",),
    "pkl": ("motion", "template"),
    "npz": ("statistics",),
    "safetensors": ("motion",),
    "sft": ("weights",),
    "gz": ("source",),
}


KINDS = (
    "right files",
    *FOR_BOTH,
    *FOR_TENSORS,
    *FOR_ARRAYS,
    "programs beside weights",
    *ARCHIVES,
    *STATISTICS_FILES,
    *SOURCES,
    *HEADERS,
    "template values",
    "truncated",
    "bit-flipped",
    "another file under this name",
    "network sizes",
)


def all_cases() -> Iterator[Case]:
    """In the order of their kinds."""
    for name, (data, reader) in right_files().items():
        yield Case("right files", f"right/{name}", data, reader, kept=True)
    for kind, make in FOR_BOTH.items():
        for number, (_, data) in enumerate(make()):
            yield Case(kind, f"{number} zip.pth", torch_zip(data), "weights")
            yield Case(kind, f"{number} stream.pt", torch_stream(data, (), b""), "tensors")
            yield Case(kind, f"{number} arrays.pkl", data, BY_ENDING["pkl"][number % 2])
    for kind, make in FOR_TENSORS.items():
        for number, (_, data) in enumerate(make()):
            yield Case(kind, f"{number} zip.pth", torch_zip(data), "weights")
            yield Case(kind, f"{number} stream.pt", torch_stream(data), "tensors")
    for kind, make in FOR_ARRAYS.items():
        for number, (_, data) in enumerate(make()):
            yield from (Case(kind, f"{number} {reader}.pkl", data, reader) for reader in BY_ENDING["pkl"])
    yield from beside_weights()
    for kind, make in {**ARCHIVES, **STATISTICS_FILES, **SOURCES}.items():
        yield from (
            Case(kind, name, data, reader)
            for name, data in make()
            for reader in BY_ENDING[name.rpartition(".")[2]]
        )
    yield from headers()
    yield from template_values()
    yield from broken("truncated", cut)
    yield from broken("bit-flipped", flipped)
    yield from other_content()
    yield from network_sizes()


def beside_weights() -> Iterator[Case]:
    """A right tensor with programs beside it: they are skipped."""
    good = (
        text("a")
        + named("torch._utils _rebuild_tensor_v2")
        + b"("
        + GOOD_TENSOR
        + b"K\x00K\x03\x85K\x01\x85\x89}tRs"
    )
    for number, (name, data) in enumerate(programs()):
        if name.startswith(("GLOBAL", "STACK", "NEWOBJ ")):
            body = data[2:-1]  # without protocol and stop
            whole = (
                HEAD
                + b"}"
                + good
                + text("more")
                + body
                + b"s"
                + text("again")
                + body
                + b"}"
                + text("x")
                + b"Nsbs"
                + STOP
            )
            yield Case(
                "programs beside weights",
                f"{number}.pth",
                torch_zip(whole),
                "weights",
                kept=not unusual(data),
            )
            yield Case(
                "programs beside weights",
                f"{number}.pt",
                torch_stream(whole),
                "tensors",
                kept=not unusual(data),
            )


def unusual(data: bytes) -> bool:
    """Whether a pickle asks for what torch's own files may hold as well."""
    return b"OrderedDict" in data


def headers() -> Iterator[Case]:
    """Headers and JSON, each for its own reader."""
    readers = {
        "emotion presets": "preset",
        "JSON templates": "template",
        "motion headers": "motion",
        "motion tensors": "motion",
    }
    for kind, make in HEADERS.items():
        for name, data in make():
            for reader in (readers[kind],) if kind in readers else ("weights", "motion"):
                yield Case(kind, name, data, reader)


def network_sizes() -> Iterator[Case]:
    """Right weights whose sizes make a network that memory cannot hold."""
    for name, shapes in {
        "wide": ((100_000, 1), (1, 100_000)),
        "empty": ((60_000, 0), (0, 60_000)),
        "flat": ((5,), (5,)),
        "other": ((3, 3), (2, 2)),
        "none": ((), ()),
        "good": ((4, 3), (3, 5)),
    }.items():
        state = {"rows": torch.zeros(shapes[0]), "columns": torch.zeros(shapes[1])}
        yield Case("network sizes", f"{name}.safetensors", save(state), "network")
        yield Case("network sizes", f"{name}.pth", saved(state), "network")


def naive_cases() -> Iterator[Case]:
    """What harms Python's own pickle in a way that this process survives."""
    for kind, body in {
        "writes": named("os mkdir") + text("canary") + b"\x85R",
        "runs": named("os system") + text("exit 0") + b"\x85R",
        "changes": named("torch._utils _rebuild_tensor_v2")
        + b"N}"
        + text("__name__")
        + text("x")
        + b"s\x86b",
        "takes memory": b"Nr" + struct.pack("<I", 30_000_000),
        "gives internal words": named("os mkdir") + b"(tR",
    }.items():
        yield Case(kind, f"{kind}.pkl", HEAD + body + STOP, "naive")
