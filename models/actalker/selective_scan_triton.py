"""The selective scan as one Triton kernel for GPUs: inference only, nothing larger than the result is ever stored.

A program is one warp: CHANNELS channels of one row and direction over the whole sequence, channels on the
lanes and all states in registers, so the sum over states needs no exchange between lanes and B and C are read
once for all its channels. The tokens of the next step are requested before the arithmetic of the current one;
the second direction is index arithmetic.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

LOG2_E = tl.constexpr(1.0 / math.log(2.0))
ENOUGH_PROGRAMS = 1000  # about 8 for each multiprocessor of a large GPU
CHANNELS = (128, 64, 32)


@triton.jit
def _softplus(x):
    """max(x,0) + 2 atanh(s), s = y / (2 + y), y = e^-|x|: exact where log(1 + y) would round a small y away."""
    y = tl.exp2(-tl.abs(x) * LOG2_E)
    s = y / (2.0 + y)
    q = s * s
    series = (
        (((((2.0 / 13 * q + 2.0 / 11) * q + 2.0 / 9) * q + 2.0 / 7) * q + 2.0 / 5) * q + 2.0 / 3) * q
    ) + 2.0
    return tl.maximum(x, 0.0) + s * series


@triton.jit
def _scan_kernel(
    u_start, dt_start, rates_start, B_start, C_start, D_start, bias_start, y_start, rows, length, width,
    STATES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    inside = channel < width
    n = tl.arange(0, STATES)
    sequence = tl.program_id(1)  # of direction and row
    direction = sequence // rows
    at = direction * width + channel
    bias = tl.load(bias_start + at, mask=inside, other=0.0)
    skip = tl.load(D_start + at, mask=inside, other=0.0)
    rates = tl.load(
        rates_start + (direction * STATES + n)[:, None] * width + channel[None, :],
        mask=inside[None, :],
        other=0.0,
    )
    first = direction * (length - 1)  # token of the first step
    stride = 1 - 2 * direction
    row_token = (sequence % rows).to(tl.int64) * length + first
    token = sequence.to(tl.int64) * length + first
    u_at = u_start + row_token * width + channel
    dt_at = dt_start + token * width + channel
    y_at = y_start + token * width + channel
    B_at = B_start + token * STATES + n
    C_at = C_start + token * STATES + n
    u = tl.load(u_at, mask=inside, other=0.0)
    raw = tl.load(dt_at, mask=inside, other=0.0)
    B = tl.load(B_at)
    C = tl.load(C_at)
    h = tl.zeros([STATES, CHANNELS], tl.float32)
    for i in range(length):
        u_now, raw_now, B_now, C_now = (
            u.to(tl.float32),
            raw.to(tl.float32),
            B.to(tl.float32),
            C.to(tl.float32),
        )
        more = i + 1 < length
        u_at += stride * width
        dt_at += stride * width
        B_at += stride * STATES
        C_at += stride * STATES
        u = tl.load(u_at, mask=inside & more, other=0.0)
        raw = tl.load(dt_at, mask=inside & more, other=0.0)
        B = tl.load(B_at, mask=(n < STATES) & more, other=0.0)
        C = tl.load(C_at, mask=(n < STATES) & more, other=0.0)
        step = _softplus(raw_now + bias)
        h = tl.exp2(rates * step[None, :]) * h + B_now[:, None] * (step * u_now)[None, :]
        y = tl.sum(h * C_now[:, None], 0) + skip * u_now
        tl.store(y_at, y.to(y_start.dtype.element_ty), mask=inside)
        y_at += stride * width


def triton_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """selective_scan as one kernel; the number of states must be a power of two. Without a gradient."""
    directions, rows, length, width = dt.shape
    states = A.shape[-1]
    u, dt, B, C = (x.to(u.dtype).contiguous() for x in (u, dt, B, C))
    # [K,N,W]: of powers of two, channels next to each other
    rates = (A.float() * LOG2_E.value).transpose(1, 2).contiguous()
    y = torch.empty_like(dt)
    channels = channels_per_program(width, directions * rows)
    with torch.cuda.device_of(u):  # triton launches on the current GPU, which need not be the tensors'
        _scan_kernel[(triton.cdiv(width, channels), directions * rows)](
            u, dt, rates, B, C, D.float().contiguous(), bias.float().contiguous(), y, rows, length, width,
            STATES=states, CHANNELS=channels,
            num_warps=1,  # pyright: ignore[reportCallIssue] (the launcher takes it, not the kernel)
        )  # fmt: skip
    return y[0] if directions == 1 else y[0] + y[1]


def channels_per_program(width: int, sequences: int) -> int:
    """The most that still leave enough programs to fill a GPU."""
    for channels in CHANNELS:
        if sequences * triton.cdiv(width, channels) >= ENOUGH_PROGRAMS:
            return channels
    return CHANNELS[-1]
