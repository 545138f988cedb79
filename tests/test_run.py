"""run.py installs what a ComfyUI needs, and tells pytest what was asked for."""

import importlib.util
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
        (["tests/nodes", "-x"], ["--durations=20", "tests/nodes", "-x"]),
        (["--quick", "tests/nodes"], ["--durations=20", "-m", "not slow", "tests/nodes"]),
    ],
)
def test_pytest_is_told_what_was_asked_for(run, given, told):
    assert run.test_arguments(given) == told


@pytest.mark.parametrize("given", [[], ["--quick"]])
def test_the_whole_suite_leaves_nothing_out(run, given):
    told = run.test_arguments(given)
    assert ("not slow" in told) == bool(given) and "loadfile" in told
    parts = [Path(part) for part in told if part.startswith(str(ROOT))]
    files = {path for part in parts for path in ([part] if part.is_file() else part.rglob("test_*.py"))}
    assert files == {*(ROOT / "tests").rglob("test_*.py")}


def test_a_copy_without_tests_says_where_they_are(run, tmp_path, monkeypatch):
    """As ComfyUI's registry gives it; nothing is installed first."""
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "prepare_environment", lambda: pytest.fail("it installed"))
    with pytest.raises(SystemExit, match="this copy has no tests; they are in the repository"):
        run.main(["test"])


@pytest.mark.parametrize("forbidden", ["1", ""])
def test_compiled_code_is_kept_even_where_none_may_lie_among_the_sources(
    run, tmp_path, monkeypatch, forbidden
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", forbidden)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    found = run.environment_variables(tmp_path)
    assert not found.get("PYTHONDONTWRITEBYTECODE")
    assert found.get("PYTHONPYCACHEPREFIX", "").startswith(str(run.VENV)) == bool(forbidden)
