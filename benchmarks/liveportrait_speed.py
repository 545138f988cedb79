"""LivePortrait's frame (warping and generator): the plain form and the pack's in one run.

    python3 run.py python benchmarks/liveportrait_speed.py [--threads N] [--repeats N] [--out FILE]

Equality first: no time is printed if the forms differ. Peers run in turn (plain, ours, ours in half
precision); on a CPU the process's own time is taken, which neighbours on the machine do not change, on a GPU
the wall time of synchronised batches.
"""

import argparse
import json
import platform
import resource
import statistics
import time
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from plain_liveportrait import PlainRenderer
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.models.liveportrait.generator import SpadeGenerator
from talking_portrait.models.liveportrait.warping import WarpingModule, WarpSource
from talking_portrait.tools.random_weights import liveportrait_states

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TOLERANCE = 1e-3  # of a picture in 0..1, float32: a quarter of an 8-bit step


def moment() -> float:
    """Seconds: process time on a CPU, wall time after all work on a GPU."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


class Ours:
    """The pack's forms in one type; the source is prepared once, as in a film."""

    def __init__(self, states: dict, dtype: torch.dtype, volume: torch.Tensor, source: torch.Tensor):
        self.warping, self.generator = WarpingModule(), SpadeGenerator()
        self.warping.load_state_dict(states["warping"])
        self.generator.load_state_dict(states["generator"])
        self.warping, self.generator = (
            net.eval().to(DEVICE, dtype) for net in (self.warping, self.generator)
        )
        self.source: WarpSource = self.warping.prepare(volume.to(dtype), source)

    def frame(self, driving: torch.Tensor) -> torch.Tensor:
        """[B,21,3] -> [B,3,512,512]."""
        return self.generator(self.warping(self.source, driving)).float()


def peak_memory() -> float:
    """Largest memory of this process so far, MB (of the GPU, where there is one)."""
    if DEVICE.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(arguments: argparse.Namespace) -> dict:
    """All figures of one run."""
    states = liveportrait_states()
    states = {part: states[FILES[part].safetensors] for part in ("warping", "generator")}
    random = torch.Generator().manual_seed(0)
    volume = torch.randn(1, 32, 16, 64, 64, generator=random).to(DEVICE)
    source = 0.3 * torch.randn(1, 21, 3, generator=random).to(DEVICE)
    driving = source + 0.05 * torch.randn(1, 21, 3, generator=random).to(DEVICE)
    plain = PlainRenderer(
        *({k: v.to(DEVICE) for k, v in states[part].items()} for part in ("warping", "generator"))
    )
    half = torch.bfloat16 if DEVICE.type == "cpu" else torch.float16
    ours = {
        name: Ours(states, dtype, volume, source)
        for name, dtype in (("float32", torch.float32), ("half", half))
    }
    with torch.inference_mode():
        wanted = plain.draw(plain.warp(volume, source, driving))
        error = float((ours["float32"].frame(driving) - wanted).abs().max())
        if error > TOLERANCE:
            raise SystemExit(f"the forms differ by {error:.1e}, so no time is printed")
        peers = {
            "plain float32": lambda: plain.draw(plain.warp(volume, source, driving)),
            "ours float32": lambda: ours["float32"].frame(driving),
            f"ours {str(half).removeprefix('torch.')}": lambda: ours["half"].frame(driving),
        }
        times: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(arguments.repeats):
            for name, run in peers.items():
                start = moment()
                run()
                times[name].append(moment() - start)
        mean_square = float((ours["half"].frame(driving) - wanted).square().mean())
    first = statistics.median(times["plain float32"])
    return {
        "machine": f"{platform.machine()}, {DEVICE}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "largest difference, float32": error,
        "half precision against float32, dB (random weights)": round(-10 * torch.tensor(mean_square).log10().item(), 1),
        "seconds per frame": {name: round(statistics.median(values), 3) for name, values in times.items()},
        "ratio to plain float32": {name: round(first / statistics.median(values), 2) for name,
        values in times.items()},
        "frames per second, half, by batch": batched(ours["half"],
        driving) if DEVICE.type == "cuda" else "no GPU",
        "peak memory of the process with all three forms, MB": round(peak_memory()),
    }  # fmt: skip


def batched(form: Ours, driving: torch.Tensor) -> dict[int, float]:
    """Frames per second on a GPU for several batch sizes."""
    result = {}
    with torch.inference_mode():
        for size in (1, 4, 8, 16):
            many = driving.expand(size, -1, -1).contiguous()
            for _ in range(3):
                form.frame(many)
            start = moment()
            for _ in range(20):
                form.frame(many)
            result[size] = round(20 * size / (moment() - start), 1)
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = measure(arguments)
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
