"""ACTalker's selective scan on a CPU: the step-by-step form, mambapy's parallel scan and the pack's in one run.

    python3 run.py python benchmarks/selective_scan_speed.py [--repeats N] [--out FILE]

Equality first: no time is printed if the pack's form differs from the step-by-step form in float64. Peers run
in turn, each with its arguments in its own layout; the process's own time is taken, which neighbours on the
machine do not change. mambapy (pip install mambapy) is left out where it is not installed.

"In chunks" is the pack's form for a GPU without a kernel; how many operations it starts there is counted on tensors
without storage.
"""

import argparse
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from plain_selective_scan import plain_directions, plain_unit
from talking_portrait.models.actalker.selective_scan import selective_scan
from talking_portrait.models.actalker.selective_scan_blocked import CHUNK, blocked_scan
from talking_portrait.tools.counted_operations import Operations
from torch import Tensor

try:
    from mambapy.pscan import pscan
except ModuleNotFoundError:
    pscan = None

TOLERANCE = 5e-7  # largest difference over the largest value
STATES = 16
# tokens, channels, directions; the first is ACTalker's call for one frame of 576 x 576 pixels at full
# resolution
SCANS = ((5217, 640, 2), (5217, 640, 1), (5217, 1280, 1))
ROWS = (1, 4, 25, 100)  # frames and branches of one call; 100 is a window with all four branches
UNITS = ((1, 640, 5217), (2, 1280, 1329))  # rows, channels, tokens
# spread of the steps before softplus and factor of A: as Mamba starts, a long memory, hardly forgetting,
# forgetting at once
DECAYS = {"usual": (1.0, 1.0), "slow": (1.0, math.exp(-4)), "hardly any": (1.0, 1e-4), "fast": (8.0, 40.0)}
# freed memory goes back to the system, so peaks are not hidden in a cache
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536"}


def problem(length: int, width: int, directions: int, decay: str = "usual") -> dict[str, Tensor]:
    """Random arguments of selective_scan for one frame: A = -1..-16 as Mamba starts, time steps about 1e-2 to 1."""
    random = torch.Generator().manual_seed(0)
    spread, factor = DECAYS[decay]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    return {
        "u": normal(1, length, width),
        "dt": spread * normal(directions, 1, length, width),
        "A": -factor * torch.arange(1.0, STATES + 1).expand(directions, width, -1).contiguous(),
        "B": normal(directions, 1, length, STATES),
        "C": normal(directions, 1, length, STATES),
        "D": normal(directions, width),
        "bias": normal(directions, width) - 2,
    }


def channels_first(given: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """The same arguments for plain_directions."""
    turned = {
        key: value.mT.contiguous() if key in ("u", "dt", "B", "C") else value for key, value in given.items()
    }
    return {key: value.to(dtype) for key, value in turned.items()}


def parallel_scan(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, bias: Tensor) -> Tensor:
    """selective_scan with mambapy's Blelloch scan for the recurrence."""
    total = 0
    for k in range(len(A)):
        x, raw, b, c = (value.flip(1) if k else value for value in (u, dt[k], B[k], C[k]))
        step = F.softplus(raw + bias[k])
        decays = torch.exp(step[..., None] * A[k])
        values = (step * x)[..., None] * b[:, :, None]
        y = (pscan(decays, values) @ c[..., None])[..., 0] + D[k] * x
        total = total + (y.flip(1) if k else y)
    return total


def in_chunks(**given: Tensor) -> Tensor:
    """The pack's form for a GPU without a kernel, on a CPU too."""
    return blocked_scan(**given, chunk=CHUNK)


FORMS = {"step by step": plain_directions, "blocked": blocked_scan, "mambapy's parallel scan": parallel_scan}


def unit_weights(width: int) -> dict[str, Tensor]:
    """Random weights of one scan unit under their published names."""
    random = torch.Generator().manual_seed(1)
    rank = width // 32

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    return {
        "x_proj_weight": normal(2, rank + 2 * STATES, width) / width**0.5,
        "dt_projs_weight": normal(2, width, rank) / rank**0.5,
        "dt_projs_bias": normal(2, width) - 2,
        "A_logs": torch.arange(1.0, STATES + 1).log().repeat(2 * width, 1),
        "Ds": normal(2 * width),
    }


def unit(tokens: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """ACTalker's scan unit [n,L,W] with channels last throughout: no copy of u, no flip."""
    width, rank = weights["dt_projs_weight"].shape[1:]
    projected = [F.linear(tokens, weight) for weight in weights["x_proj_weight"]]
    low, B, C = (
        torch.stack(parts)
        for parts in zip(*(p.split([rank, STATES, STATES], -1) for p in projected), strict=True)
    )
    dt = torch.stack(
        [F.linear(part, weight) for part, weight in zip(low, weights["dt_projs_weight"], strict=True)]
    )
    A = -torch.exp(weights["A_logs"]).view(2, width, STATES)
    return selective_scan(tokens, dt, A, B, C, weights["Ds"].view(2, width), weights["dt_projs_bias"])


def errors(blocked: Tensor, plain: Tensor, wanted: Tensor) -> dict[str, float]:
    """Largest differences from float64, relative to the largest value; ends the run where the pack's is too large.

    A state that hardly forgets sums thousands of tokens, and float32 rounds each sum: there the step-by-step
    form in float32 is itself beyond the tolerance, and the pack's may be as far from float64 as that, no
    further.
    """
    ours, theirs = (
        float((got.double() - wanted).abs().max() / wanted.abs().max()) for got in (blocked, plain)
    )
    if not ours <= max(TOLERANCE, theirs):
        raise SystemExit(f"the pack's form differs from float64 by {ours:.1e}, so no time is printed")
    return {"blocked": float(f"{ours:.1e}"), "step by step": float(f"{theirs:.1e}")}


def seconds(peers: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, float]:
    """Median process time of each peer, all warm and taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in peers}
    for repeat in range(repeats + 1):
        for name, run in peers.items():
            start = time.process_time()
            run()
            if repeat:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def compared(times: dict[str, float], ours: str = "blocked") -> dict:
    """Seconds of all peers and how many times faster ours is."""
    ratios = {
        f"times faster than {name}": round(value / times[ours], 1)
        for name, value in times.items()
        if name != ours
    }
    return {"seconds": {name: round(value, 4) for name, value in times.items()}, **ratios}


def error_figures(size: tuple[int, int, int]) -> dict[str, dict]:
    """Errors of one size for every kind of decay."""
    found = {}
    for decay in DECAYS:
        given = problem(*size, decay)
        wanted, rounded = (
            plain_directions(**channels_first(given, dtype)).mT for dtype in (torch.float64, torch.float32)
        )
        found[decay] = errors(selective_scan(**given, backend="blocked"), rounded, wanted)
    return found


def scan_figures(length: int, width: int, directions: int, repeats: int) -> dict:
    """Times of one size, after its results were compared."""
    given = problem(length, width, directions)
    plain = channels_first(given)
    peers = {
        "step by step": lambda: plain_directions(**plain),
        "blocked": lambda: selective_scan(**given, backend="blocked"),
        "in chunks": lambda: in_chunks(**given),
    }
    if pscan:
        peers["mambapy's parallel scan"] = lambda: parallel_scan(**given)
    wanted = plain_directions(**channels_first(given, torch.float64)).mT
    found = errors(peers["blocked"](), peers["step by step"]().mT, wanted)
    del wanted
    times = seconds(peers, repeats)
    return {
        "tokens": length, "channels": width, "directions": directions, "errors": found, **compared(times),
        "state updates per second, 1e9": round(length * width * directions * STATES / times["blocked"] / 1e9,
        2),
    }  # fmt: skip


def operations(rows: int) -> dict[str, int]:
    """What one call of the first size starts on a device without a kernel, and how much of it is recurrence."""
    given = {key: value.to("meta") for key, value in problem(1, *SCANS[0][1:]).items()}
    for key in ("u", "dt", "B", "C"):
        given[key] = given[key].new_empty(*given[key].shape[:-3], rows, SCANS[0][0], given[key].shape[-1])
    with Operations() as run:
        blocked_scan(**given)
    return {"operations": run.counted.total(), "multiply-adds": run.counted["aten::addcmul"]}


def unit_figures(rows: int, width: int, length: int, repeats: int) -> dict:
    """Error and times of one size of the whole unit, projections included."""
    tokens = torch.randn(rows, length, width, generator=torch.Generator().manual_seed(0))
    weights = unit_weights(width)
    wanted = plain_unit(tokens.double(), {key: value.double() for key, value in weights.items()})
    figures = {"rows": rows, "channels": width, "tokens": length}
    figures["errors"] = errors(unit(tokens, weights), plain_unit(tokens, weights, published=True), wanted)
    peers = {
        "published layout, step by step": lambda: plain_unit(tokens, weights, published=True),
        "tokens first, step by step": lambda: plain_unit(tokens, weights),
        "blocked": lambda: unit(tokens, weights),
    }
    return {**figures, **compared(seconds(peers, repeats))}


def extra_memory(name: str, size: tuple[int, int, int]) -> float | str:
    """Peak beside arguments and result of one call in a process of its own, MB (Linux)."""
    if not Path("/proc/self/clear_refs").exists():
        return "not measured here"
    command = [sys.executable, __file__, "--memory-of", name, "--size", *map(str, size)]
    return float(
        subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, **MALLOC}
        ).stdout
    )


def print_extra_memory(name: str, size: list[int]) -> None:
    """Runs one peer twice, a small call first, and prints its peak of resident memory less arguments and result, MB."""
    form = FORMS[name]
    for length in (64, size[0]):
        given = problem(length, *size[1:])
        given = channels_first(given) if form is plain_directions else given
        Path("/proc/self/clear_refs").write_text("5")
        before = resident("VmRSS")
        result = form(**given)
        peak = resident("VmHWM") - before - result.numel() * result.element_size() / 1e6
    print(round(peak, 1))


def resident(field: str) -> float:
    """A line of this process's status, MB."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        return print_extra_memory(arguments.memory_of, arguments.size)
    figures = {
        "machine": f"{platform.machine()}, cpu, 1 thread, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}",
        "mambapy": "installed" if pscan else "not installed",
        "errors by decay": error_figures(SCANS[0]),
        "extra memory, MB": {
            name: extra_memory(name, SCANS[0]) for name in FORMS if pscan or "mambapy" not in name
        },
        "started on a GPU without a kernel, by rows": {str(rows): operations(rows) for rows in ROWS},
        "scan": [scan_figures(*size, arguments.repeats) for size in SCANS],
        "unit": [unit_figures(*size, arguments.repeats) for size in UNITS],
    }
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
