"""Headers and JSON that nobody should trust; as (file name, bytes)."""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any

import torch
from safetensors.torch import save

FRAMES = 3
MOTION = {
    "expression": torch.zeros(FRAMES, 21, 3),
    "pose": torch.zeros(FRAMES, 3),
    "translation": torch.zeros(FRAMES, 3),
    "scale": torch.ones(FRAMES),
    "controls": torch.zeros(FRAMES, 12),
    "valid": torch.ones(FRAMES, dtype=torch.bool),
    "reference.expression": torch.zeros(21, 3),
    "reference.pose": torch.zeros(3),
    "reference.translation": torch.zeros(3),
    "reference.controls": torch.zeros(12),
}
FACTS = {
    "version": 1,
    "fps": "25",
    "absolute": ["lips"],
    "source": {"producer": "test"},
    "reference_scale": 1.0,
}
DEEP = "[" * 100_000 + "]" * 100_000
NUMBERS = (
    "1e999999999",
    "1e3000000",
    "-1e3000000",
    "1e-999999999",
    "9" * 5000,
    "9" * 500_000,
    "1" + "0" * 400,
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "0." + "0" * 100_000 + "1",
    "true",
    "null",
    '"x"',
    "[]",
    "{}",
    DEEP,
)


def motion(
    header: str | None = None,
    tensors: dict[str, torch.Tensor] = MOTION,
    form: str = "talking-portrait-face-motion",
) -> bytes:
    """A motion file with a header of one's own."""
    return save(tensors, {"format": form, "motion": json.dumps(FACTS) if header is None else header})


def with_fact(name: str, value: str) -> str:
    """The facts with one value written as it is."""
    return json.dumps({**FACTS, name: "HERE"}).replace('"HERE"', value)


def motion_headers() -> Iterator[tuple[str, bytes]]:
    """Motions whose facts are something else."""
    rates = (
        "1e999999999",
        "1e3000000",
        "9" * 5000,
        "1/0",
        "0",
        "0/5",
        "-5",
        "nan",
        "inf",
        "1/3/4",
        "0x10",
        "\uff11\uff12",
        "1e-400",
        "1_0",
        " 25",
        "25 ",
        "",
        "/",
        "1/",
        "/1",
        "1.5/2",
        "1e5",
        "1001",
        "0.0009",
        "1/" + "9" * 61,
        "25\n",
        "+25",
    )
    for number, rate in enumerate(rates):
        yield f"fps text {number}.safetensors", motion(with_fact("fps", json.dumps(rate)))
    for name in FACTS:
        for number, value in enumerate(NUMBERS):
            yield f"{name} {number}.safetensors", motion(with_fact(name, value))
    for number, value in enumerate(("[[]]", "[{}]", '["nose"]', '["lips", 3]', "[null]", '"lips"')):
        yield f"absolute list {number}.safetensors", motion(with_fact("absolute", value))
    for name, header in {
        "empty": "",
        "text": "hello",
        "list": "[]",
        "number": "5",
        "deep": DEEP,
        "two megabytes": '{"version": 1, "x": "' + "y" * 2_000_000 + '"}',
        "nothing": "{}",
        "version 2": json.dumps({**FACTS, "version": 2}),
        "deep source": with_fact("source", '{"a":' * 90 + "1" + "}" * 90),
        "no end": json.dumps(FACTS)[:-1],
        "twice": '{"version": 1, "version": "x"}',
    }.items():
        yield f"header {name}.safetensors", motion(header)
    yield "no header.safetensors", save(MOTION, {"format": "talking-portrait-face-motion"})
    yield "no format.safetensors", save(MOTION)
    yield "other format.safetensors", motion(form="x")


def motion_tensors() -> Iterator[tuple[str, bytes]]:
    """Motions whose tensors do not belong together."""
    for name, value in MOTION.items():
        for what, changed in {
            "missing": None,
            "double": value.double(),
            "whole": value.to(torch.int8),
            "half": value.half(),
            "other shape": value[None],
            "empty": torch.zeros(0),
            "no frames": value[:0],
            "NaN": torch.full(value.shape, torch.nan),
            "long": torch.cat([value, value]),
        }.items():
            tensors = {**MOTION, name: changed}
            yield (
                f"{name} {what}.safetensors",
                motion(tensors={key: tensor for key, tensor in tensors.items() if tensor is not None}),
            )
    yield "name of a megabyte.safetensors", motion(tensors={**MOTION, "x" * 1_000_000: torch.zeros(1)})
    yield "much more.safetensors", motion(tensors={**MOTION, "more": torch.zeros(1_000_000)})


def headed(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def safetensors_headers() -> Iterator[tuple[str, bytes]]:
    """Headers of safetensors that do not fit their file; as a motion and as weights."""

    def tensor(dtype: Any = "F32", shape: Any = (1,), places: Any = (0, 4)) -> dict[str, Any]:
        return {"dtype": dtype, "shape": shape, "data_offsets": places}

    four, good = bytes(4), tensor()
    cases = {
        "overlap": headed({"a": good, "b": good}, four),
        "gap": headed({"a": tensor(places=(4, 8))}, bytes(8)),
        "left over": headed({"a": good}, bytes(9)),
        "beyond the end": headed({"a": tensor(places=(0, 400), shape=(100,))}, four),
        "backwards": headed({"a": tensor(places=(4, 0))}, four),
        "unknown type": headed({"a": tensor("F31")}, four),
        "type a list": headed({"a": tensor([])}, four),
        "negative size": headed({"a": tensor(shape=(-1,))}, four),
        "huge size": headed({"a": tensor(shape=(2**62, 2**62))}, four),
        "size that wraps": headed({"a": tensor(shape=(2**32, 2**32), places=(0, 0))}),
        "empty but huge": headed({"a": tensor(shape=(0, 2**50), places=(0, 0))}),
        "a float size": headed({"a": tensor(shape=(1.5,))}, four),
        "no places": headed({"a": {"dtype": "F32", "shape": [1]}}, four),
        "three places": headed({"a": tensor(places=(0, 2, 4))}, four),
        "huge places": headed({"a": tensor(places=(0, 2**64 - 1))}, four),
        "facts are numbers": headed({"__metadata__": {"a": 1}, "a": good}, four),
        "facts are a list": headed({"__metadata__": [], "a": good}, four),
        "a list": headed([]),
        "a number": headed(5),
        "no JSON": headed(b"{hello"),
        "deep": headed(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
        "deep lists": headed(b"[" * 100_000),
        "no UTF-8": headed(b'{"\xff": 1}'),
        "length 0": headed({}, length=0),
        "length too long": headed({}, length=10**6),
        "length 2^63": headed({}, length=2**63),
        "length 2^64": headed({}, length=2**64 - 1),
        "length too short": headed({"a": good}, four, length=5),
        "only a length": struct.pack("<Q", 0),
        "seven bytes": bytes(7),
        "zeros": bytes(100),
        "twice": headed(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            four,
        ),
        "bits": headed({"a": tensor("F4", (3,), (0, 2))}, bytes(2)),
        "complex": headed({"a": tensor("C64", (1,), (0, 8))}, bytes(8)),
        "many empty": headed({f"a{i}": tensor(shape=(0,), places=(0, 0)) for i in range(20_000)}),
        "a long name": headed({"n" * 100_000: good}, four),
    }
    for name, data in cases.items():
        yield f"{name}.safetensors", data
        yield f"{name}.sft", data


def preset(**change: str) -> bytes:
    """An emotion's file with some values written as they are."""
    entries = {
        "format": '"talking-portrait emotion"',
        "version": "1",
        "name": '"mood"',
        "licence": '"CC0"',
        "about": '"x"',
        "controls": "{}",
        "pose_degrees": "[0, 0, 0]",
        **change,
    }
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in entries.items()) + "}").encode()


def presets() -> Iterator[tuple[str, bytes]]:
    """Emotions whose numbers are none."""
    for field in ("format", "version", "name", "licence", "controls", "pose_degrees", "keypoints"):
        for number, value in enumerate(NUMBERS):
            yield f"{field} {number}/mood.json", preset(**{field: value})
    for number, value in enumerate(NUMBERS):
        yield f"jaw {number}/mood.json", preset(controls=f'{{"jawOpen": {value}}}')
        yield f"pitch {number}/mood.json", preset(pose_degrees=f"[{value}, 0, 0]")
        yield f"offset {number}/mood.json", preset(keypoints=f'[[0, "x", {value}]]')
        yield f"keypoint {number}/mood.json", preset(keypoints=f'[[{value}, "x", 0]]')
    for name, data in {
        "another name": preset(name='"../../canary"'),
        "another entry": preset(**{"k" * 3000: "1"}),
        "a list": b"[1]",
        "nothing": b"",
        "blank": b" ",
        "no UTF-8": b'{"name": "\xff"}',
        "UTF-16": preset().decode().encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + preset(),
        "large": preset() + b" " * 200_000,
        "deep": DEEP.encode()[:90_000],
        "a control": preset(controls='{"wings": 1}'),
        "a page": b"<html>404</html>",
        "zeros": bytes(100),
        "far keypoint": preset(keypoints='[[21, "x", 0]]'),
        "an axis": preset(keypoints='[[0, "w", 0]]'),
        "axis a list": preset(keypoints="[[0, [], 0]]"),
        "short keypoint": preset(keypoints="[[0]]"),
    }.items():
        yield f"{name}/mood.json", data


def templates() -> Iterator[tuple[str, bytes]]:
    """JoyVASA's motion template as JSON whose numbers are none."""
    head = {"t": 3, "scale": 1, "pitch": 1, "yaw": 1, "roll": 1}
    sizes = {"mean_exp": 63, "std_exp": 63} | {
        f"{kind}_{name}": size for name, size in head.items() for kind in ("min", "max")
    }
    good = {name: [1.0] * size for name, size in sizes.items()}
    for number, value in enumerate(NUMBERS):
        yield f"value {number}.json", json.dumps({**good, "min_t": "HERE"}).replace('"HERE"', value).encode()
        yield (
            f"number {number}.json",
            json.dumps({**good, "min_t": ["HERE", 1, 1]}).replace('"HERE"', value).encode(),
        )
    for name, data in {
        "a list": b"[]",
        "nothing": b"",
        "deep": DEEP.encode(),
        "two megabytes": json.dumps(good).encode() + b" " * 2_000_000,
        "a page": b"<html>",
        "ragged": json.dumps({**good, "min_t": [[1, 2], [3]]}).encode(),
        "texts": json.dumps({**good, "min_t": ["1", "2", "x"]}).encode(),
        "crossed": json.dumps({**good, "max_t": [0, 0, 0]}).encode(),
        "negative": json.dumps({**good, "std_exp": [-1.0] * 63}).encode(),
        "no UTF-8": b'{"\xff": 1}',
        "deeper than arrays go": json.dumps(
            {**good, "min_t": json.loads("[" * 80 + "1" + "]" * 80)}
        ).encode(),
    }.items():
        yield f"{name}.json", data


HEADERS: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "motion headers": motion_headers,
    "motion tensors": motion_tensors,
    "safetensors headers": safetensors_headers,
    "emotion presets": presets,
    "JSON templates": templates,
}
