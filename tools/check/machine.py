"""What a machine is and has, and how time and memory are taken on it."""

import importlib.metadata
import platform
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "transformers",
    "safetensors",
    "einops",
    "diffusers",
    "librosa",
    "numba",
    "av",
    "triton",
)


def accelerator() -> torch.device:
    """The GPU, else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def described(device: torch.device) -> dict[str, Any]:
    """Versions, system and device, for a report."""
    found: dict[str, Any] = {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "cpu": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "device": str(device),
    }
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        found |= {"gpu": facts.name, "gpu_memory_gb": round(facts.total_memory / 1e9, 1)}
    return found | {"packages": {name: version(name) for name in PACKAGES}}


def version(name: str) -> str | None:
    """A package's version, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def memory(device: torch.device) -> tuple[int, int]:
    """Bytes that are free, and that there are in all; 8 GB where that cannot be asked."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(free), int(total)
    return 8 << 30, 8 << 30


def finished(device: torch.device) -> None:
    """Wait until all work given to the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def on_cpu() -> None:
    """Tell ComfyUI, where it is there, to leave a GPU alone; it must be told before its memory manager is imported."""
    try:
        from comfy.cli_args import args
    except ImportError:
        return
    args.cpu = True


def timed(
    work: Callable[[], Any], device: torch.device, seconds: float, took: list[float]
) -> tuple[float, float]:
    """(seconds a call, peak memory in MB) of as many calls as fit; `took` are seconds of calls before that count too.

    `work` returns when the device is done. The median of calls; the peak is the device's, on a CPU that of the process
    so far.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    while sum(took) < seconds and len(took) < 200:
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 1e6
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return sorted(took)[len(took) // 2], peak
