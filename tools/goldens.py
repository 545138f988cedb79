"""Compare the pack's networks with golden data: `python3 run.py python -m talking_portrait.tools.goldens DIR...`

Every *.golden.json under the folders is computed again from the weights, inputs and salt that the file
declares, and each of its
outputs gets one line: file, output, largest absolute error, tolerance, pass or fail. An output that nothing
computes is "not covered". The exit status is 1 if any output fails, or if a file of a finished stage is not
covered.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor

# The cases use core's Wan model, and with it ComfyUI, which would look for an NVIDIA driver.
comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.tools.golden_cases import (  # pyright: ignore[reportMissingImports] (it runs as a file too)
    CASES,
    FINISHED_STAGES,
    MEASURES,
    WANTED,
    Tolerance,
    tolerance,
)

COPIES = Path(__file__).resolve().parent.parent / "tests" / "data" / "goldens"
TABLES = (  # parts of a golden file that are results, but not among its outputs
    "frames", "sizes", "rows", "lengths", "num_frames", "trimmed_samples", "window_start_for_frame",
    "timesteps_50", "timesteps_5",
    "selected_tokens", "windows", "process_bbox", "get_bbox_by_aspect", "center_crop", "masks",
    "frames_per_n_samples",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """The verdict on one output of one file."""

    file: str
    output: str
    error: float | None  # None: not covered
    tolerance: str
    passed: bool

    def __str__(self) -> str:
        error = "not covered" if self.error is None else f"{self.error:.2e}"
        return f"{self.file:44} {self.output:44} {error:>12}  {self.tolerance:22} {'pass' if self.passed else 'FAIL'}"


class GoldenCase:
    """One golden file: its JSON, its filled inputs and weights."""

    def __init__(self, path: Path):
        self.path = path
        self.name = path.name.split(".")[0]
        self.data = json.loads(path.read_text())
        self.salt = self.data.get("salt", "public")

    @cached_property
    def fill(self) -> ModuleType:
        """The filling rules of the file: the folder's own (kd_fill, jv_fill) or the common ones."""
        wanted = self.data.get("fill", "fill")
        return helper(self.path.parent, "fill" if wanted in ("none", None) else wanted)

    @cached_property
    def measured(self) -> ModuleType:
        """What builds the inputs and weights of the measures' files."""
        return helper(self.path.parent, "metric_inputs")

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        """Every declared input, by name."""
        return {spec["name"]: self._input(spec) for spec in self.data.get("inputs", [])}

    def _input(self, spec: dict) -> Tensor:
        common = helper(self.path.parent, "fill")
        if spec["kind"] == "normal":
            value = common.inputs(spec["name"], spec["shape"], self.salt, spec.get("scale", 1.0))
        elif spec["kind"] == "uniform":
            value = spec.get("scale", 1.0) * common.uniform(spec["name"], spec["shape"], self.salt)
        elif spec["kind"] == "rect":
            top, bottom, left, right = spec["rect"]
            value = torch.zeros(spec["shape"])
            value[..., top:bottom, left:right] = 1
        else:
            value = {"ones": torch.ones, "zeros": torch.zeros}[spec["kind"]](spec["shape"])
        value = value + spec.get("offset", 0.0)
        return value.to(torch.uint8) if "uint8" in spec.get("dtype", "") else value

    def manifest(self, name: str) -> dict:
        """The manifest of a published file, beside the golden or in the repository's own copy."""
        return json.loads(companion(self.path.parent, f"{name}.manifest.json").read_text())

    def weights(self, shapes: str | dict) -> dict[str, Tensor]:
        """The filled state dict of some shapes, or of a published file by the name of its manifest."""
        if isinstance(shapes, str) and shapes.endswith(".json"):
            content = json.loads(companion(self.path.parent, shapes).read_text())
            shapes = content.get("keys", content)
        return self.fill.state_dict(
            self.manifest(shapes)["keys"] if isinstance(shapes, str) else shapes, self.salt
        )

    def wanted(self) -> dict:
        """What must be computed again: the outputs, and the tables that stand beside them."""
        if self.name in WANTED:
            return dict(WANTED[self.name](self.data))
        tables = {key: self.data[key] for key in TABLES if key in self.data}
        return {**self.data.get("outputs", {}), **tables}


def companion(folder: Path, name: str) -> Path:
    """A file that goldens need: in their folder or above it, else in the repository's copies."""
    own = sorted(COPIES.rglob(name))
    for path in [*(place / name for place in (folder, *folder.parents)), *own]:
        if path.is_file():
            return path
    raise SystemExit(
        f"{name}, which these goldens need, is neither in {folder}, nor above it, nor in {COPIES}."
    )


def helper(folder: Path, name: str) -> ModuleType:
    """A module that fills weights and inputs."""
    path = companion(folder, f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"golden_{name}_{abs(hash(str(path)))}", path)
    assert spec is not None and spec.loader is not None  # it is a file of Python
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judge(case: GoldenCase, output: str, got: Tensor | None) -> Line:
    """Shape and probed values of one output against the file."""
    limit = tolerance(case.name, output)
    wanted = case.wanted()[output]
    if got is None:
        return Line(case.path.name, output, None, str(limit), False)
    if case.name in MEASURES and not isinstance(wanted, (dict, str)):
        return judged_numbers(case.path.name, output, got, wanted, limit)
    if not (isinstance(wanted, dict) and "values" in wanted):
        error = difference(got, wanted)
        return Line(case.path.name, output, error, str(limit), error <= limit.of(torch.ones(1)).item())
    got = torch.as_tensor(np.asarray(got) if not isinstance(got, Tensor) else got).detach()
    values = torch.tensor(wanted["values"], dtype=torch.float64)
    if list(got.shape) != wanted["shape"]:
        return Line(
            case.path.name,
            f"{output} {list(got.shape)} for {wanted['shape']}",
            float("inf"),
            str(limit),
            False,
        )
    error = (got.double().flatten()[torch.tensor(wanted["idx"])] - values).abs()
    return Line(
        case.path.name, output, float(error.max()), str(limit), bool((error <= limit.of(values)).all())
    )


def judged_numbers(file: str, output: str, got: Any, wanted: Any, limit: Tolerance) -> Line:
    """A number or a list of numbers against the file's."""
    found, sought = (torch.as_tensor(np.asarray(value, dtype=np.float64)) for value in (got, wanted))
    if found.shape != sought.shape:
        return Line(
            file, f"{output} {list(found.shape)} for {list(sought.shape)}", float("inf"), str(limit), False
        )
    error = (found - sought).abs()
    within = bool((error <= limit.of(sought)).all()) if error.numel() else True
    return Line(file, output, float(error.max()) if error.numel() else 0.0, str(limit), within)


def difference(got: Any, wanted: Any) -> float:
    """Largest difference of nested lists, tables and numbers; infinite where they are built otherwise."""
    if isinstance(got, Tensor):
        got = got.tolist()
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or got.keys() != wanted.keys():
            return float("inf")
        return max((difference(got[key], value) for key, value in wanted.items()), default=0.0)
    if isinstance(wanted, list):
        if not isinstance(got, (list, tuple)) or len(got) != len(wanted):
            return float("inf")
        return max((difference(a, b) for a, b in zip(got, wanted, strict=True)), default=0.0)
    if isinstance(wanted, (int, float)):
        return abs(got - wanted) / max(1.0, abs(wanted))
    return 0.0 if got == wanted else float("inf")


def evaluate(path: Path) -> Iterator[Line]:
    """The lines of one golden file."""
    case = GoldenCase(path)
    compute = CASES.get(case.name)
    if compute is None:
        done = path.parent.name in FINISHED_STAGES
        yield Line(
            path.name,
            f"all {len(case.wanted())}",
            None,
            "finished stage" if done else "stage to come",
            not done,
        )
        return
    with torch.inference_mode():
        outputs = compute(case)
    for name in case.wanted():
        yield judge(case, name, outputs.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the pack's networks with golden data.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders with *.golden.json, searched through")
    files = sorted({path for folder in parser.parse_args().folders for path in folder.rglob("*.golden.json")})
    if not files:
        print("There is no *.golden.json under these folders.")
        return 1
    lines = []
    for path in files:
        for line in evaluate(path):
            print(line, flush=True)
            lines.append(line)
    failed, covered = (
        [line for line in lines if not line.passed],
        [line for line in lines if line.error is not None],
    )
    passed = len(covered) - sum(line.error is not None for line in failed)
    later = sum(line.error is None and line.passed for line in lines)
    print(
        f"{len(files)} files: {passed} outputs pass, {len(failed)} fail, {later} files belong to stages to come"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
