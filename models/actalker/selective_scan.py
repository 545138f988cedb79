"""The selective scan of Mamba (S6), forward only, over one or two directions of a sequence in one call.

h_t = exp(dt_t A) h_(t-1) + dt_t u_t B_t,  y_t = <h_t, C_t> + D u_t,  dt = softplus(raw dt + bias)     (Mamba, section 3.2)
"""

import functools
import logging
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

LOG2_E = 1.0 / math.log(2.0)
BACKENDS = ("mamba", "blocked")
# Elements of the two working buffers: as large as a CPU's second-level cache likes, and enough to keep a GPU busy.
BLOCK_ON_CPU, BLOCK_ELSEWHERE = 2**20, 2**24
SMALLEST_EXPONENT = -126.0  # of 2; below it float32 is denormal, which is slow on a CPU and changes nothing
LEAST_STEPS = 16  # rows are taken together only as long as a block still holds so many steps
SOFTPLUS_TERMS = (2.0, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11, 2 / 13)  # of 2 atanh


def selective_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor, backend: str | None = None
) -> Tensor:
    """Scan n sequences of L tokens in K directions and add the directions' results: [n,L,W] in u's type.

    u [n,L,W] is common to all directions. dt [K,n,L,W] (before bias and softplus), A [K,W,N] (negative), B and C [K,n,L,N],
    D and bias [K,W] belong to one direction each. K is 1 (first token to last) or 2 (then also last to first); all are given
    in the order of the tokens. The state is float32 whatever the inputs are. `backend` forces one of BACKENDS.

    ValueError if shapes do not fit together or the backend is unknown.
    """
    _check(u, dt, A, B, C, D, bias)
    if u.shape[1] == 0 or u.shape[0] == 0:
        return torch.zeros_like(u)
    chosen = backend or choose_backend(u.device)
    if chosen == "mamba":
        kernel = mamba_kernel()
        if kernel is None:
            raise ValueError("selective_scan: backend 'mamba' needs the package mamba-ssm, which cannot be imported here.")
        return scan_with_kernel(kernel, u, dt, A, B, C, D, bias)
    if chosen == "blocked":
        return blocked_scan(u, dt, A, B, C, D, bias)
    raise ValueError(f"selective_scan: backend is {backend!r}; it can be {', '.join(BACKENDS)}.")


def choose_backend(device: torch.device) -> str:
    """The fastest backend that works on a device."""
    if device.type != "cuda":
        return "blocked"
    if mamba_kernel() is not None:
        return "mamba"
    _recommend_kernel()
    return "blocked"


@functools.cache
def mamba_kernel() -> Callable[..., Tensor] | None:
    """mamba-ssm's fused CUDA function, or None where it is not installed or was built for another torch."""
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ModuleNotFoundError:
        return None
    except (ImportError, OSError, RuntimeError) as problem:
        logging.warning("mamba-ssm is installed but does not load (%s); ACTalker's scan runs in plain torch instead.", problem)
        return None
    return selective_scan_fn


@functools.cache
def _recommend_kernel() -> None:
    logging.warning("ACTalker's selective scan runs in plain torch. Installing mamba-ssm makes it many times faster on this GPU.")


def _check(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> None:
    directions, width, states = A.shape
    rows, length, _ = u.shape
    wanted = {
        "u": (u, (rows, length, width)), "dt": (dt, (directions, rows, length, width)), "D": (D, (directions, width)),
        "B": (B, (directions, rows, length, states)), "C": (C, (directions, rows, length, states)),
        "bias": (bias, (directions, width)),
    }  # fmt: skip
    for name, (value, shape) in wanted.items():
        if value.shape != shape:
            raise ValueError(f"selective_scan: {name} has the shape {list(value.shape)}, which should be {list(shape)}.")
    if directions not in (1, 2):
        raise ValueError(f"selective_scan: there are {directions} directions; it can do 1 or 2.")


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), relative error in float32 below 1e-6 where |x| < 10 and below 1e-5 everywhere."""
    return _softplus_in_place(x.clone(), x.new_empty(3, *x.shape))


def _softplus_in_place(x: Tensor, scratch: Tensor) -> Tensor:
    """softplus, written over x; scratch [3, as x].

    Torch's own takes one scalar logarithm per element on a CPU, which costs as much as all 16 states of the scan; there it is
    computed as max(x,0) + 2 atanh(s), s = y / (2 + y), y = e^-|x|, with s at most 1/3.
    """
    if x.device.type != "cpu":
        return x.copy_(F.softplus(x))
    s, square, series = scratch
    torch.abs(x, out=s).mul_(-LOG2_E).exp2_()
    s.div_(torch.add(s, 2, out=square))
    torch.mul(s, s, out=square)
    series.fill_(SOFTPLUS_TERMS[-1])
    for term in reversed(SOFTPLUS_TERMS[:-1]):
        series.mul_(square).add_(term)
    return x.clamp_min_(0).addcmul_(series, s)


class _Workspace:
    """The memory of one scan, made once: on many systems fresh pages cost more than the arithmetic done on them."""

    def __init__(self, steps: int, rows: int, rates: Tensor, dtype: torch.dtype):
        directions, states, width = rates.shape
        self.block = rates.new_empty(2, steps, directions, rows, states, width)
        self.state = rates.new_empty(directions, rows, states, width)
        self.tokens = rates.new_empty(5, steps, rows, width)
        self.gathered = rates.new_empty(steps, rows, width, dtype=dtype)


def blocked_scan(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor, block: int | None = None
) -> Tensor:
    """selective_scan in plain torch on any device, in bounded memory beside the inputs and the result.

    Decays and inputs of a block of steps are made at once; then each step is one fused multiply-add for all rows, states and
    directions; then one product with C reads out the whole block. Decays are only ever multiplied, never divided by, so
    nothing overflows however fast the state forgets.
    """
    directions, rows, length, width = dt.shape
    states = A.shape[-1]
    block = block or (BLOCK_ON_CPU if u.device.type == "cpu" else BLOCK_ELSEWHERE)
    per_row = directions * states * width
    together = min(rows, max(1, block // (LEAST_STEPS * per_row)))
    steps = min(length, max(1, block // (together * per_row)))
    rates = (A.float() * LOG2_E).transpose(1, 2).contiguous()
    out = u.float() * D.float().sum(0)
    dt, bias = dt.to(u.dtype), bias.float()
    workspace = _Workspace(steps, together, rates, u.dtype)
    for first in range(0, rows, together):
        part = slice(first, first + together)
        _scan_rows(u[part], dt[:, part], rates, B[:, part], C[:, part], bias, workspace, out[part])
    return out.to(u.dtype)


def _scan_rows(
    u: Tensor, dt: Tensor, rates: Tensor, B: Tensor, C: Tensor, bias: Tensor, workspace: _Workspace, out: Tensor
) -> None:
    """Add the scan of some rows to `out` [b,L,W]. rates [K,N,W] are those of powers of two."""
    directions, rows, length, _ = dt.shape
    u, out = u.transpose(0, 1), out.transpose(0, 1)
    dt, B, C = (x.transpose(1, 2) for x in (dt, B, C))
    state = workspace.state[:, :rows].zero_()
    most = workspace.block.shape[1]
    fastest = float(rates.min()) if u.device.type == "cpu" else 0.0
    forwards = torch.arange(length, device=u.device)
    orders = (forwards, forwards.flip(0))
    for start in range(0, length, most):
        count = min(most, length - start)
        decays, values = workspace.block[:, :count, :, :rows]
        tokens, gathered = workspace.tokens[:, :count, :rows], workspace.gathered[:count, :rows]
        step, drive = tokens[:2]
        lowest = 0.0
        indices = [orders[k][start : start + count] for k in range(directions)]
        for k, index in enumerate(indices):
            torch.add(torch.index_select(dt[k], 0, index, out=gathered), bias[k], out=step)
            _softplus_in_place(step, tokens[2:])
            lowest = min(lowest, fastest * float(step.max())) if fastest else 0.0
            torch.mul(step, torch.index_select(u, 0, index, out=gathered), out=drive)
            torch.mul(step[:, :, None], rates[k], out=decays[:, k])
            torch.mul(B[k, index].float()[..., None], drive[:, :, None], out=values[:, k])
        if lowest < SMALLEST_EXPONENT:
            decays.clamp_(min=SMALLEST_EXPONENT)
        decays.exp2_()
        h = state
        for decay, value in zip(decays.unbind(0), values.unbind(0), strict=True):
            h = torch.addcmul(value, decay, h, out=value)
        state.copy_(h)
        for k, index in enumerate(indices):
            y = torch.matmul(C[k, index].float()[:, :, None], values[:, k], out=step[:, :, None])[:, :, 0]
            if k:
                y = torch.index_select(y, 0, orders[1][-count:], out=drive)
            first = start if k == 0 else length - start - count
            out[first : first + count] += y


def scan_with_kernel(
    kernel: Callable[..., Tensor], u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """selective_scan by a function with mamba-ssm's interface: channels before time, directions as groups of channels."""
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
