"""The parallel-control mamba layer (ACTalker, section 3.2): two mask-SSM branches, one driven by sound, one
by facial motion.

Each branch scans only the tokens that its mask selects, followed by the identity token and the branch's
condition tokens. The conditions stand last, so they reach the picture through the reverse direction of the
scan.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .selective_scan import selective_scan

DIRECTIONS = 2
STATES = 16
EXPAND = 2
# Elements of one projection for which rows are taken together.
ROWS_ON_CPU, ROWS_ELSEWHERE = 2**25, 2**28


class ScanUnit(nn.Module):
    """[n,L,D] -> [n,L,D]: the S6 core alone, without convolution or gate, in both directions, summed.

    A leaf with raw parameters, so that ComfyUI moves it as a whole. The three small ones that steer the recurrence stay
    float32 whatever `dtype` is; rounding a decay acts over the whole sequence.
    """

    def __init__(self, width: int, rank: int, device=None, dtype=None):
        super().__init__()

        def parameter(*shape: int, dtype=dtype) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype), requires_grad=False)

        self.rank = rank
        self.x_proj_weight = parameter(DIRECTIONS, rank + 2 * STATES, width)
        self.dt_projs_weight = parameter(DIRECTIONS, width, rank)
        self.dt_projs_bias = parameter(DIRECTIONS, width, dtype=torch.float32)
        self.A_logs = parameter(DIRECTIONS * width, STATES, dtype=torch.float32)
        self.Ds = parameter(DIRECTIONS * width, dtype=torch.float32)

    def forward(self, u: Tensor) -> Tensor:
        budget = ROWS_ON_CPU if u.device.type == "cpu" else ROWS_ELSEWHERE
        rows = max(1, budget // max(1, u[0].numel())) if len(u) else 1
        if len(u) <= rows:
            return self._scan(u)
        return torch.cat([self._scan(part) for part in u.split(rows)])

    def _scan(self, u: Tensor) -> Tensor:
        width = u.shape[-1]
        low, b, c = self._projected(u).split([self.rank, STATES, STATES], dim=-1)
        dt = torch.matmul(low, self.dt_projs_weight.to(u).transpose(1, 2)[:, None])
        a = -torch.exp(self.A_logs.to(u.device, torch.float32)).reshape(DIRECTIONS, width, STATES)
        skip = self.Ds.to(u.device, torch.float32).reshape(DIRECTIONS, width)
        return selective_scan(u, dt, a, b, c, skip, self.dt_projs_bias.to(u.device, torch.float32))

    def _projected(self, u: Tensor) -> Tensor:
        """[n,L,D] -> [K,n,L,R+2N]: low-rank time step, B and C of each direction."""
        both = F.linear(u, self.x_proj_weight.to(u).flatten(0, 1))
        return both.unflatten(-1, (DIRECTIONS, -1)).permute(2, 0, 1, 3)


class ParallelControlMamba(nn.Module):
    """[n,S,C] tokens of n frames -> [n,S,C], which replace them: the layer has no residual and no norm before it.

    identity [n,1,X], audio [n,Ta,X], motion [n,1,X]; a stream of None is closed (its gate is 0, and with it
    its mask), and its branch is then the plain projection. `audio_tokens` and `motion_tokens` are indices [M]
    of the selected tokens, common to all frames; None selects all.
    """

    def __init__(self, channels: int, context: int, device=None, dtype=None, operations=nn):
        super().__init__()
        width = EXPAND * channels
        rank = -(-channels // 16)

        def linear(inputs: int, outputs: int) -> nn.Module:
            return operations.Linear(inputs, outputs, bias=False, device=device, dtype=dtype)

        self.in_proj1, self.in_proj2 = linear(channels, width), linear(channels, width)
        self.audio_proj, self.exp_proj, self.id_proj = (linear(context, width) for _ in range(3))
        self.audio_unit = ScanUnit(width, rank, device, dtype)
        self.exp_unit = ScanUnit(width, rank, device, dtype)
        self.out_norm = operations.LayerNorm(width, device=device, dtype=dtype)
        self.out_proj = linear(width, channels)

    def forward(
        self,
        x: Tensor,
        identity: Tensor,
        audio: Tensor | None,
        motion: Tensor | None,
        audio_tokens: Tensor | None = None,
        motion_tokens: Tensor | None = None,
    ) -> Tensor:
        heard = self._branch(
            self.in_proj1(x), identity, audio, self.audio_proj, self.audio_unit, audio_tokens
        )
        seen = self._branch(self.in_proj2(x), identity, motion, self.exp_proj, self.exp_unit, motion_tokens)
        return self.out_proj(self.out_norm(heard + seen))

    def _branch(
        self,
        z: Tensor,
        identity: Tensor,
        condition: Tensor | None,
        project: nn.Module,
        unit: ScanUnit,
        tokens: Tensor | None,
    ) -> Tensor:
        """Mask-SSM: the selected tokens of z [n,S,D] are written over with the scan's result; z itself may be
        changed."""
        if condition is None or (tokens is not None and len(tokens) == 0):
            return z
        tail = F.silu(torch.cat([self.id_proj(identity), project(condition)], dim=1))
        chosen = z if tokens is None else z.index_select(1, tokens)
        scanned = unit(torch.cat([chosen, tail], dim=1))[:, : chosen.shape[1]]
        return scanned if tokens is None else z.index_copy(1, tokens, scanned)
