"""run.py installs what a ComfyUI needs, and tells pytest what was asked for."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def run():
    """run.py as a module."""
    spec = importlib.util.spec_from_file_location("run_py_of_this_test", ROOT / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def comfyui(tmp_path):
    """A folder with what tells a ComfyUI's version and needs."""

    def made(version: str) -> Path:
        (tmp_path / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')
        needs = ["comfyui-frontend-package==9.9.9", "torch", "av>=99.0.0", "SQLAlchemy>=9", "pydantic~=9.0"]
        (tmp_path / "requirements.txt").write_text("\n".join(needs))
        return tmp_path

    return made


def names(pins: str) -> set[str]:
    return {line.split("==")[0] for line in pins.splitlines()}


def test_all_versions_are_pinned_for_the_comfyui_that_they_were_tested_with(run, comfyui):
    assert run.constraints(comfyui(run.COMFYUI_VERSION)) == (ROOT / "constraints.txt").read_text()


def test_another_comfyui_chooses_its_own_packages(run, comfyui):
    everything = names((ROOT / "constraints.txt").read_text())
    left_out = everything - names(run.constraints(comfyui("9.9.9")))
    own = {name for name in everything if name.startswith("comfyui-")}
    assert own and left_out == own | {"av", "sqlalchemy", "pydantic"} and "torch" not in left_out


def test_the_tools_settings_do_not_ask_for_a_new_installation(run, tmp_path, monkeypatch):
    groups = run.dependency_groups()
    assert '"pytest"' in groups and "[tool" not in groups and "line-length" not in groups
    text = (ROOT / "pyproject.toml").read_text()
    monkeypatch.setattr(run, "ROOT", tmp_path)
    (tmp_path / "pyproject.toml").write_text(text.replace("line-length = 110", "line-length = 100"))
    assert run.dependency_groups() == groups
    (tmp_path / "pyproject.toml").write_text(text.replace('"pytest"', '"pytest", "another"'))
    assert run.dependency_groups() != groups


@pytest.mark.parametrize(
    "given, told",
    [
        ([], ["--durations=20", str(ROOT / "tests")]),
        (["--quick"], ["--durations=20", "-m", "not slow", str(ROOT / "tests")]),
        (["tests/nodes", "-x"], ["--durations=20", "tests/nodes", "-x"]),
        (["--quick", "tests/nodes"], ["--durations=20", "-m", "not slow", "tests/nodes"]),
    ],
)
def test_pytest_is_told_what_was_asked_for(run, given, told):
    assert run.test_arguments(given) == told


@pytest.mark.parametrize("given", [[], ["--quick"]])
def test_the_whole_suite_is_two_groups_that_leave_nothing_out(run, given):
    others, server = run.test_groups(given)
    tests, folder = str(ROOT / "tests"), str(ROOT / "tests" / "server")
    assert others[-3:] == ["--ignore", folder, tests] and server[-1] == folder
    assert ("-m" in others) == ("-m" in server) == bool(given)
    assert run.test_groups(["tests/nodes", *given]) == [run.test_arguments(["tests/nodes", *given])]


@pytest.mark.parametrize(("statuses", "told"), [((0, 0), 0), ((1, 0), 1), ((0, 3), 3), ((2, 3), 2)])
def test_groups_run_side_by_side_and_any_failure_counts(run, capfd, statuses, told):
    commands = [
        [sys.executable, "-c", f"print('group {n}'); raise SystemExit({s})"] for n, s in enumerate(statuses)
    ]
    assert run.run_together(commands, dict(os.environ)) == told
    assert capfd.readouterr().out.split("\n")[:2] == ["group 0", "group 1"]


def test_a_copy_without_tests_says_where_they_are(run, tmp_path, monkeypatch):
    """As ComfyUI's registry gives it; nothing is installed first."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "prepare_environment", lambda: pytest.fail("it installed"))
    with pytest.raises(SystemExit, match="this copy has no tests; they are in the repository"):
        run.main(["test"])
