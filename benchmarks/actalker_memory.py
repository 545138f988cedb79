"""Peak memory of one denoising call of ACTalker beside its weights: counted tensor by tensor at full size,
checked by measuring.

    python3 run.py python benchmarks/actalker_memory.py [--out RESULT.json]

Counted: the whole UNet runs on tensors without content, and every tensor that lives is added up; attention
and the selective scan count as the fused kernels that GPUs have for them (result alone; result of each
direction). What a GPU's convolutions need while they run is not in it, nor what an allocator keeps. Measured
(Linux): a UNet of less width really runs on the CPU in fp32, and the process's growth is put beside the count
of the same call.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import comfy.cli_args
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

comfy.cli_args.args.cpu = True
comfy.cli_args.args.use_pytorch_cross_attention = True

from talking_portrait.models.actalker import parallel_control_mamba
from talking_portrait.models.actalker.unet import ACTalkerUNet, time_id_embedding, unet_config

CONTEXT = 1024
FULL = ((512, 25), (576, 25), (640, 25))  # pixels, frames
BRANCHES = (1, 3, 4)
MEASURED_WIDTH, MEASURED = 128, ((256, 8), (384, 8), (512, 8))
# freed memory goes back to the system, so peaks are not hidden in a cache
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536"}


class LiveBytes(TorchDispatchMode):
    """Bytes of all tensors made in here that live, and the most there ever were; views share their memory."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.users: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self._use(value)
        return result

    def _use(self, value: Tensor) -> None:
        memory = value.untyped_storage()
        key, size = memory._cdata, memory.nbytes()
        if key not in self.users:
            self.users[key] = 0
            self.now += size
            self.peak = max(self.peak, self.now)
        self.users[key] += 1
        weakref.finalize(value, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self.users[key] -= 1
        if not self.users[key]:
            del self.users[key]
            self.now -= size


def network(width: int, dtype: torch.dtype, device: str) -> ACTalkerUNet:
    """Random numbers, small enough that nothing overflows, or none on "meta"."""
    made = ACTalkerUNet(**unet_config(width), dtype=dtype, device=device)
    for parameter in made.parameters():
        parameter.data.normal_(0, 0.02) if parameter.ndim > 1 else parameter.data.fill_(0.5)
    return made.requires_grad_(False).eval()


def call(unet: ACTalkerUNet, side: int, frames: int, branches: int = 1) -> Tensor:
    """Some branches of one window, both streams open everywhere."""
    first = unet.input_blocks[0][0].weight
    count, size = branches * frames, side // 8

    def empty(*shape: int) -> Tensor:
        return torch.zeros(shape, dtype=first.dtype, device=first.device)

    return unet(
        empty(count, 8, size, size), torch.zeros(count, device=first.device),
            context=empty(count, 1, CONTEXT),
        y=time_id_embedding().to(first).expand(count, -1), audio=empty(count, 32, CONTEXT),
        motion=empty(count, 1, CONTEXT),
        pose=empty(1, first.shape[0], size, size), num_video_frames=frames,
    )  # fmt: skip


def counted(width: int, dtype: torch.dtype, side: int, frames: int, branches: int = 1) -> int:
    """MB at the peak of a call, less its weights."""
    unet = network(width, dtype, "meta")
    with LiveBytes() as live:
        call(unet, side, frames, branches)
    return round(live.peak / 1e6)


def fused_attention(query: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return torch.empty_like(query)


def fused_scan(u: Tensor, dt: Tensor, *args: Any) -> Tensor:
    """What the pack's Triton kernel keeps: the result of each direction, and their sum."""
    both = torch.empty_like(dt.to(u.dtype))
    return both[0] + both[1]


def resident(field: str) -> float:
    """A line of this process's status, MB."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3


def print_growth(side: int, frames: int) -> None:
    """Prints by how many MB the process grows in a call after a small one."""
    torch.set_num_threads(1)
    parallel_control_mamba.ROWS_ON_CPU = parallel_control_mamba.ROWS_ELSEWHERE
    unet = network(MEASURED_WIDTH, torch.float32, "cpu")
    call(unet, 64, 1)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    call(unet, side, frames)
    print(round(resident("VmHWM") - before))


def growth(side: int, frames: int) -> int:
    """print_growth's number from a process of its own."""
    command = [sys.executable, __file__, "--one", str(side), str(frames)]
    return int(
        subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, **MALLOC}
        ).stdout
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "actalker_memory.json"
    )
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return print_growth(*options.one)
    measured = {size: growth(*size) for size in MEASURED}
    F.scaled_dot_product_attention, parallel_control_mamba.selective_scan = fused_attention, fused_scan
    weights = sum(
        math.prod(p.shape) * p.element_size() for p in network(320, torch.bfloat16, "meta").parameters()
    )
    result = {
        "MB of weights, bf16": round(weights / 1e6),
        "MB beside the weights, bf16, counted": {
            f"{side}x{side}, {frames} frames": {
                f"{n} branches": counted(320, torch.bfloat16, side, frames, n) for n in BRANCHES
            } for side, frames in FULL
        },
        f"check, fp32, {MEASURED_WIDTH} channels, one branch, MB": {
            f"{side}x{side}, {frames} frames": {
                "counted": counted(MEASURED_WIDTH, torch.float32, side, frames),
                "measured": measured[side, frames],
            } for side, frames in MEASURED
        },
    }  # fmt: skip
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
