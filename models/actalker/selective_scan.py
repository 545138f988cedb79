"""The selective scan of Mamba (S6) over one or two directions of a sequence in one call.

h_t = exp(dt_t A) h_(t-1) + dt_t u_t B_t,  y_t = <h_t, C_t> + D u_t,  dt = softplus(raw dt + bias)

(Mamba, section 3.2)
"""

import functools
import logging
from collections.abc import Callable

import torch
from torch import Tensor

from .selective_scan_blocked import blocked_scan

BACKENDS = ("mamba", "triton", "blocked")


def selective_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    bias: Tensor,
    backend: str | None = None,
) -> Tensor:
    """Scan n sequences of L tokens in K directions and add the directions' results: [n,L,W] in u's type.

    u [n,L,W] is common to all directions. dt [K,n,L,W] (before bias and softplus), A [K,W,N] (negative), B
    and C [K,n,L,N], D and bias [K,W] belong to one direction each. K is 1 (first token to last) or 2 (then
    also last to first); all are given in the order of the tokens. The state is float32 whatever half type the
    inputs have. `backend` forces one of BACKENDS; all but triton have a gradient.

    ValueError if shapes do not fit together, or the backend is unknown or cannot do this.
    """
    given = (u, dt, A, B, C, D, bias)
    _check(*given)
    gradient = torch.is_grad_enabled() and any(x.requires_grad for x in given)
    if u.shape[0] == 0 or u.shape[1] == 0:
        return u * D.sum()  # nothing, but with a gradient
    chosen = backend or choose_backend(u.device, gradient)
    if chosen == "mamba":
        kernel = mamba_kernel()
        if kernel is None:
            raise ValueError(
                "selective_scan: backend 'mamba' needs the package mamba-ssm, which cannot be imported here."
            )
        return scan_with_kernel(kernel, *given)
    if chosen == "triton":
        kernel = triton_kernel(u.device)
        if kernel is None:
            raise ValueError(
                "selective_scan: backend 'triton' needs the package triton and a GPU that it compiles for."
            )
        if gradient:
            raise ValueError(
                "selective_scan: backend 'triton' has no gradient; use 'blocked', or torch.no_grad()."
            )
        return kernel(*given)
    if chosen == "blocked":
        return blocked_scan(*given)
    raise ValueError(f"selective_scan: backend is {backend!r}; it can be {', '.join(BACKENDS)}.")


def choose_backend(device: torch.device, gradient: bool) -> str:
    """The fastest backend that works on a device."""
    if device.type != "cuda":
        return "blocked"
    if mamba_kernel() is not None:
        return "mamba"
    if gradient:
        return "blocked"
    if triton_kernel(device) is not None:
        return "triton"
    _recommend_kernel()
    return "blocked"


@functools.cache
def mamba_kernel() -> Callable[..., Tensor] | None:
    """mamba-ssm's fused CUDA function, or None where it is not installed or was built for another torch."""
    try:
        from mamba_ssm.ops.selective_scan_interface import (  # pyright: ignore[reportMissingImports] (optional)
            selective_scan_fn,
        )
    except ModuleNotFoundError:
        return None
    except (ImportError, OSError, RuntimeError) as problem:
        logging.warning(
            "mamba-ssm is installed but does not load (%s); ACTalker's scan does without it.", problem
        )
        return None
    return selective_scan_fn


@functools.cache
def triton_kernel(device: torch.device) -> Callable[..., Tensor] | None:
    """The pack's own kernel once it has proved itself on a small problem on this GPU, else None."""
    if device.type != "cuda":
        return None
    try:
        from .selective_scan_triton import triton_scan
    except ImportError:
        return None
    try:
        proved = _agrees(triton_scan, device)
    except Exception as problem:  # a compiler brings errors of its own types
        logging.warning(
            "Triton does not compile ACTalker's scan here (%s: %s).", type(problem).__name__, problem
        )
        return None
    if not proved:
        logging.warning("Triton's result for ACTalker's scan is wrong on this GPU, so it is not used.")
    return triton_scan if proved else None


def _agrees(scan: Callable[..., Tensor], device: torch.device) -> bool:
    """Whether a scan gives what blocked_scan gives, in float32 to rounding."""
    random = torch.Generator().manual_seed(0)
    shapes = ((1, 19, 40), (2, 1, 19, 40), (2, 40, 16), (2, 1, 19, 16), (2, 1, 19, 16), (2, 40), (2, 40))
    with torch.no_grad():
        u, dt, A, B, C, D, bias = (torch.randn(shape, generator=random).to(device) for shape in shapes)
        given = (u, dt, -A.exp(), B, C, D, bias)
        wanted = blocked_scan(*given)
        return bool((scan(*given) - wanted).abs().max() < 1e-4 * wanted.abs().max())


@functools.cache
def _recommend_kernel() -> None:
    logging.warning(
        "ACTalker's selective scan runs in plain torch. Installing triton (on Windows: triton-windows) or "
        "mamba-ssm makes it many times faster on this GPU."
    )


def _check(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> None:
    for name, value in (("u", u), ("A", A)):
        if value.ndim != 3:
            raise ValueError(f"selective_scan: {name} has {value.ndim} dimensions; it should have 3.")
    directions, width, states = A.shape
    rows, length, _ = u.shape
    wanted = {
        "u": (u, (rows, length, width)), "dt": (dt, (directions, rows, length, width)),
        "D": (D, (directions, width)),
        "B": (B, (directions, rows, length, states)), "C": (C, (directions, rows, length, states)),
        "bias": (bias, (directions, width)),
    }  # fmt: skip
    for name, (value, shape) in wanted.items():
        if value.shape != shape:
            raise ValueError(
                f"selective_scan: {name} has the shape {list(value.shape)}, which should be {list(shape)}."
            )
    if directions not in (1, 2):
        raise ValueError(f"selective_scan: there are {directions} directions; it can do 1 or 2.")


def scan_with_kernel(
    kernel: Callable[..., Tensor],
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    bias: Tensor,
) -> Tensor:
    """selective_scan by a function with mamba-ssm's interface: channels before time, directions as groups of
    channels."""
    directions, rows, length, width = dt.shape

    def folded(x: Tensor) -> Tensor:
        """[K,n,L,X] in token order -> [n,K,X,L] in the order of the steps."""
        if directions == 2:
            x = torch.stack([x[0], x[1].flip(1)])
        return x.permute(1, 0, 3, 2).contiguous()

    y = kernel(
        folded(u.expand(directions, -1, -1, -1)).flatten(1, 2),
        folded(dt.to(u.dtype)).flatten(1, 2),
        A.float().flatten(0, 1).contiguous(),
        folded(B.to(u.dtype)),
        folded(C.to(u.dtype)),
        D.float().flatten().contiguous(),
        z=None,
        delta_bias=bias.float().flatten().contiguous(),
        delta_softplus=True,
    ).reshape(rows, directions, width, length)
    summed = y[:, 0] if directions == 1 else y[:, 0] + y[:, 1].flip(-1)
    return summed.transpose(1, 2).to(u.dtype)
