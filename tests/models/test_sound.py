"""Sound as networks take it, and what is said where the package for it is missing."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from talking_portrait.models.speech.sound import mono

# In a process of its own: numba cannot be imported twice in one.
REFUSING = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ImportError("Numba needs NumPy 2.4 or less.")
sys.meta_path.insert(0, Refuse())
import torch
from talking_portrait.models.speech.sound import mono
assert mono(torch.ones(2, 16000), 16000).tolist() == [1.0] * 16000  # needs no package
try:
    mono(torch.zeros(1, 44100), 44100)
except ValueError as error:
    print(error)
"""


def test_stereo_at_44_khz_becomes_mono_at_16_khz():
    time = torch.arange(44100) / 44100
    tone = torch.sin(2 * torch.pi * 440 * time)
    heard = mono(torch.stack([tone, tone * 0.5]), 44100)
    assert heard.shape == (16000,) and heard.dtype == np.float32
    assert (
        np.abs(heard[500:-500] - 0.75 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[500:-500]).max()
        < 1e-3
    )


@pytest.mark.slow
@pytest.mark.parametrize("package", ["librosa", "soxr"])
def test_a_refused_package_is_said_with_the_command_that_installs_it(package):
    said = subprocess.run(
        [sys.executable, "-c", REFUSING, package], capture_output=True, text=True, timeout=120
    ).stdout
    assert "needs the Python package librosa" in said and "Numba needs NumPy 2.4" in said
    assert "pip install -r requirements.txt" in said
