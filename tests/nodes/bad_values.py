"""Wrong values for every type of input, by kind; each must be refused in words.

`odd` values may be right: the node then runs and gives finite numbers, or says in words why not.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

NAN, INF = float("nan"), float("inf")
TEXTS = [
    "",
    "\0",
    "a" * 200_000,
    "1:nan",
    "0:0, 0:1",
    "0:inf",
    "::::",
    "-1:0",
    "\ud800",
    "..",
    "../../../../etc/passwd",
    "happy -1",
    "%s%n",
]
OBJECTS: dict[str, Any] = {
    "nothing": None,
    "a text": "text",
    "a number": 5,
    "an object": object(),
    "a mapping": {},
    "a list": [],
}


def bad(entry: Any, good: Any) -> Iterator[tuple[str, Any]]:
    """(kind, value) that no node may take for this input."""
    kind = entry.io_type
    if kind in ("FLOAT", "INT"):
        yield from bad_numbers(entry)
    elif kind == "BOOLEAN":
        yield from {"nothing": None, "a text": "true", "2": 2, "NaN": NAN, "a list": []}.items()
    elif kind == "STRING":
        yield from {
            "nothing": None,
            "a number": 5,
            "bytes": b"x",
            "a list": [],
            "a zero byte": "a\0b",
            "a long text": "a" * 200_000,
        }.items()
    elif kind == "COMBO":
        yield from {
            "not in the menu": "nonsense",
            "nothing": None,
            "a number": 3.5,
            "a list": [],
            "an empty text": "",
            "NaN": NAN,
        }.items()
    elif kind == "COMFY_DYNAMICCOMBO_V3":
        yield from bad_choices(entry)
    elif kind in SPOILED:
        for name, value in OBJECTS.items():
            if not (value is None and entry.optional) and not (kind == "BOUNDING_BOX" and value == []):
                yield name, value
        if good is not None:
            yield from SPOILED[kind](good)
    else:
        for name, value in OBJECTS.items():
            if not (value is None and entry.optional) and not (
                kind == "FACE_DETECTION_MODEL" and value is not None
            ):
                yield name, value


def bad_choices(entry: Any) -> Iterator[tuple[str, Any]]:
    """What is no choice of a menu, what a choice does not read, and what is wrong with what it reads."""
    yield from {
        "not in the menu": "nonsense",
        "nothing": None,
        "a number": 3.5,
        "a list": [],
        "NaN": NAN,
    }.items()
    first = {entry.id: entry.options[0].key}
    yield from {
        "no choice": {},
        "a choice of nothing": {entry.id: None},
        "a choice of a list": {entry.id: []},
    }.items()
    yield "an input that nobody has", first | {"nonsense": 1}
    for option in entry.options:
        foreign = {own.id for other in entry.options for own in other.inputs} - {
            own.id for own in option.inputs
        }
        for name in sorted(foreign):
            yield f"{option.key} with {name}", {entry.id: option.key, name: 1}
        for own in option.inputs:
            for name, value in bad(own, None):
                if value is not None:  # which means not set
                    yield f"{option.key}, {own.id} {name}", {entry.id: option.key, own.id: value}


def bad_numbers(entry: Any) -> Iterator[tuple[str, Any]]:
    """What is no number, or out of the input's range."""
    yield from {
        "NaN": NAN,
        "infinite": INF,
        "negative infinite": -INF,
        "nothing": None,
        "a text": "1.0",
        "true": True,
        "a list": [1],
        "a tensor": torch.ones(2),
        "a complex number": 1j,
        "NumPy's NaN": np.float32(NAN),
        "a mapping": {},
    }.items()
    if entry.max is not None:
        yield from {"above": entry.max + abs(entry.max) + 1, "far above": 10**400, "1e308": 1e308}.items()
    if entry.min is not None:
        yield from {"below": entry.min - 1, "far below": -(10**400)}.items()
    if entry.io_type == "INT":
        yield "a fraction", (entry.min or 0) + 0.5


def bad_audio(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    wave = good["waveform"]
    waves = {
        "2 clips": wave.expand(2, -1, -1),
        "0 clips": wave[:0],
        "0 channels": wave[:, :0],
        "no channels": wave[0],
        "NaN": wave * NAN,
        "infinite": wave + INF,
        "whole numbers": (wave * 100).to(torch.int16),
        "an array": wave.numpy(),
        "no wave": None,
        "one NaN": torch.cat([wave, torch.full((1, 1, 1), NAN)], 2),
        "complex": wave.to(torch.complex64),
        "4 dimensions": wave[None],
    }
    yield from ((name, {**good, "waveform": value}) for name, value in waves.items())
    for name, rate in {
        "rate 0": 0,
        "rate -1": -1,
        "rate NaN": NAN,
        "rate 1e12": 10**12,
        "rate text": "16000",
        "rate None": None,
    }.items():
        yield name, {**good, "sample_rate": rate}
    yield "no rate", {"waveform": wave}


def bad_image(good: torch.Tensor) -> Iterator[tuple[str, Any]]:
    yield from {
        "NaN": good * NAN,
        "infinite": good + INF,
        "bytes": (good * 255).to(torch.uint8),
        "0 to 255": good * 255,
        "negative": good - 5,
        "no batch": good[0],
        "2 channels": good[..., :2],
        "5 channels": torch.zeros(1, 8, 8, 5),
        "no width": good[:, :, :0],
        "an array": good.numpy(),
        "a dimension more": good[None],
        "0 pictures": good[:0],
        "channels first": good.movedim(-1, 1),
        "one NaN": torch.where(
            torch.arange(good.shape[2])[None, None, :, None] == 3, torch.tensor(NAN), good
        ),
    }.items()


def bad_mask(good: torch.Tensor) -> Iterator[tuple[str, Any]]:
    yield from {
        "NaN": good * NAN,
        "infinite": good + INF,
        "0 to 255": good * 255,
        "negative": good - 2,
        "2 masks": good.expand(2, -1, -1),
        "0 masks": good[:0],
        "whole numbers": good.long(),
        "an array": good.numpy(),
        "a picture": good[..., None].expand(-1, -1, -1, 3),
        "one row": good[0, 0],
        "black": good * 0,
    }.items()


def bad_landmarks(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, size in {
        "size None": None,
        "size 0": (0, 0),
        "size text": ("a", "b"),
        "size NaN": (NAN, NAN),
        "one side": (5,),
    }.items():
        yield name, {**good, "image_size": size}
    for name, frames in {
        "frames None": None,
        "no list": 5,
        "frames of numbers": [5],
        "no frames": [],
        "faces of text": [["a"]],
    }.items():
        yield name, {**good, "frames": frames}
    yield "no faces", {**good, "frames": [[]]}
    for key, value in {
        "landmarks_xy": NAN,
        "bbox_xyxy": NAN,
        "landmarks_3d": INF,
    }.items():
        spoiled = copy.deepcopy(good["frames"])
        spoiled[0][0][key] = np.asarray(spoiled[0][0][key]) * value
        yield f"{key} {value}", {**good, "frames": spoiled}
    for key in ("landmarks_xy", "bbox_xyxy", "landmarks_3d"):
        spoiled = copy.deepcopy(good["frames"])
        spoiled[0][0][key] = np.asarray(spoiled[0][0][key])[:3]
        yield f"{key} cut", {**good, "frames": spoiled}
        spoiled = copy.deepcopy(good["frames"])
        del spoiled[0][0][key]
        yield f"no {key}", {**good, "frames": spoiled}


def bad_box(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for side in ("x", "width"):
        for name, value in {
            "NaN": NAN,
            "infinite": INF,
            "a text": "5",
            "nothing": None,
            "huge": 1e300,
        }.items():
            yield f"{side} {name}", {**good, side: value}
    yield from {
        "no width": {**good, "width": 0},
        "negative height": {**good, "height": -5},
        "sides missing": {"x": 1, "y": 2},
        "2 boxes": [[good], [good]] * 2,
        "boxes of text": ["a"],
        "nowhere": {**good, "x": 50_000.0},
    }.items()


def bad_conditioning(good: list) -> Iterator[tuple[str, Any]]:
    yield from {
        "pairs cut": [[good[0][0]]],
        "no tensor": [["a", {}]],
        "no facts": [[good[0][0], None]],
        "NaN": [[good[0][0] * NAN, {}]],
        "a tensor": good[0][0],
    }.items()


def bad_latent(good: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    samples = good["samples"]
    yield from {
        "NaN": {"samples": samples * NAN},
        "16 channels": {"samples": samples.repeat(1, 4, 1, 1)},
        "5 dimensions": {"samples": samples[None]},
        "no samples": {"noise": samples},
        "no frames": {"samples": samples[:0]},
        "whole numbers": {"samples": samples.long()},
    }.items()


def bad_motion(good: Any) -> Iterator[tuple[str, Any]]:
    yield from {
        "a tensor": good.expression,
        "a class": type(good),
        "its fields": vars(good).copy() | {"expression": None},
        "no frame rate": {"controls": good.controls},
        "another name": {"fps": 25, "controls": {"jaw": [0.0]}},
        "NaN": {"fps": 25, "controls": {"jawOpen": [NAN]}},
        "a shape": {"fps": 25, "controls": good.controls, "pose": good.pose[1:]},
    }.items()


SPOILED = {
    "AUDIO": bad_audio,
    "IMAGE": bad_image,
    "MASK": bad_mask,
    "FACE_LANDMARKS": bad_landmarks,
    "BOUNDING_BOX": bad_box,
    "CONDITIONING": bad_conditioning,
    "LATENT": bad_latent,
    "FACE_MOTION": bad_motion,
}


def odd(entry: Any, good: Any) -> Iterator[tuple[str, Any]]:
    """(kind, value) that may be right: ends of ranges, and forms that other nodes make."""
    kind = entry.io_type
    if kind in ("FLOAT", "INT"):
        whole = int if kind == "INT" else float
        yield from (
            (name, whole(value))
            for name, value in {"lowest": entry.min, "highest": entry.max}.items()
            if value is not None
        )
    elif kind == "BOOLEAN":
        yield "the other", not good
    elif kind == "STRING":
        yield from ((f"text {text[:12]!r}", text) for text in TEXTS if "\0" not in text and len(text) < 1000)
    elif kind == "COMBO":
        yield from ((f"choice {choice}", choice) for choice in entry.options[:8] if choice != good)
    elif kind == "COMFY_DYNAMICCOMBO_V3":
        for option in entry.options:
            yield f"choice {option.key}", option.key
            yield (
                f"choice {option.key}, nothing set",
                {entry.id: option.key} | {own.id: None for own in option.inputs},
            )
            for own in option.inputs:
                for name, value in odd(own, None):
                    yield f"{option.key}, {own.id} {name}", {entry.id: option.key, own.id: value}
    elif kind == "AUDIO" and good is not None:
        wave = good["waveform"]
        yield from {
            "silence": {**good, "waveform": wave * 0},
            "1e9": {**good, "waveform": wave * 1e9},
            "0 samples": {**good, "waveform": wave[..., :0]},
            "1 sample": {**good, "waveform": wave[..., :1]},
            "stereo": {**good, "waveform": wave.expand(-1, 2, -1)},
            "44.1 kHz": {**good, "sample_rate": 44100},
            "double": {**good, "waveform": wave.double()},
            "6 channels": {**good, "waveform": wave.expand(-1, 6, -1)},
        }.items()
    elif kind == "IMAGE" and good is not None:
        alpha = torch.cat([good, good[..., :1]], -1)
        yield from {
            "alpha": alpha,
            "grey": good.mean(-1, keepdim=True),
            "2 pictures": good.expand(2, -1, -1, -1),
            "1 pixel": good[:, :1, :1],
            "half": good.half(),
            "a little bright": good * 1.2,
            "black": good * 0,
            "odd size": good[:, :251, :253],
        }.items()
    elif kind == "MASK" and good is not None:
        yield from {"another size": good[:, :100], "no batch": good[0], "grey": good / 2}.items()
    elif kind == "FACE_MOTION" and good is not None:
        from talking_portrait.models.face_motion.time import retime, slice_motion

        yield from {
            "0 frames": slice_motion(good, 0, 0),
            "1 frame": slice_motion(good, 0, 1),
            "30 fps": retime(good, type(good.fps)(30)),
            "plain arrays": {"fps": 25, "controls": good.controls.numpy(), "pose": good.pose.tolist()},
        }.items()
    elif kind == "FACE_LANDMARKS" and good is not None:
        yield "2 frames", {**good, "frames": good["frames"] * 2}
        yield "another size", {**good, "image_size": (100, 100)}
