"""Deterministic, framework-independent weight fill: every tensor is a function of its key, shape and a salt."""

import hashlib

import numpy as np
import torch


def _rng(text: str) -> np.random.Generator:
    return np.random.Generator(
        np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))
    )


def tensor(key: str, shape, salt: str = "public", dtype=torch.float32) -> torch.Tensor:
    """Value of parameter or buffer `key` of `shape`.

    *.num_batches_tracked -> 0; *.running_var -> 1 + 0.2*u, u in [0,1); *.running_mean -> 0.1*n;
    1-D "weight" (norm scales) -> 1 + 0.1*n; other 1-D and 0-D -> 0.02*n; >=2-D -> n / sqrt(fan_in).
    n is standard normal; fan_in is the product of shape[1:].
    """
    shape = tuple(int(s) for s in shape)
    leaf = key.rsplit(".", 1)[-1]
    rng = _rng(f"{salt}/{key}")
    if leaf == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if leaf == "running_var":
        a = 1 + 0.2 * rng.random(shape)
    elif leaf == "running_mean":
        a = 0.1 * rng.standard_normal(shape)
    elif len(shape) <= 1 and leaf == "weight":
        a = 1 + 0.1 * rng.standard_normal(shape)
    elif len(shape) <= 1:
        a = 0.02 * rng.standard_normal(shape)
    else:
        a = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(a, dtype=np.float32)).to(dtype)


def state_dict(shapes: dict, salt: str = "public") -> dict:
    """{key: shape} -> {key: tensor}."""
    return {k: tensor(k, s, salt) for k, s in shapes.items()}


def inputs(name: str, shape, salt: str = "public", scale: float = 1.0) -> torch.Tensor:
    """A named standard-normal input tensor."""
    return torch.from_numpy(
        (scale * _rng(f"{salt}/input/{name}").standard_normal(tuple(shape))).astype(np.float32)
    )


def uniform(name: str, shape, salt: str = "public") -> torch.Tensor:
    """A named input tensor uniform in [0, 1) (images, masks)."""
    return torch.from_numpy(_rng(f"{salt}/uniform/{name}").random(tuple(shape)).astype(np.float32))


def probe(t: torch.Tensor, n: int = 512) -> dict:
    """What a golden file keeps of a tensor: its shape, mean, std and n values at evenly spaced flat indices."""
    f = t.detach().to(torch.float64).flatten()
    idx = np.unique(np.linspace(0, f.numel() - 1, min(n, f.numel())).astype(np.int64))
    return {
        "shape": list(t.shape),
        "mean": float(f.mean()),
        "std": float(f.std(unbiased=False)),
        "idx": idx.tolist(),
        "values": [float(f"{v:.7g}") for v in f[torch.from_numpy(idx)].tolist()],
    }
