"""Sound as networks take it, and what is said where the package for it is missing."""

import sys

import numpy as np
import pytest
import torch
from talking_portrait.models.sound import mono


class Refuse:
    """An import hook: the package is there, but its own dependency refuses it, as numba does with a new NumPy."""

    def __init__(self, package: str):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == self.package:
            raise ImportError("Numba needs NumPy 2.4 or less.")


@pytest.fixture(params=["librosa", "soxr"])
def refused(request, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] in ("librosa", "soxr")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Refuse(request.param), *sys.meta_path])


def test_stereo_at_44_khz_becomes_mono_at_16_khz():
    time = torch.arange(44100) / 44100
    tone = torch.sin(2 * torch.pi * 440 * time)
    heard = mono(torch.stack([tone, tone * 0.5]), 44100)
    assert heard.shape == (16000,) and heard.dtype == np.float32
    assert np.abs(heard[500:-500] - 0.75 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[500:-500]).max() < 1e-3


def test_a_refused_package_is_said_with_the_command_that_installs_it(refused):
    with pytest.raises(ValueError, match=r"needs the Python package librosa.*Numba needs NumPy.*pip install -r requirements.txt"):
        mono(torch.zeros(1, 44100), 44100)


def test_sound_at_16_khz_needs_no_package(refused):
    assert mono(torch.ones(2, 16000), 16000).tolist() == [1.0] * 16000
