"""Published .pth files are read without running anything in them; their writers' forms all load."""

import argparse
import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_portrait.models.kdtalker.checkpoint import audio_encoder_state, denoiser_state
from talking_portrait.models.weights import safe_files
from talking_portrait.models.weights.safe_files import load_tensors
from talking_portrait.models.weights.safe_files import tensors as tensors_module
from talking_portrait.nodes.catalogue.loading import read_weights

from .hostile.archives import saved

FORMATS = {"zip": True, "stream of pickles": False}


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


class Config(dict):
    """Stands for the configuration object that a trainer leaves in its checkpoint."""

    def __init__(self, **values):
        super().__init__(values)
        self.flags = values


@pytest.mark.parametrize("new_format", FORMATS.values(), ids=FORMATS)
def test_tensors_come_out_beside_foreign_objects(tmp_path, new_format):
    path = tmp_path / "model.pth"
    content = {"model": {"point_model.a": torch.arange(3.0)}, "cfg": Config(width=3), "epoch": 7}
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    found = load_tensors(path)
    assert torch.equal(found["model"]["point_model.a"], torch.arange(3.0)) and found["epoch"] == 7
    assert not isinstance(found["cfg"], Config)
    assert list(denoiser_state(found)) == ["point_model.a"]


@pytest.mark.parametrize("new_format", FORMATS.values(), ids=FORMATS)
def test_a_malicious_file_does_not_run(tmp_path, new_format):
    path, target = tmp_path / "KDTalker.pth", tmp_path / "made"
    torch.save(
        {"model": {"point_model.a": torch.ones(1)}, "x": Trap(target)},
        path,
        _use_new_zipfile_serialization=new_format,
    )
    load_tensors(path)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists(), "the trap does not work, so this test proves nothing"


def test_a_bare_malicious_pickle_is_refused(tmp_path):
    path, target = tmp_path / "wav2lip.pth", tmp_path / "made"
    path.write_bytes(pickle.dumps(Trap(target)))
    with pytest.raises(ValueError, match="wav2lip.pth cannot be read"):
        read_weights(path, "Load Motion Engine")
    assert not target.exists()


def trained() -> dict:
    """A checkpoint as trainers leave it: weights in a wrapper, optimiser, arguments, numbers of numpy's."""
    layer = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7])
    return {
        "state_dict": {f"module.audio_encoder.{key}": value for key, value in layer.state_dict().items()},
        "parameters": collections.OrderedDict(a=torch.nn.Parameter(torch.ones(2, 3).t())),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "epoch": 7,
        "step": np.int64(900),
        "best_val": np.float64(0.5),
        "curve": np.ones(3),
        "args": argparse.Namespace(root=Path("data"), device=torch.device("cpu")),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "names": {"a", "b"},
        "history": collections.defaultdict(list, a=[1.0]),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new_format", FORMATS.values(), ids=FORMATS)
def test_a_trainers_checkpoint_gives_its_weights(tmp_path, new_format, protocol):
    path, content = tmp_path / "wav2lip.pth", trained()
    torch.save(content, path, _use_new_zipfile_serialization=new_format, pickle_protocol=protocol)
    found = load_tensors(path)
    weights = audio_encoder_state(found)
    assert weights.keys() == {"audio_encoder.weight", "audio_encoder.bias"}
    assert all(torch.equal(value, content["state_dict"][f"module.{key}"]) for key, value in weights.items())
    assert torch.equal(found["parameters"]["a"], torch.ones(3, 2)) and found["epoch"] == 7
    assert found["optimizer"]["param_groups"][0]["lr"] == 0.001


KINDS = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
    torch.float8_e4m3fn,
    torch.uint16,
]


@pytest.mark.parametrize("new_format", FORMATS.values(), ids=FORMATS)
def test_every_kind_and_view_of_a_tensor_comes_back(tmp_path, new_format):
    values = torch.tensor([[0, 1, 2], [3, 4, 5]])
    content = {str(kind): values.to(kind) for kind in KINDS}
    whole = torch.arange(24.0)
    content |= {
        "view": whole[3:20:2],
        "turned": whole.reshape(4, 6).t(),
        "number": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "spread": torch.ones(1).expand(5, 3),
        "tied": whole,
        "half": whole[12:],
    }
    path = tmp_path / "model.pth"
    torch.save(content, path, _use_new_zipfile_serialization=new_format)
    found = load_tensors(path)
    assert found.keys() == content.keys()
    for key, value in content.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape, key
        assert torch.equal(found[key].float(), value.float()), key


def test_files_without_check_sums_are_read_and_others_are_checked(tmp_path):
    path = tmp_path / "model.pth"
    numbers = torch.arange(1000.0)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": numbers}, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(load_tensors(path)["a"], numbers)
    torch.save({"a": numbers}, path)
    data = bytearray(path.read_bytes())
    place = data.index(numbers.numpy().tobytes())
    data[place + 2000] ^= 1
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match="model.pth cannot be read .a check sum does not fit: it was damaged on the way"
    ):
        load_tensors(path)


@pytest.mark.parametrize("name", ["a.pth", "a.PTH", "a.bin", "a.sft", "a.safetensors", "a"])
def test_the_content_decides_and_not_the_ending(tmp_path, name):
    from safetensors.torch import save

    path = tmp_path / name
    for data in (
        saved({"a": torch.ones(2)}),
        saved({"a": torch.ones(2)}, False),
        save({"a": torch.ones(2)}, {"b": "c"}),
    ):
        path.write_bytes(data)
        state, _ = read_weights(path, "Load Motion Engine")
        assert torch.equal(state["a"], torch.ones(2))
    assert read_weights(path, "Load Motion Engine")[1] == {"b": "c"}


def test_numbers_as_names_and_other_parts_are_no_weights():
    other = {"model": {3: torch.ones(1), "point_model.a": torch.ones(1), "point_model.b": 5}, "state_dict": 7}
    assert list(denoiser_state(other)) == ["point_model.a"]
    with pytest.raises(ValueError, match="not Wav2Lip"):
        audio_encoder_state(other)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried 9"
        ),
        OSError(12, "Cannot allocate memory"),
    ],
    ids=["Python", "torch", "system"],
)
def test_full_memory_is_not_called_a_bad_file(tmp_path, monkeypatch, error):
    def full(*_, **__):
        raise error

    path = tmp_path / "model.pth"
    torch.save({"a": torch.ones(2)}, path)
    monkeypatch.setattr(tensors_module.torch, "empty", full)
    with pytest.raises(
        ValueError, match="not enough memory to load model.pth .0 MB.; close other programs"
    ) as caught:
        read_weights(path, "Load Motion Engine")
    assert "Download" not in str(caught.value)


def test_a_file_without_the_network_says_so():
    with pytest.raises(ValueError, match="not KDTalker's denoiser"):
        denoiser_state({"other": torch.ones(1)})
    with pytest.raises(ValueError, match="not Wav2Lip"):
        audio_encoder_state({"state_dict": {"module.face_decoder.a": torch.ones(1)}})


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def endless(path):
    path.symlink_to("/dev/zero")


def nowhere(path):
    path.symlink_to(path.with_name("gone"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has none of these in folders")
@pytest.mark.parametrize(
    "make", [folder, pipe, endless, nowhere], ids=["folder", "pipe", "device", "dead link"]
)
def test_what_is_no_file_is_said(tmp_path, make):
    for name, read in {
        "a.pth": load_tensors,
        "a.pkl": safe_files.load_arrays,
        "a.safetensors": safe_files.read_safetensors,
        "a.json": lambda path: safe_files.load_json(path, 100),
        "a.npz": lambda path: safe_files.load_npz(path, ["x"], 100),
    }.items():
        make(tmp_path / name)
        with pytest.raises(
            ValueError,
            match=f"{name} cannot be read .(it is a folder, not a file|it is no file|there is no such file)",
        ):
            read(tmp_path / name)
