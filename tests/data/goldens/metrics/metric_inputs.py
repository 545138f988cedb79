"""Builds the inputs of the goldens of this folder from their specs. Kinds are described in README.md, "Inputs".

`triangles` is exact integer arithmetic and `normal`, `uniform`, `integers` are named fills; `wave`, `clicks`, `track`,
`edges` and `landmarks` use float64 functions and are rounded as written below.
"""

import os
import sys

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import fill  # noqa: E402


def _triangle(n):
    """Integer triangle wave: 255 at multiples of 510, 0 half way."""
    return np.abs(np.mod(n, 510) - 255)


def triangles(spec: dict) -> np.ndarray:
    """uint8 [T,H,W,C] smooth moving pattern, different per channel; exact."""
    t_, h_, w_, c_ = spec["shape"]
    t, y, x = (
        a.astype(np.int64) for a in np.meshgrid(np.arange(t_), np.arange(h_), np.arange(w_), indexing="ij")
    )
    planes = [
        (
            _triangle(x * spec["x"][c] + t * spec["xt"][c] + spec["phase"][c])
            + _triangle(y * spec["y"][c] + t * spec["yt"][c])
            + 2 * _triangle((x + y) * spec["d"][c] + t * spec["dt"][c])
        )
        // 4
        for c in range(c_)
    ]
    return np.stack(planes, -1).astype(np.uint8)


def wave(spec: dict) -> np.ndarray:
    """int16 [samples] frequency-modulated tone with syllable-like envelope."""
    n = np.arange(spec["samples"]) / spec["sample_rate"]
    voice = np.sin(2 * np.pi * spec["f0"] * n + spec["depth"] * np.sin(2 * np.pi * spec["fm"] * n))
    voice = voice + 0.3 * np.sin(2 * np.pi * spec["f1"] * n)
    envelope = 0.51 + 0.49 * np.sin(2 * np.pi * spec["syllables"] * n)
    return np.round(spec["amplitude"] * envelope * voice).astype(np.int16)


def clicks(spec: dict) -> np.ndarray:
    """float32 [samples]: decaying tone bursts at given beat times (s) over a quiet hum."""
    n = np.arange(spec["samples"]) / spec["sample_rate"]
    out = 0.01 * np.sin(2 * np.pi * 110.0 * n)
    for beat in spec["beats"]:
        lag = n - beat
        out += np.where(
            lag >= 0,
            spec["amplitude"]
            * np.exp(-np.clip(lag, 0, None) * spec["decay"])
            * np.sin(2 * np.pi * spec["tone"] * lag),
            0.0,
        )
    return out.astype(np.float32)


def track(spec: dict) -> np.ndarray:
    """float64 [frames, points, dims]: fixed random points that swing sinusoidally along a fixed random direction."""
    t_, p_, d_ = spec["shape"]
    base = fill.uniform(spec["name"] + "/base", (p_, d_), spec["salt"]).numpy().astype(np.float64)
    direction = fill.inputs(spec["name"] + "/direction", (p_, d_), spec["salt"]).numpy().astype(np.float64)
    n = np.arange(t_) / spec["fps"]
    swing = sum(
        a * np.sin(2 * np.pi * f * n + p) for a, f, p in zip(spec["a"], spec["f"], spec["p"], strict=True)
    )
    return base[None] + swing[:, None, None] * direction[None]


def edges(spec: dict) -> np.ndarray:
    """uint8 [H,W] grey picture of random rectangles, each of one level in [low, high), edges softened by a Gaussian
    of `blur_sigma` pixels."""
    h_, w_ = spec["shape"]
    rows, cols = spec["cells"]
    low, high = spec["levels"]
    levels = low + np.floor(
        (high - low) * fill.uniform(spec["name"], (h_ // rows + 1, w_ // cols + 1), spec["salt"]).numpy()
    )
    picture = levels[np.arange(h_)[:, None] // rows, np.arange(w_)[None] // cols].astype(np.float64)
    if spec["blur_sigma"]:
        reach = int(4 * spec["blur_sigma"] + 0.5)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spec["blur_sigma"]) ** 2)
        kernel = kernel / kernel.sum()
        for axis in (0, 1):
            padded = np.pad(picture, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
            picture = np.apply_along_axis(np.convolve, axis, padded, kernel, "valid")
    return np.round(picture).astype(np.uint8)


def landmarks(spec: dict) -> np.ndarray:
    """int64 [T,68,2]: a random face of 68 pixel points that jitters and drifts."""
    base = 60 + 140 * fill.uniform(spec["name"] + "/base", (68, 2), spec["salt"]).numpy().astype(np.float64)
    jitter = (
        fill.inputs(spec["name"] + "/jitter", spec["shape"], spec["salt"], 2.5).numpy().astype(np.float64)
    )
    drift = 0.25 * np.arange(spec["shape"][0])[:, None, None]
    return np.round(base[None] + jitter + drift).astype(np.int64)


def build(spec: dict, salt: str):
    """numpy array or torch tensor (kinds normal and uniform) of one input spec."""
    kind = spec["kind"]
    if kind == "normal":
        return fill.inputs(spec["name"], spec["shape"], salt, spec.get("scale", 1.0)) + spec.get(
            "offset", 0.0
        )
    if kind == "uniform":
        return spec.get("scale", 1.0) * fill.uniform(spec["name"], spec["shape"], salt) + spec.get(
            "offset", 0.0
        )
    if kind == "integers":
        return torch.floor(fill.uniform(spec["name"], spec["shape"], salt) * spec["high"]).long()
    if kind == "values":
        return np.asarray(spec["values"], dtype=spec.get("dtype", "float64"))
    if kind in ("track", "edges", "landmarks"):
        return {"track": track, "edges": edges, "landmarks": landmarks}[kind]({**spec, "salt": salt})
    return {"triangles": triangles, "wave": wave, "clicks": clicks}[kind](spec)


def state_dict(shapes: dict, salt: str, ops=()) -> dict:
    """fill.state_dict, then each op in order: every key ending with `suffix` becomes value * mul + add."""
    sd = fill.state_dict(shapes, salt)
    for op in ops:
        for key in sd:
            if key.endswith(op["suffix"]):
                sd[key] = sd[key] * op.get("mul", 1.0) + op.get("add", 0.0)
    return sd
