"""Loaders that ask for one file share one model under ComfyUI's memory manager, in the real server."""

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

# Full-size files.
pytestmark = pytest.mark.slow

GOOD = {"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(2)}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "probe.safetensors"
    save_file(GOOD, path)
    return path


def report(server, path: Path, dtypes: tuple[str, str] = ("float32", "float32")) -> dict:
    prompt = {
        "1": {"class_type": "ProbeLoadA", "inputs": {"path": str(path), "dtype": dtypes[0]}},
        "2": {"class_type": "ProbeLoadB", "inputs": {"path": str(path), "dtype": dtypes[1]}},
        "3": {"class_type": "ProbeReport", "inputs": {"a": ["1", 0], "b": ["2", 0]}},
    }
    return json.loads(server.run(prompt)["3"]["text"][0])


def alive(server) -> int:
    tick = time.monotonic_ns() % 2**31
    return json.loads(
        server.run({"1": {"class_type": "ProbeAlive", "inputs": {"tick": tick}}})["1"]["text"][0]
    )


def test_two_loaders_share_one_model(server, weights):
    facts = report(server, weights)
    assert facts == {"same_patcher": True, "same_storage": True, "alive": 1, "managed": 1, "answer": 3.0}


def test_another_precision_is_another_model(server, weights):
    facts = report(server, weights, ("float32", "bfloat16"))
    assert not facts["same_patcher"] and facts["alive"] == 2


def test_a_file_changed_on_disk_is_read_again(server, weights):
    assert report(server, weights)["answer"] == 3.0
    save_file({"layer.weight": torch.full((2, 3), 2.0), "layer.bias": torch.zeros(2)}, weights)
    assert report(server, weights)["answer"] == 6.0


def test_it_unloads_when_comfyui_asks(server, weights):
    report(server, weights)
    assert alive(server) >= 1
    server.post("/free", {"unload_models": True, "free_memory": True})
    deadline = time.monotonic() + 20
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert alive(server) == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), "cannot be read"),
        (lambda path: path.unlink(), "No such file|does not exist"),
        (
            lambda path: save_file({"layer.weight": torch.ones(2, 3), "layer.bias": torch.zeros(5)}, path),
            "size mismatch",
        ),
        (lambda path: save_file({"layer.weight": torch.ones(2, 3)}, path), "1 tensors are missing"),
        (lambda path: save_file({**GOOD, "x": torch.ones(1)}, path), "left over"),
    ],
    ids=["truncated", "missing", "wrong shape", "missing tensor", "left over"],
)
def test_a_bad_file_is_refused_by_name(server, weights, spoil, reason):
    from talking_portrait.tools.comfy_server import PromptError

    spoil(weights)
    with pytest.raises(PromptError, match=reason):
        report(server, weights)
