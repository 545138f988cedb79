"""Published .pth files are read without running anything in them."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from talking_portrait.models.kdtalker.checkpoint import audio_encoder_state, denoiser_state
from talking_portrait.models.safe_pickle import load_tensors
from talking_portrait.nodes.loading import read_weights


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


@pytest.mark.parametrize("new_format", [True, False])
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


@pytest.mark.parametrize("new_format", [True, False])
def test_a_malicious_file_does_not_run(tmp_path, new_format):
    path, target = tmp_path / "KDTalker.pth", tmp_path / "made"
    torch.save({"model": {"point_model.a": torch.ones(1)}, "x": Trap(target)}, path, _use_new_zipfile_serialization=new_format)
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


def test_a_file_without_the_network_says_so():
    with pytest.raises(ValueError, match="not KDTalker's denoiser"):
        denoiser_state({"other": torch.ones(1)})
    with pytest.raises(ValueError, match="not Wav2Lip"):
        audio_encoder_state({"state_dict": {"module.face_decoder.a": torch.ones(1)}})
