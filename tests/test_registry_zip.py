"""What ComfyUI's registry would give to artists: comfy-cli checks and packs a copy of this tree, without network."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
COMFY = Path(sys.executable).parent / "comfy"
TOPS = "tools|training|docs|samples|web|models|nodes|workflows|tests|benchmarks"
PLACES = re.compile(rf"\b(?:{TOPS})/[\w./-]*\w|\b(?:run\.py|NOTICE|LICENSE|CHANGELOG\.md|CONTRIBUTING\.md)\b")
MODULES = re.compile(r"\btalking_portrait\.((?:tools|training)(?:\.\w+)+)")
LEFT_OUT = ("tests/", "benchmarks/")  # what proves a claim lies in the repository alone
# bytes: 12 MB without what hears for the built-in engine, which may take 9
LIMIT = 21_000_000


def comfy(folder: Path, *command: str) -> str:
    """What comfy-cli says in a folder; it may neither ask, nor tell anybody, nor reach a network."""
    quiet = {"DO_NOT_TRACK": "1", "HOME": str(folder.parent), "NO_COLOR": "1", "COLUMNS": "300"}
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [COMFY, "--skip-prompt", *command],
        cwd=folder,
        env=os.environ | quiet | nowhere,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The tree as it would be committed now, in a repository of its own."""
    if not (shutil.which("git") and (ROOT / ".git").exists()):
        pytest.skip("this is no clone, or there is no git")
    told = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    folder = tmp_path_factory.mktemp("registry") / "pack"
    for name in told.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith((".venv", ".comfy/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def packed(copy) -> Path:
    """The zip."""
    comfy(copy, "node", "pack")
    (made,) = copy.glob("*.zip")
    return made


@pytest.fixture(scope="module")
def inside(packed) -> set[str]:
    """Names of the files in it."""
    with zipfile.ZipFile(packed) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_the_registrys_checks_pass(copy):
    said = comfy(copy, "node", "validate")
    assert "All validation checks passed" in said and "Warning" not in said and "warning" not in said


@pytest.mark.slow
def test_the_zip_is_small_and_holds_what_the_page_needs(packed, inside):
    assert packed.stat().st_size < LIMIT
    wanted = [path for folder in ("web", "workflows", "samples") for path in (ROOT / folder).rglob("*")]
    assert {path.relative_to(ROOT).as_posix() for path in wanted if path.is_file()} <= inside
    assert {"__init__.py", "prestartup_script.py", "pyproject.toml", "requirements.txt", "LICENSE"} <= inside
    assert not [name for name in inside if name.startswith((*LEFT_OUT, ".github", ".ci", ".venv", ".comfy/"))]


def texts_for_artists() -> dict[str, str]:
    """Documents, help pages, notes in workflows, and every text that a node can say."""
    files = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("USING", "WEIGHTS", "TRAINING"))]
    files += [*(ROOT / "web" / "docs").rglob("*.md"), *(ROOT / "workflows").glob("*.json")]
    found = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in files}
    for path in (*(ROOT / "nodes").rglob("*.py"), *(ROOT / "models").rglob("*.py")):
        said = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        words = [
            part.value for part in said if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        found[path.relative_to(ROOT).as_posix()] = "\n".join(words)
    return found


def named_files(text: str) -> set[str]:
    """Files of this repository that a text names, by path or as a module to run."""
    modules = {f"{module.replace('.', '/')}.py" for module in MODULES.findall(text)}
    return {name for name in {*PLACES.findall(text), *modules} if (ROOT / name).is_file()}


@pytest.mark.slow
def test_whatever_texts_send_artists_to_is_in_the_zip(inside):
    missing = {
        f"{source}: {name}"
        for source, text in texts_for_artists().items()
        for name in named_files(text) - inside
        if not (name.startswith(LEFT_OUT) and source.startswith("docs/"))
    }
    assert not missing
    everything = set().union(*map(named_files, texts_for_artists().values()))
    assert {"run.py", "tools/convert_joyvasa.py", "training/takin/train.py"} <= everything


def test_the_registry_shows_the_packs_own_icon_and_banner():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    raw = project["project"]["urls"]["Repository"] + "/raw/main/"
    for name, (wide, high) in {"Icon": (1, 1), "Banner": (21, 9)}.items():
        address = project["tool"]["comfy"][name]
        assert address.startswith(raw), name
        with Image.open(ROOT / address.removeprefix(raw)) as picture:
            assert picture.width * high == picture.height * wide and picture.width >= 400, name


def test_only_what_was_tried_is_claimed():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    claimed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    status = (ROOT / "README.md").read_text(encoding="utf-8")
    assert claimed == ["Programming Language :: Python :: 3.11", "Operating System :: POSIX :: Linux"]
    for untried in ("GPU, ", "Windows, macOS, Python 3.10, 3.12, 3.13"):
        (row,) = (line for line in status.splitlines() if line.startswith(f"| {untried}"))
        assert "not tried" in row, "then the classifiers may claim it too"
