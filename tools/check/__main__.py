"""Does this machine compute what it should, and how fast? For artists and for reports.

    python3 run.py check [--json] [--models COMFYUI_MODELS] [--seconds N] [--stages WORD ...] [--device cpu]

Tells versions and device, which published weight files are there and whether they can be read, then runs every stage
on the device and compares its numbers with the CPU's, in every precision that it has in the pack, and takes time and
memory. Stages without their files run with random numbers of the same size. Exit status 1 if a stage fails or its
numbers differ. It needs no more than torch, numpy, scipy, safetensors, transformers and einops:

    PYTHONPATH=tools/on_path:COMFYUI python -m talking_portrait.tools.check
"""

import argparse
import copy
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .files import checked_files
from .machine import accelerator, described, finished, memory, on_cpu, timed
from .made import Made, Stage
from .stages import STAGES

# of a result's range, for what 10 or 8 bits of precision leave after many layers
HALF_TOLERANCE = {torch.float16: 0.05, torch.bfloat16: 0.2}


def main() -> int:
    """Check, print, and give the exit status."""
    parser = argparse.ArgumentParser(
        prog="run.py check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    default = Path(os.environ.get("COMFYUI_PATH", ".")) / "models"
    parser.add_argument("--models", type=Path, default=default, help="ComfyUI's models folder")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each time is taken at least")
    parser.add_argument("--stages", nargs="*", default=[], help="only stages with one of these words")
    parser.add_argument("--device", help="cuda, mps or cpu, in the place of the best one")
    given = parser.parse_args()
    device = torch.device(given.device) if given.device else accelerator()
    if device.type == "cpu":
        on_cpu()
    report: dict[str, Any] = {
        "machine": described(device),
        "files": checked_files(given.models),
        "stages": [],
    }
    say = (lambda text: None) if given.json else (lambda text: print(text, flush=True))
    say(machine_text(report["machine"]))
    say(files_text(report["files"]))
    say(
        f"{'stage':31} {'weights':10} {'precision':9} {'size':>5} {'error':>9} {'a second':>22} {'peak MB':>8}"
    )
    chosen = [
        stage for stage in STAGES if not given.stages or any(word in stage.name for word in given.stages)
    ]
    with torch.inference_mode():
        for stage in chosen:
            for row in checked(stage, given.models, device, given.seconds):
                report["stages"].append(with_share(row, report["stages"], stage.part_of))
                say(row_text(row))
    report["good"] = all(row["wrong"] is None for row in report["stages"])
    if given.json:
        print(json.dumps(report, indent=1))
    say("All is well." if report["good"] else "Some stages are not well: see above.")
    return 0 if report["good"] else 1


def checked(stage: Stage, models: Path, device: torch.device, seconds: float):
    """Rows of one stage, one for each precision and size."""
    try:
        made = stage.make(models, stage.sizes[0])
    except ImportError as error:
        yield {
            "stage": stage.name,
            "skipped": f"it needs {error.name}, which is not installed",
            "wrong": None,
        }
        return
    except ValueError as error:
        yield {"stage": stage.name, "wrong": str(error)}
        return
    here = device.type == "cpu"
    expected = made.run((*made.networks, *made.exact), made.inputs, torch.float32).float()
    for dtype in (torch.float32, *(() if here else stage.halves)):
        for size in stage.sizes[: 1 if here else None]:
            row: dict[str, Any] = {
                "stage": stage.name, "weights": made.weights, "precision": str(dtype).removeprefix("torch."),
                "size": size, "error": None, "per_second": None, "unit": stage.unit, "share": None, "peak_mb": None,
                "wrong": None,
            }  # fmt: skip
            try:
                if size == stage.sizes[0]:
                    measure(row, stage, made, expected, dtype, device, seconds)
                else:
                    measure(row, stage, stage.make(models, size), None, dtype, device, seconds)
            except RuntimeError as error:  # too little memory, or an operation that this device lacks
                row["wrong"] = str(error).splitlines()[0][:300]
            yield row
            if row["wrong"]:
                break


def measure(
    row: dict[str, Any], stage: Stage, made: Made, expected: Tensor | None, dtype: torch.dtype,
    device: torch.device, seconds: float,
) -> None:  # fmt: skip
    """Fill in error, speed and memory of a stage on the device. RuntimeError as torch raises it."""
    networks = (
        *(placed(network, device, dtype, made.float_parameters) for network in made.networks),
        *(placed(network, device, torch.float32) for network in made.exact),
    )
    inputs = {name: value.to(device) for name, value in made.inputs.items()}

    def run() -> Tensor:
        result = made.run(networks, inputs, dtype)
        finished(device)
        return result

    row["weights"] = made.weights
    begun = time.perf_counter()
    found = run()
    first = time.perf_counter() - begun
    if expected is not None:
        row["error"] = relative_error(found.float().cpu(), expected)
        most = HALF_TOLERANCE.get(dtype, stage.tolerance)
        if not row["error"] <= most:
            row["wrong"] = (
                f"the numbers differ from the CPU's by {row['error']:.2g} of their range (allowed: {most:g})"
            )
    # a CPU is warm already, from what it was to be compared with
    took, row["peak_mb"] = timed(run, device, seconds, [first] if device.type == "cpu" else [])
    row["per_second"] = made.units / took


def placed(
    network: nn.Module, device: torch.device, dtype: torch.dtype, kept: tuple[str, ...] = ()
) -> nn.Module:
    """A copy of a network on the device in a type, but for parameters in float32 whose names end with one of `kept`;
    the network itself where it is there already."""
    if device.type == "cpu" and dtype == torch.float32:
        return network
    copied = copy.deepcopy(network).to(device, dtype)
    for name, value in network.named_parameters():
        if kept and name.endswith(kept):
            copied.get_parameter(name).data = value.data.to(device)
    return copied


def with_share(row: dict[str, Any], rows: list[dict[str, Any]], part_of: str | None) -> dict[str, Any]:
    """The row with its share of the time of the stage that it is a part of, where that was timed in the same way."""
    for whole in rows:
        alike = all(whole.get(key) == row.get(key) for key in ("precision", "size"))
        if whole["stage"] == part_of and alike and row.get("per_second") and whole.get("per_second"):
            row["share"] = whole["per_second"] / row["per_second"]
    return row


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest number; not a number where the device gave none."""
    return float((found - expected).abs().max() / expected.abs().max())


def machine_text(facts: dict[str, Any]) -> str:
    """The machine in a few lines."""
    plain = {name: value for name, value in facts.items() if name != "packages"}
    packages = ", ".join(f"{name} {value or 'missing'}" for name, value in facts["packages"].items())
    free, total = memory(torch.device(facts["device"]))
    room = "" if facts["device"] == "cpu" else f"\nmemory: {free / 1e9:.1f} of {total / 1e9:.1f} GB free"
    return "\n".join(f"{name}: {value}" for name, value in plain.items()) + room + f"\npackages: {packages}\n"


def files_text(rows: list[dict[str, Any]]) -> str:
    """The weight files in one line each."""
    lines = [
        f"  {row['file']}: "
        + (
            row["wrong"]
            or ("not there" if row["megabytes"] is None else f"{row['megabytes']} MB, can be read")
        )
        for row in rows
    ]
    return "published weight files (docs/WEIGHTS.md says where they come from):\n" + "\n".join(lines) + "\n"


def row_text(row: dict[str, Any]) -> str:
    """One row of the table."""
    if "precision" not in row:
        said = f"NOT WELL: {row['wrong']}" if row["wrong"] else f"not checked: {row['skipped']}"
        return f"{row['stage']:31} {said}"
    error = "" if row["error"] is None else f"{row['error']:.1e}"
    speed = "" if row["per_second"] is None else f"{row['per_second']:.3g} {row['unit']}"
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
    start = f"{row['stage']:31} {row['weights'][:10]:10} {row['precision']:9} {row['size']:5}"
    text = f"{start} {error:>9} {speed:>22} {peak:>8}"
    if row["share"] is not None:
        text += f"   {100 * row['share']:.2g} % of the whole"
    return text if row["wrong"] is None else f"{text}\n    NOT WELL: {row['wrong']}"


if __name__ == "__main__":
    sys.exit(main())
