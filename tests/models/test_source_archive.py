"""run.py unpacks a source archive safely on every Python, also where tarfile has no filters yet."""

import importlib.util
import os
import stat
from pathlib import Path

import pytest

from .hostile.sources import source, sources

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ("source/vendor/ComfyUI/main.py", b"print()\n", {"mode": 0o644})
PROGRAM = ("source/vendor/ComfyUI/start.sh", b"#!/bin/sh\n", {"mode": 0o4755})
CASES = dict(sources())


@pytest.fixture(params=["with filters", "without"])
def run(request, monkeypatch):
    """run.py as a module, on a Python of either age."""
    spec = importlib.util.spec_from_file_location("run_py_of_the_test", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if request.param == "without":
        monkeypatch.delattr(module.tarfile, "data_filter", raising=False)
    return module


def test_a_source_is_unpacked(run, tmp_path):
    (tmp_path / "source.tar.gz").write_bytes(source(PLAIN, PROGRAM))
    run.unpack(tmp_path / "source.tar.gz", tmp_path / "out")
    made = tmp_path / "out" / "source" / "vendor" / "ComfyUI"
    assert (made / "main.py").read_bytes() == PLAIN[1] and sorted(os.listdir(made)) == ["main.py", "start.sh"]
    assert os.name == "nt" or stat.S_IMODE((made / "start.sh").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", CASES)
def test_what_leads_out_or_is_too_large_is_refused(run, tmp_path, name):
    (tmp_path / name).write_bytes(CASES[name])
    with pytest.raises(
        SystemExit, match=r"run.py: .*\.tar\.gz cannot be unpacked \(.*\)\. Run again, or set COMFYUI_PATH"
    ):
        run.unpack(tmp_path / name, tmp_path / "out")
    found = [
        path for path in tmp_path.rglob("*") if path.is_symlink() or not (path.is_dir() or path.is_file())
    ]
    assert not found and set(os.listdir(tmp_path)) <= {name, "out"}
    assert not Path("/tmp/canary").exists()
