"""Right files, and what becomes of them: cut, changed, under another name, with other values."""

import json
import pickle
import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from safetensors.torch import save

from .archives import saved, torch_stream, torch_zip
from .case import Case
from .headers import motion, preset
from .pickle_pieces import HEAD, STOP, named, text
from .sources import source
from .statistics_files import npz

CUTS, FLIPS = 9, 9


def frames(**change: object) -> dict[str, object]:
    """A LivePortrait template of two frames."""
    frame = {
        "exp": np.zeros((1, 21, 3), np.float32),
        "R": np.eye(3, dtype=np.float32)[None],
        "t": np.zeros((1, 3), np.float32),
        "scale": np.ones((1, 1), np.float32),
    }
    return {"n_frames": 2, "output_fps": 25, "motion": [frame, {**frame, **change}]}


def statistics() -> dict[str, np.ndarray]:
    """JoyVASA's motion template."""
    sizes = {"exp": 63, "t": 3, "scale": 1, "pitch": 1, "yaw": 1, "roll": 1}
    return {
        f"{kind}_{name}": np.ones(size, np.float32)
        for name, size in sizes.items()
        for kind in ("mean", "std", "min", "max")
    }


def template_values() -> Iterator[Case]:
    """Right pickles whose values are wrong."""
    bad = (
        10**400,
        -1,
        0,
        float("nan"),
        float("inf"),
        "25",
        "9" * 10_000,
        None,
        [],
        {},
        [[1]],
        b"25",
        True,
        np.float32("nan"),
        np.zeros(0),
        np.zeros(2),
        np.array([1e30]),
        1e-300,
        np.int8(-5),
        (1, (2, (3,))),
    )
    for number, value in enumerate(bad):
        yield Case(
            "template values", f"fps {number}.pkl", pickle.dumps({**frames(), "output_fps": value}), "motion"
        )
        for key in ("exp", "R", "t", "scale"):
            yield Case(
                "template values", f"{key} {number}.pkl", pickle.dumps(frames(**{key: value})), "motion"
            )
        yield Case(
            "template values", f"motion {number}.pkl", pickle.dumps({**frames(), "motion": value}), "motion"
        )
        yield Case(
            "template values", f"frame {number}.pkl", pickle.dumps({**frames(), "motion": [value]}), "motion"
        )
        for key in ("mean_exp", "min_scale"):
            yield Case(
                "template values",
                f"{key} {number}.pkl",
                pickle.dumps({**statistics(), key: value}),
                "template",
            )
        yield Case("template values", f"whole {number}.pkl", pickle.dumps(value), "template")


def right_files() -> dict[str, tuple[bytes, str]]:
    """One right file of every kind, with its reader."""
    weights = {"a": torch.arange(3.0), "b": torch.ones(20, 20), "epoch": 7}
    return {
        "zip.pth": (saved(weights), "weights"),
        "stream.pth": (saved(weights, False), "weights"),
        "weights.safetensors": (save({"a": torch.arange(3.0), "b": torch.ones(20, 20)}), "weights"),
        "motion.safetensors": (motion(), "motion"),
        "motion.pkl": (pickle.dumps(frames()), "motion"),
        "template.pkl": (pickle.dumps(statistics(), 2), "template"),
        "template.json": (
            json.dumps({key: value.tolist() for key, value in statistics().items()}).encode(),
            "template",
        ),
        "norm.npz": (npz(), "statistics"),
        "mood.json": (preset(), "preset"),
        "source.tar.gz": (source(("source/vendor/ComfyUI/main.py", b"print()" * 99, {})), "source"),
    }


def cut(data: bytes, number: int) -> bytes:
    """All but the end."""
    return data[: len(data) * number // CUTS]


def flipped(data: bytes, number: int) -> bytes:
    """A few bits changed."""
    chance, changed = random.Random(number), bytearray(data)
    for _ in range(1 + number % 4):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def broken(kind: str, how: Callable[[bytes, int], bytes]) -> Iterator[Case]:
    """Every right file, damaged in several places."""
    for name, (data, reader) in right_files().items():
        for number in range(CUTS if how is cut else FLIPS):
            yield Case(kind, f"{kind} {number}/{name}", how(data, number), reader)


def other_content() -> Iterator[Case]:
    """Files that are something else than their ending says, and endings that nobody expects."""
    evil = HEAD + named("os system") + text("touch canary") + b"\x85R" + STOP
    contents = {
        "evil pickle": evil,
        "evil zip": torch_zip(evil),
        "evil stream": torch_stream(evil, (), b""),
        "nothing": b"",
        "page": b"<html>404: Not Found</html>",
        "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "GGUF": b"GGUF" + bytes(100),
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "zeros": bytes(1000),
        "noise": random.Random(0).randbytes(1000),
        "text": "Fran\u00e7ois \u00e9tait l\u00e0".encode("latin1"),
        "one byte": b"\x80",
        "motion": motion(),
        "template": pickle.dumps(frames()),
        "statistics": npz(),
        "source": source(("source/a", b"x", {})),
        "program": b"#!/bin/sh\ntouch canary\n",
        "weights": save({"a": torch.arange(3.0)}),
        "zip": torch_zip(),
        "stream": torch_stream(),
    }
    endings = {
        "x.pth": "weights",
        "x.PTH": "weights",
        "x.ckpt": "weights",
        "x.bin": "weights",
        "x.sft": "weights",
        "x.SAFETENSORS": "weights",
        "x.pt": "tensors",
        "x": "weights",
        "x.pkl": "motion",
        "x.safetensors": "motion",
        "y.pkl": "template",
        "y.json": "template",
        "norm.npz": "statistics",
        "mood.json": "preset",
        "x.tar.gz": "source",
    }
    for content, data in contents.items():
        for name, reader in endings.items():
            kept = content in ("weights", "zip", "stream") and reader in ("weights", "tensors")
            yield Case("another file under this name", f"{content}/{name}", data, reader, kept)
