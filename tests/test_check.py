"""`run.py check`: it says what is well and what is not, and needs few packages."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from talking_portrait.tools import random_fantasytalking, random_joyvasa, random_weights
from talking_portrait.tools.check import __main__ as check
from talking_portrait.tools.check.stages import STAGES
from talking_portrait.tools.random_state import random_state

FEW = {"torch", "numpy", "scipy", "safetensors", "transformers", "einops"}
MISSING = (
    "av",
    "librosa",
    "numba",
    "diffusers",
    "psutil",
    "PIL",
    "comfy.model_management",
    "comfy_aimdo",
    "aiohttp",
    "skimage",
)


def run(monkeypatch, capsys, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["check", "--device", "cpu", "--seconds", "0.01", *arguments])
    return check.main(), capsys.readouterr().out


def test_a_well_machine_is_told_so_with_numbers(monkeypatch, capsys, tmp_path):
    stages = ("built-in: the ear", "built-in: warp", "Takin-ADA: a denoising step")
    status, said = run(monkeypatch, capsys, "--models", str(tmp_path), "--stages", *stages)
    assert status == 0 and "All is well" in said and f"torch {torch.__version__.split('+')[0]}" in said
    assert "kdtalker/KDTalker.pth: not there" in said
    for stage in stages:
        (line,) = (line for line in said.splitlines() if line.startswith(stage))
        assert "0.0e+00" in line


def test_json_holds_the_same(monkeypatch, capsys, tmp_path):
    status, said = run(monkeypatch, capsys, "--models", str(tmp_path), "--stages", "the ear", "--json")
    report = json.loads(said[: said.rindex("}") + 1])
    (row,) = report["stages"]
    assert status == 0 and report["good"] and report["machine"]["packages"]["torch"]
    assert row["per_second"] > 0 and row["error"] == 0 and row["weights"] == "shipped" and row["peak_mb"] > 0


def test_a_device_that_computes_something_else_is_found(monkeypatch, capsys, tmp_path):
    """The second call and all later ones give other numbers, as the device's would."""
    (ear,) = (stage for stage in STAGES if stage.name == "built-in: the ear")

    def make(models, batch):
        made, calls = ear.make(models, batch), []

        def wrong(networks, given, dtype):
            calls.append(1)
            return made.run(networks, given, dtype) * (1.0 if len(calls) == 1 else 1.1)

        return replace(made, run=wrong)

    monkeypatch.setattr(check, "STAGES", (replace(ear, make=make),))
    status, said = run(monkeypatch, capsys, "--models", str(tmp_path))
    assert status == 1 and "NOT WELL: the numbers differ from the CPU's by 0.1" in said


def test_files_that_are_there_are_read_and_damaged_ones_named(monkeypatch, capsys, tmp_path):
    from talking_portrait.models.speech.wav2lip import AudioEncoder

    (tmp_path / "kdtalker").mkdir()
    (tmp_path / "liveportrait").mkdir()
    with torch.device("meta"):
        network = AudioEncoder()
    state = random_state(network, 1)
    published = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": published}, tmp_path / "kdtalker/wav2lip.pth")
    save_file({"x": torch.zeros(4)}, tmp_path / "liveportrait/warping_module.safetensors")
    file = tmp_path / "liveportrait/warping_module.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    _, said = run(monkeypatch, capsys, "--models", str(tmp_path), "--stages", "KDTalker: speech")
    assert "kdtalker/wav2lip.pth: " in said and "MB, can be read" in said
    (line,) = (line for line in said.splitlines() if line.startswith("KDTalker: speech"))
    assert "wav2lip.pt" in line
    (damaged,) = (line for line in said.splitlines() if "warping_module" in line)
    assert "not there" not in damaged and "can be read" not in damaged


def test_networks_of_other_sizes_run_in_theirs(monkeypatch, capsys, tmp_path):
    random_weights.write(tmp_path, small=True)
    stages = ("LivePortrait", "KDTalker: a denoising step")
    status, said = run(
        monkeypatch, capsys, "--models", str(tmp_path), "--stages", *stages, "--seconds", "0.1"
    )
    lines = [line for line in said.splitlines() if line.startswith(stages)]
    assert status == 0, said
    assert len(lines) == 4 and all("random" not in line for line in lines), said


@pytest.mark.slow
@pytest.mark.parametrize("system", ["built-in", "KDTalker", "JoyVASA", "Takin-ADA"])
def test_whole_films_are_timed_and_compared(monkeypatch, capsys, tmp_path, system):
    random_weights.write(tmp_path, small=True)
    random_joyvasa.write(tmp_path, random_joyvasa.SMALL)
    status, said = run(
        monkeypatch, capsys, "--models", str(tmp_path), "--json", "--stages", f"{system}: sound to film"
    )
    (row,) = json.loads(said[: said.rindex("}") + 1])["stages"]
    assert (
        status == 0
        and row["size"] == (50 if system == "built-in" else 1)
        and row["per_second"] > 0
        and row["error"] < 5 / 255
    )


def test_audio_s_share_of_a_block_is_told(monkeypatch, capsys, tmp_path):
    (tmp_path / "model_patches").mkdir()
    random_fantasytalking.write_adapter(tmp_path / "model_patches/fantasytalking_model.ckpt")
    arguments = ("--models", str(tmp_path), "--stages", "FantasyTalking")
    status, said = run(monkeypatch, capsys, *arguments, "--json")
    whole, part = json.loads(said[: said.rindex("}") + 1])["stages"]
    assert status == 0 and whole["share"] is None
    assert part["share"] == whole["per_second"] / part["per_second"]
    lines = [line for line in run(monkeypatch, capsys, *arguments)[1].splitlines() if "0.0e+00" in line]
    assert len(lines) == 2 and lines[1].endswith("% of the whole")


@pytest.mark.slow
def test_a_step_of_actalker_runs_small_with_one_signal_and_with_both(monkeypatch, capsys, tmp_path):
    status, said = run(monkeypatch, capsys, "--models", str(tmp_path), "--stages", "ACTalker")
    lines = [line for line in said.splitlines() if line.startswith("ACTalker: a step")]
    assert status == 0 and len(lines) == 2
    assert all("small " in line and "frames" in line and "0.0e+00" in line for line in lines)


def test_a_scan_keeps_its_decays_in_float32():
    network = torch.nn.Linear(2, 2)
    network.register_parameter("A_logs", torch.nn.Parameter(torch.full((2,), 1 / 3)))
    copied = check.placed(network, torch.device("cpu"), torch.bfloat16, ("A_logs",))
    assert copied.weight.dtype == torch.bfloat16 and torch.equal(copied.A_logs, network.A_logs)
    assert network.weight.dtype == torch.float32


def test_a_file_of_something_else_is_said_and_the_others_are_checked(monkeypatch, capsys, tmp_path):
    (tmp_path / "kdtalker").mkdir()
    torch.save({"state_dict": {"x": torch.zeros(3)}}, tmp_path / "kdtalker/wav2lip.pth")
    stages = ("KDTalker: speech", "Takin-ADA: a denoising step")
    status, said = run(monkeypatch, capsys, "--models", str(tmp_path), "--stages", *stages)
    assert status == 1 and "NOT WELL: it holds no weights called audio_encoder" in said
    assert "Takin-ADA: a denoising step" in said


@pytest.mark.slow
def test_it_runs_with_few_packages(tmp_path):
    """On a bare machine, without a package registry: what it cannot check there it says."""
    block = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','))); sys.argv[1:] = sys.argv[2:]; "
    )
    start = "import runpy; runpy.run_module('talking_portrait.tools.check', run_name='__main__')"
    arguments = [
        "--models",
        tmp_path,
        "--seconds",
        "0.01",
        "--stages",
        "built-in",
        "Takin",
        "ACTalker",
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [sys.executable, "-c", block + start, ",".join(MISSING), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = {line[:31].strip(): line[31:].strip() for line in done.stdout.splitlines()}
    assert "0.0e+00" in lines["built-in: the ear"] and "0.0e+00" in lines["Takin-ADA: a denoising step"]
    for stage in ("built-in: warp", "ACTalker: a step, both"):
        assert lines[stage].startswith("not checked: it needs ")
    for stage in ("built-in: sound to film", "Takin-ADA: sound to film"):
        assert lines[stage] == "not checked: it needs av, which is not installed"
