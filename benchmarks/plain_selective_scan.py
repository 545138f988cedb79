"""The selective scan and ACTalker's scan unit in the plain form that the published packages document: the yardsticks.

Channels before time, as mamba-ssm's interface has it; every decay of the sequence is made first, then one
token follows the other. In float64 the same code is what the error of all other forms is measured against.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def plain_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """h_t = exp(dt_t A) h_(t-1) + dt_t u_t B_t, y_t = <h_t, C_t> + D u_t (Mamba, section 3.2), one direction,
    in u's type.

    u and dt (before bias and softplus) [n,W,L], A [W,N], B and C [n,N,L], D and bias [W] -> [n,W,L].
    """
    step = F.softplus(dt + bias[:, None])
    decays = torch.exp(step.transpose(1, 2)[..., None] * A)  # [n,L,W,N]
    values = (step * u).transpose(1, 2)[..., None] * B.transpose(1, 2)[:, :, None]
    state = torch.zeros_like(values[:, 0])
    outputs = []
    for t in range(u.shape[-1]):
        state = decays[:, t] * state + values[:, t]
        outputs.append(torch.einsum("bwn,bn->bw", state, C[:, :, t]))
    return torch.stack(outputs, -1) + D[:, None] * u


def plain_directions(
    u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor
) -> Tensor:
    """The sum over directions: arguments [K,...] of the above, the second in reversed order of the tokens; u
    [n,W,L]."""
    total = plain_scan(u, dt[0], A[0], B[0], C[0], D[0], bias[0])
    for k in range(1, len(A)):
        total = total + plain_scan(
            u.flip(-1), dt[k].flip(-1), A[k], B[k].flip(-1), C[k].flip(-1), D[k], bias[k]
        ).flip(-1)
    return total


def published_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """plain_scan with the layout of mamba-ssm's own reference: decays [n,W,L,N], B and C repeated for every channel.

    u, dt [n,G W,L], A [G W,N], B and C [n,G,N,L] for G groups of channels, D and bias [G W] -> [n,G W,L].
    """
    each = u.shape[1] // B.shape[1]
    B, C = (x.repeat_interleave(each, 1) for x in (B, C))  # [n,GW,N,L]
    step = F.softplus(dt + bias[:, None])
    decays = torch.exp(torch.einsum("bwl,wn->bwln", step, A))
    values = torch.einsum("bwl,bwnl,bwl->bwln", step, B, u)
    state = torch.zeros_like(values[:, :, 0])
    outputs = []
    for t in range(u.shape[-1]):
        state = decays[:, :, t] * state + values[:, :, t]
        outputs.append(torch.einsum("bwn,bwn->bw", state, C[..., t]))
    return torch.stack(outputs, -1) + D[:, None] * u


def plain_unit(tokens: Tensor, weights: dict[str, Tensor], published: bool = False) -> Tensor:
    """ACTalker's scan unit [n,L,W] -> [n,L,W] with the layout of the published code, less its scatters in an
    identity order.

    Both directions are stacked as groups of channels, so u is copied for each, and the second is flipped
    there and back. `published` takes published_scan, which is what ACTalker's code runs without a CUDA
    kernel, else the quicker plain_scan.
    """
    rows, length, width = tokens.shape
    rank = weights["dt_projs_weight"].shape[-1]
    x = tokens.transpose(1, 2).contiguous()
    both = torch.stack([x, x.flip(-1)], 1)  # [n,2,W,L]
    projected = torch.einsum("nkwl,kcw->nkcl", both, weights["x_proj_weight"])
    low, B, C = (
        part.contiguous() for part in projected.split([rank, *[(projected.shape[2] - rank) // 2] * 2], 2)
    )
    dt = torch.einsum("nkrl,kwr->nkwl", low, weights["dt_projs_weight"]).contiguous()
    A = -torch.exp(weights["A_logs"])
    D, bias = weights["Ds"], weights["dt_projs_bias"]
    if published:
        y = (
            published_scan(both.flatten(1, 2), dt.flatten(1, 2), A, B, C, D, bias.flatten())
            .unflatten(1, (2, width))
            .unbind(1)
        )
    else:
        A, D = A.view(2, width, -1), D.view(2, width)
        y = [
            plain_scan(both[:, k].contiguous(), dt[:, k], A[k], B[:, k], C[:, k], D[k], bias[k])
            for k in range(2)
        ]
    return (y[0] + y[1].flip(-1)).transpose(1, 2).contiguous()
