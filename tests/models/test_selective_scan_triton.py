"""The Triton kernel of the selective scan: its results in Triton's interpreter, its compilation, and on a GPU
where there is one.

The interpreter is chosen when triton is first imported, so its cases run in a process of their own: this file
as a script.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__)
# rows, tokens, channels, directions, states, type, channels per program
CASES = {
    "one token": (1, 1, 8, 1, 16, "float32", 32),
    "one direction": (2, 37, 40, 1, 16, "float32", 32),
    "two directions": (2, 37, 40, 2, 16, "float32", 32),
    "wide programs": (1, 12, 150, 2, 16, "float32", 128),
    "eight states": (3, 20, 33, 2, 8, "float32", 32),
    "half precision": (2, 37, 40, 2, 16, "float16", 32),
}
LIMITS = {"float32": 1e-6, "float16": 2e-3}
DECAYS = {"slow": 1e-3, "usual": 1.0, "instant": 1e3}


def errors_by_case(device: str, scan) -> dict[str, float]:
    """Largest difference from float64, relative to the largest value, of every case."""
    sys.path.insert(0, str(SCRIPT.parent))
    from test_selective_scan import error, problem, step_by_step

    found = {}
    for name, (rows, length, width, directions, states, dtype, channels) in CASES.items():
        for decay, factor in DECAYS.items():
            given = problem(rows, length, width, directions, states)
            given["A"] = factor * given["A"]
            given.update({key: given[key].to(getattr(torch, dtype)) for key in ("u", "dt", "B", "C")})
            got = scan({key: value.to(device) for key, value in given.items()}, channels)
            assert got.dtype == given["u"].dtype
            found[f"{name}, {decay}"] = error(got.cpu(), step_by_step(**given))
    return found


def run_kernel(given: dict[str, torch.Tensor], channels: int) -> torch.Tensor:
    """triton_scan with a fixed number of channels per program."""
    from talking_portrait.models.actalker import selective_scan_triton as kernels

    kernels.channels_per_program = lambda width, sequences: channels
    return kernels.triton_scan(**given)


def let_interpreter_count() -> None:
    """Triton 3.6's interpreter turns a run-time loop bound into int() of a one-element array, which numpy 2.4
    refuses."""
    from triton.runtime import interpreter

    patch = interpreter._patch_lang_tensor

    def patched(tensor, scope):  # undone with the interpreter's own changes
        patch(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patched


def compiled_sizes() -> dict[str, int]:
    """Bytes of machine code for NVIDIA GPUs from Turing to Hopper, made without one."""
    import triton
    from talking_portrait.models.actalker.selective_scan_triton import _scan_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    numbers = {
        "rates_start": "*fp32",
        "D_start": "*fp32",
        "bias_start": "*fp32",
        "rows": "i32",
        "length": "i32",
        "width": "i32",
    }
    tokens = dict.fromkeys(("u_start", "dt_start", "B_start", "C_start", "y_start"), "*fp16")
    constants = {"STATES": 16, "CHANNELS": 128}
    source = ASTSource(
        _scan_kernel, {**numbers, **tokens, **dict.fromkeys(constants, "constexpr")}, constants
    )
    targets = {f"sm_{version}": GPUTarget("cuda", version, 32) for version in (75, 80, 90)}
    return {
        name: len(triton.compile(source, target, {"num_warps": 1}).asm["cubin"])
        for name, target in targets.items()
    }


def in_own_process(what: str, **environment: str) -> dict:
    """Result of this file as a script."""
    pytest.importorskip("triton", reason="triton is not installed, so its kernel is not used either")
    command = [sys.executable, str(SCRIPT), what, json.dumps(sys.path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def interpreted() -> dict[str, float]:
    return in_own_process("interpret", TRITON_INTERPRET="1")


@pytest.mark.slow
@pytest.mark.parametrize("decay", DECAYS)
@pytest.mark.parametrize("name", CASES)
def test_it_is_the_recurrence(interpreted, name, decay):
    assert interpreted[f"{name}, {decay}"] < LIMITS[CASES[name][5]]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="triton brings NVIDIA's assembler on Linux only")
def test_it_compiles_without_a_gpu():
    assert min(in_own_process("compile", TRITON_INTERPRET="0").values()) > 1000


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_recurrence():
    pytest.importorskip("triton", reason="triton is not installed, so its kernel is not used either")
    for name, value in in_own_process("gpu", TRITON_INTERPRET="0").items():
        assert value < LIMITS[CASES[name.split(",")[0]][5]], name


def test_channels_fill_a_gpu():
    kernels = pytest.importorskip(
        "talking_portrait.models.actalker.selective_scan_triton", exc_type=ImportError
    )
    assert kernels.channels_per_program(640, sequences=200) == 128
    assert kernels.channels_per_program(640, sequences=100) == 64
    assert kernels.channels_per_program(640, sequences=2) == 32


def main(what: str, paths: str) -> None:
    sys.path[:] = json.loads(paths)
    if what == "compile":
        result = compiled_sizes()
    elif what == "interpret":
        let_interpreter_count()
        result = errors_by_case("cpu", run_kernel)
    else:
        result = errors_by_case("cuda", run_kernel)
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
