"""The selective scan in plain torch, block by block, with its gradient: any device, any decay, bounded memory.

Decays and inputs of a block of steps are made at once; then the recurrence runs over it; then one product with
C reads out the whole block. Decays are only ever multiplied, never divided by, so nothing overflows however
fast the state forgets. The gradient runs the same blocks from the last to the first and makes their states
again instead of keeping them.

On a CPU the recurrence is one fused multiply-add a step, for all rows, states and directions. A GPU, which
waits for every operation to be started, takes the steps in chunks that run side by side.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2_E = 1.0 / math.log(2.0)
# Elements of one working buffer: as large as a CPU's second-level cache likes, and enough for a GPU in less
# than 0.5 GB in all.
BLOCK_ON_CPU, BLOCK_ELSEWHERE = 2**20, 2**24
CHUNK = 8  # steps of a chunk elsewhere than on a CPU
SMALLEST_EXPONENT = -126.0  # of 2; below it float32 is denormal, which is slow on a CPU and changes nothing
LEAST_CHUNKS = 4  # fewer are not worth it
LEAST_STEPS = 16  # rows are taken together only as long as a block still holds so many steps
SOFTPLUS_TERMS = (2.0, 2 / 3, 2 / 5, 2 / 7, 2 / 9, 2 / 11, 2 / 13)  # of 2 atanh


def blocked_scan(
    u: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    bias: Tensor,
    block: int | None = None,
    chunk: int | None = None,
) -> Tensor:
    """selective_scan in plain torch.

    block: elements of a working buffer. chunk: steps of a chunk, 0 for one step after the other. Both by device.
    """
    here = u.device.type == "cpu"
    block = block or (BLOCK_ON_CPU if here else BLOCK_ELSEWHERE)
    chunk = (0 if here else CHUNK) if chunk is None else chunk
    return _BlockedScan.apply(u, dt, A, B, C, D, bias, block, chunk)


def recurrence(
    decays: Tensor, values: Tensor, state: Tensor, chunk: int = 0, backwards: bool = False
) -> Tensor:
    """h = decay h + value for each of T steps, from `state`, written over values [T,...]; gives the last h.

    With a chunk of s steps and enough of them: s operations find with what state each chunk would end from
    nothing, the same function over the chunks finds with what state each begins, and s operations more run all
    chunks from there. So T steps take some 2 s log(T) / log(s) operations after each other, instead of T.
    backwards: from step T to step 1.
    """
    count = len(values) // chunk if chunk else 0
    if count < LEAST_CHUNKS:
        steps = list(zip(decays.unbind(0), values.unbind(0), strict=True))
        for decay, value in reversed(steps) if backwards else steps:
            state = torch.addcmul(value, decay, state, out=value)
        return state
    split = len(values) - count * chunk if backwards else count * chunk
    whole, rest = (
        (slice(split, None), slice(0, split)) if backwards else (slice(0, split), slice(split, None))
    )
    chunks, their_values = (x[whole].unflatten(0, (count, chunk)) for x in (decays, values))
    steps = list(zip(chunks.unbind(1), their_values.unbind(1), strict=True))[:: -1 if backwards else 1]
    ends = steps[0][1].clone()
    for decay, value in steps[1:]:
        torch.addcmul(value, decay, ends, out=ends)
    last = recurrence(chunks.prod(1), ends, state, chunk, backwards)
    h = torch.cat([ends[1:], state[None]] if backwards else [state[None], ends[:-1]])
    for decay, value in steps:
        h = torch.addcmul(value, decay, h, out=value)
    return recurrence(decays[rest], values[rest], last, chunk, backwards)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), relative error in float32 below 1e-6 where |x| < 10 and below 1e-5 everywhere."""
    return _softplus_in_place(x.clone(), x.new_empty(3, *x.shape))


def _softplus_in_place(x: Tensor, scratch: Tensor) -> Tensor:
    """softplus, written over x; scratch [3, as x].

    Torch's own takes one scalar logarithm per element on a CPU, which costs as much as all 16 states of the
    scan; there it is computed as max(x,0) + 2 atanh(s), s = y / (2 + y), y = e^-|x|, with s at most 1/3.
    """
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return x.copy_(F.softplus(x))
    s, square, series = scratch
    torch.abs(x, out=s).mul_(-LOG2_E).exp2_()
    s.div_(torch.add(s, 2, out=square))
    torch.mul(s, s, out=square)
    series.fill_(SOFTPLUS_TERMS[-1])
    for term in reversed(SOFTPLUS_TERMS[:-1]):
        series.mul_(square).add_(term)
    return x.clamp_min_(0).addcmul_(series, s)


class _BlockedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, dt, A, B, C, D, bias, block, chunk):
        ctx.save_for_backward(u, dt, A, B, C, D, bias)
        ctx.sizes = block, chunk
        workspace = _Workspace(u, dt, A, bias, block, chunk)
        skip = D.to(workspace.dtype).sum(0)
        out = torch.empty_like(u)
        for part in workspace.parts(len(u)):
            total = (
                out[part]
                if out.dtype == workspace.dtype
                else torch.empty_like(out[part], dtype=workspace.dtype)
            )
            torch.mul(u[part], skip, out=total)
            _Rows(u[part], dt[:, part], B[:, part], C[:, part], workspace).scan(total.transpose(0, 1))
            if total.dtype != out.dtype:
                out[part] = total
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        saved = ctx.saved_tensors  # once alone: where a layer computes itself again they are given but once
        u, dt, A, B, C, D, bias = saved
        workspace = _Workspace(u, dt, A, bias, *ctx.sizes)
        dy = dy.to(workspace.dtype)
        found = _Gradients(
            dy * D.to(workspace.dtype).sum(0),
            *(torch.zeros_like(x, dtype=workspace.dtype) for x in (dt, A, B, C)),
        )
        for part in workspace.parts(len(u)):
            rows = _Rows(u[part], dt[:, part], B[:, part], C[:, part], workspace)
            rows.add_gradients(dy[part].transpose(0, 1), found.of_rows(part), A.to(workspace.dtype).mT)
        d_skip = torch.einsum("nlw,nlw->w", dy, u.to(dy.dtype)).expand_as(D)
        of = (found.u, found.dt, found.A, found.B, found.C, d_skip, found.dt.sum((1, 2)))
        return *(value.to(x.dtype) for value, x in zip(of, saved, strict=True)), None, None


class _Gradients:
    """Sums of the gradients of the arguments, in their shapes."""

    def __init__(self, u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor):
        self.u, self.dt, self.A, self.B, self.C = u, dt, A, B, C

    def of_rows(self, part: slice) -> "_Gradients":
        """Those of some rows, tokens first as _Rows has them."""
        dt, B, C = (x[:, part].transpose(1, 2) for x in (self.dt, self.B, self.C))
        return _Gradients(self.u[part].transpose(0, 1), dt, self.A, B, C)


class _Workspace:
    """The memory of one scan, made once: on many systems fresh pages cost more than the arithmetic done on them."""

    def __init__(self, u: Tensor, dt: Tensor, A: Tensor, bias: Tensor, block: int, chunk: int):
        self.chunk = chunk
        directions, rows, length, width = dt.shape
        states = A.shape[-1]
        self.dtype = torch.promote_types(u.dtype, torch.float32)
        self.rates = (A.to(self.dtype) * LOG2_E).transpose(1, 2).contiguous()  # [K,N,W], of powers of two
        self.fastest = float(self.rates.min()) if u.device.type == "cpu" else 0.0
        self.bias = bias.to(self.dtype)
        per_row = directions * states * width
        self.rows = min(rows, max(1, block // (LEAST_STEPS * per_row)))
        self.steps = min(length, max(1, block // (self.rows * per_row)))
        self.decays, self.values = self.rates.new_empty(2, self.steps, directions, self.rows, states, width)
        self.state = self.rates.new_empty(directions, self.rows, states, width)
        self.step, self.drive = self.rates.new_empty(2, directions, self.steps, self.rows, width)
        self.scratch = self.rates.new_empty(3, self.steps, self.rows, width)

    def parts(self, rows: int) -> list[slice]:
        """The rows in groups that are scanned together."""
        return [slice(first, min(rows, first + self.rows)) for first in range(0, rows, self.rows)]


class _Rows:
    """Some rows on their way through the scan. Step s of direction 0 is token s, of direction 1 token L-1-s."""

    def __init__(self, u: Tensor, dt: Tensor, B: Tensor, C: Tensor, workspace: _Workspace):
        self.u = u.transpose(0, 1)  # [L,b,W]
        self.dt, self.B, self.C = (x.transpose(1, 2) for x in (dt, B, C))  # [K,L,b,W or N]
        self.space = workspace
        self.directions, self.length, self.rows = self.dt.shape[:3]

    def scan(self, out: Tensor) -> None:
        """Add the result to out [L,b,W]."""
        state = self.space.state[:, : self.rows].zero_()
        for start in range(0, self.length, self.space.steps):
            _, states = self.run(start, state)
            for k in range(self.directions):
                C = self.taken(self.C[k], k, start).to(out.dtype)
                self.add(out, k, start, torch.matmul(C[:, :, None], states[:, k])[:, :, 0])

    def run(self, start: int, state: Tensor) -> tuple[Tensor, Tensor]:
        """One block from the state before it, which becomes the state after it: decays and states [T,K,b,N,W]."""
        decays, values = self.load(start)
        state.copy_(recurrence(decays, values, state, self.space.chunk))
        return decays, values

    def load(self, start: int) -> tuple[Tensor, Tensor]:
        """exp(dt A) and dt u B [T,K,b,N,W] of a block, and in the workspace its step dt and drive dt u [K,T,b,W]."""
        space, count = self.space, min(self.space.steps, self.length - start)
        decays, values = space.decays[:count, :, : self.rows], space.values[:count, :, : self.rows]
        lowest = 0.0
        for k in range(self.directions):
            step, drive = space.step[k, :count, : self.rows], space.drive[k, :count, : self.rows]
            torch.add(self.taken(self.dt[k], k, start), space.bias[k], out=step)
            _softplus_in_place(step, space.scratch[:, :count, : self.rows])
            lowest = min(lowest, space.fastest * float(step.max())) if space.fastest else 0.0
            torch.mul(step, self.taken(self.u, k, start), out=drive)
            torch.mul(step[:, :, None], space.rates[k], out=decays[:, k])
            torch.mul(
                self.taken(self.B[k], k, start).to(space.dtype)[..., None],
                drive[:, :, None],
                out=values[:, k],
            )
        if lowest < SMALLEST_EXPONENT:
            decays.clamp_(min=SMALLEST_EXPONENT)
        return decays.exp2_(), values

    def taken(self, x: Tensor, k: int, start: int) -> Tensor:
        """Of x [L,...] what the steps of a block of direction k meet, in their order."""
        x = x[self.tokens(k, start)]
        return x.flip(0) if k else x

    def add(self, x: Tensor, k: int, start: int, value: Tensor) -> None:
        """Add to x [L,...] what the steps of a block of direction k give."""
        x[self.tokens(k, start)] += value.flip(0) if k else value

    def tokens(self, k: int, start: int) -> slice:
        """The tokens of the block that begins with step `start`."""
        stop = min(start + self.space.steps, self.length)
        return slice(self.length - stop, self.length - start) if k else slice(start, stop)

    def add_gradients(self, dy: Tensor, found: _Gradients, A: Tensor) -> None:
        """Add these rows' share for the gradient dy [L,b,W] of the result; A [K,N,W].

        With g_t the gradient of h_t: g_t = C_t dy_t + exp(dt_(t+1) A) g_(t+1), and that of dt_t A is g_t
        exp(dt_t A) h_(t-1).
        """
        starts = range(0, self.length, self.space.steps)
        befores = self.states_before(starts)
        after = torch.zeros_like(befores[0])
        for start, before in zip(reversed(starts), reversed(befores), strict=True):
            decays, states = self.run(start, self.space.state[:, : self.rows].copy_(before))
            dh = torch.empty_like(states)
            for k in range(self.directions):
                dy_k, C = self.taken(dy, k, start), self.taken(self.C[k], k, start).to(dy.dtype)
                torch.mul(C[..., None], dy_k[:, :, None], out=dh[:, k])
                self.add(found.C[k], k, start, (states[:, k] @ dy_k[..., None])[..., 0])
            g = recurrence(decays[1:], dh[:-1], dh[-1].add_(after), self.space.chunk, backwards=True)
            torch.mul(decays[0], g, out=after)
            d_exponent = decays.mul_(dh)
            d_exponent[1:] *= states[:-1]
            d_exponent[0] *= before
            self.add_token_gradients(start, dh, d_exponent, found, A)

    def states_before(self, starts: range) -> list[Tensor]:
        """The state before each block [K,b,N,W]."""
        state = self.space.state[:, : self.rows].zero_()
        befores = [state.clone()]
        for start in starts[:-1]:
            self.run(start, state)
            befores.append(state.clone())
        return befores

    def add_token_gradients(
        self, start: int, dh: Tensor, d_exponent: Tensor, found: _Gradients, A: Tensor
    ) -> None:
        """From the gradients of states and of dt A of the loaded block [T,K,b,N,W] to those of A, B, dt and u."""
        for k in range(self.directions):
            step, drive = (
                self.space.step[k, : len(dh), : self.rows],
                self.space.drive[k, : len(dh), : self.rows],
            )
            B = self.taken(self.B[k], k, start).to(dh.dtype)
            self.add(found.B[k], k, start, (dh[:, k] @ drive[..., None])[..., 0])
            found.A[k] += torch.einsum("tbnw,tbw->wn", d_exponent[:, k], step)
            d_drive = (B[:, :, None] @ dh[:, k])[:, :, 0]
            d_step = torch.einsum("tbnw,nw->tbw", d_exponent[:, k], A[k]) + d_drive * self.taken(
                self.u, k, start
            )
            # softplus' derivative, from its value
            self.add(found.dt[k], k, start, d_step * -torch.expm1(-step))
            self.add(found.u, k, start, d_drive * step)
