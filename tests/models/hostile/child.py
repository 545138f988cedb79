"""Reads every hostile file in a process of its own, which may die of it; a JSON line before and after each.

    python -m talking_portrait.tests.models.hostile.child FOLDER [naive]

With `naive`, Python's own pickle reads some of the files: a proof that the guard sees what it looks for.
"""

import importlib.util
import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .case import Case
from .cases import all_cases, naive_cases
from .guard import BATCH, Guard

ROOT = Path(__file__).resolve().parents[3]
NODE = "Load Motion Engine"
INTERNAL = re.compile(
    r"NoneType|subscript|unpack |object has no|not iterable|positional arg|Traceback|<class|0x[0-9a-fA-F]{6}|"
    r"list index|codec can|invalid literal|KeyError|TypeError|Error:|tuple index|\bdict\b|cannot reshape|"
    r"recursion|out of bounds|expected (a|to)|"
    r"NotImplemented|must be (str|int|real)|dtype|unhashable|\n"
)
Reader = Callable[[Path], Any]


def readers() -> dict[str, Reader]:
    """What reads a path, by name; each gives its content."""
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    import torch
    from talking_portrait.models.face_motion.emotion_presets import load_preset
    from talking_portrait.models.face_motion.storage import load_any
    from talking_portrait.models.joyvasa.motion import read_template
    from talking_portrait.models.kdtalker.motion import read_statistics
    from talking_portrait.models.weights.safe_files import load_tensors
    from talking_portrait.nodes.catalogue.loading import load_shared, read_weights

    torch.set_num_threads(1)
    return {
        "weights": lambda path: read_weights(path, NODE)[0],
        "tensors": load_tensors,
        "motion": load_any,
        "preset": load_preset,
        "template": lambda path: read_template(path, NODE),
        "statistics": lambda path: read_statistics(path, NODE),
        "source": lambda path: run_py().unpack(path, path.parent / "unpacked"),
        "network": lambda path: load_shared("test", path, torch.float32, Network, NODE),
    }  # fmt: skip


def run_py() -> Any:
    """The script at the top, as a module."""
    if "run_py" not in sys.modules:
        spec = importlib.util.spec_from_file_location("run_py", ROOT / "run.py")
        sys.modules["run_py"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["run_py"])
    return sys.modules["run_py"]


def Network(state, metadata, device=None, dtype=None, operations=None) -> Any:
    """A network as large as two tensors of its file say, which multiplies their sizes."""
    import torch

    network = torch.nn.Module()
    for name in ("rows", "columns"):
        setattr(network, name, torch.nn.Parameter(torch.zeros(state[name].shape, device=device, dtype=dtype)))
    network.product = operations.Linear(
        state["rows"].shape[0], state["columns"].shape[1], device=device, dtype=dtype
    )
    return network


def judged(case: Case, path: Path, read: Reader) -> tuple[str, str]:
    """(outcome, text): content, sentence, or what is wrong."""
    try:
        content = read(path)
    except (ValueError, SystemExit) as error:
        text = str(error)
        if (
            INTERNAL.search(text)
            or not text.isprintable()
            or len(text) > 700
            or not text.endswith((".", str(path)))
        ):
            return "unclear sentence", text[:1000]
        return (
            "refused a right file" if case.kept else "sentence"
        ) if path.name in text else "file not named", text
    except BaseException as error:
        return f"raised {type(error).__name__}", str(error)[:500]
    if case.kept and case.reader in ("weights", "tensors") and content["a"].tolist() != [0, 1, 2]:
        return "wrong content", str(content)[:500]
    return "content", ""


def run(folder: Path, cases: Iterable[Case], read: dict[str, Reader]) -> None:
    """Every case, told line by line."""
    empty, files = folder / "empty", folder / "files"
    empty.mkdir()
    files.mkdir()
    os.chdir(empty)
    guard = Guard(files)
    for number, case in enumerate(cases):
        if (
            case.kind != "right files" and not guard.modules
        ):  # what is imported when it is first needed is there by now
            guard.remember_modules()
        path = files / Path(case.name).name
        path.write_bytes(case.data)
        facts = {"kind": case.kind, "name": case.name, "reader": case.reader, "size": len(case.data)}
        tell({"started": facts})
        listed = listing(folder, path)
        guard.arm()
        outcome, text = judged(case, path, read[case.reader])
        seen = guard.disarm(len(case.data))
        faults = seen["faults"] if guard.modules else []
        if listing(folder, path, case.reader == "source") != listed or os.listdir(empty):
            faults.append("wrote a file")
        if number % BATCH == 0:
            faults += [f"this or one of the {BATCH} before it changed {name}" for name in guard.changed()]
        tell({**facts, "outcome": outcome, "text": text, **seen, "faults": faults})
        path.unlink()
        shutil.rmtree(files / "unpacked", ignore_errors=True)
    tell({"done": True, "changed": guard.changed()})


def listing(folder: Path, path: Path, unpacked: bool = False) -> list[tuple[str, int]]:
    """What lies around a case's file, and when it was written; a source may be `unpacked` beside it."""
    near = [
        entry
        for entry in (*path.parent.iterdir(), *folder.iterdir())
        if not (unpacked and entry.name == "unpacked")
    ]
    return sorted((str(entry), entry.stat().st_mtime_ns if entry.is_file() else 0) for entry in near)


def tell(line: dict[str, Any]) -> None:
    """One JSON line for the parent."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    if "naive" in sys.argv[2:]:
        run(
            Path(sys.argv[1]).resolve(),
            naive_cases(),
            {"naive": lambda path: pickle.loads(path.read_bytes())},
        )
    else:
        run(Path(sys.argv[1]).resolve(), all_cases(), readers())
