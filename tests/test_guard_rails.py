"""The guard rails as whoever keeps this code meets them: no lint, no unformatted file, no wrong type, nothing that
Python 3.10 cannot read, and the same checks before a commit."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
OLDEST = (3, 10)
LEFT_OUT = {".venv", ".comfy"}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if not LEFT_OUT & set(path.relative_to(ROOT).parts)]


def complaints(*command: object) -> str:
    """What a program of the environment has to say of the repository; empty if it is content."""
    program, *rest = map(str, command)
    done = subprocess.run([PROGRAMS / program, *rest], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_there_is_no_lint():
    assert not complaints("ruff", "check", ".")


def test_all_code_is_formatted():
    assert not complaints("ruff", "format", "--check", ".")


@pytest.mark.slow
def test_all_types_fit(tmp_path):
    """With the ComfyUI and the packages that the tests run on, wherever they lie."""
    settings = {"extends": str(ROOT / "pyproject.toml"), "extraPaths": [os.environ["COMFYUI_PATH"]]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    assert not complaints("pyright", "--project", tmp_path, "--pythonpath", sys.executable)


def test_a_wrong_type_is_found(tmp_path):
    """The settings of the repository see an argument that does not fit, and a name that Python 3.10 lacks."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from enum import StrEnum\n\n\ndef half(x: int) -> float:\n    return x / 2\n\n\nhalf('a')\n"
    )
    settings = {"extends": str(ROOT / "pyproject.toml"), "include": [str(wrong)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    found = complaints("pyright", "--project", tmp_path, "--pythonpath", sys.executable)
    assert "reportArgumentType" in found and '"StrEnum" is unknown import symbol' in found


def test_the_oldest_python_can_read_all_code():
    """What its library lacks is found by the types above, which are those of Python 3.10."""
    assert len(FILES) > 300
    for path in FILES:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=OLDEST)


def test_newer_syntax_is_not_taken_for_old():
    with pytest.raises(SyntaxError):
        ast.parse("try:\n    pass\nexcept* OSError:\n    pass\n", feature_version=OLDEST)


@pytest.mark.slow
def test_a_commit_meets_the_same_rails():
    (source,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert source["repo"] == "local"  # nothing is fetched
    commands = [hook["entry"].replace(" --force-exclude", "") for hook in source["hooks"]]
    assert commands == [".venv/bin/ruff check", ".venv/bin/ruff format --check", ".venv/bin/pyright"]
