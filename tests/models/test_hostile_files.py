"""Files that nobody should trust, for every reader: content or one clear sentence, and nothing else happens.

The files are made in tests/models/hostile. A process of its own reads them, for a reader that fails may take
Python with it.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .hostile.cases import KINDS

# A process of its own and thousands of files: the readers themselves are in test_safe_pickle.py and others.
pytestmark = pytest.mark.slow

CHILD = "talking_portrait.tests.models.hostile.child"


def told_by_child(folder, *arguments: str) -> list[dict]:
    """What the reading process said, line by line."""
    # In that folder, for Python puts the current one on its path, and our `nodes` would hide ComfyUI's.
    done = subprocess.run(
        [sys.executable, "-m", CHILD, str(folder), *arguments], capture_output=True, text=True, cwd=folder
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    last = lines[-1] if lines else {}
    assert done.returncode == 0 and last.get("done"), (
        f"the process died of {last.get('started')}: {done.stderr[-2000:]}"
    )
    return lines


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Iterator[list[dict]]:
    """What came of every file."""
    folder = tmp_path_factory.mktemp("hostile")
    yield [line for line in told_by_child(folder) if "outcome" in line]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_file_gives_its_content_or_a_sentence(cases, kind):
    of_kind = [case for case in cases if case["kind"] == kind]
    wrong = [case for case in of_kind if case["faults"] or case["outcome"] not in ("content", "sentence")]
    assert of_kind and not wrong, f"{len(wrong)} of {len(of_kind)}, such as {wrong[:3]}"


def test_right_files_among_them_are_read(cases):
    assert {case["outcome"] for case in cases if case["kind"] == "right files"} == {"content"}


def test_there_are_many_kinds_for_every_reader(cases):
    assert {case["kind"] for case in cases} == set(KINDS) and len(KINDS) >= 20 and len(cases) >= 300
    readers = {"weights", "tensors", "motion", "preset", "template", "statistics", "source", "network"}
    assert {case["reader"] for case in cases} == readers


def test_the_guard_sees_what_it_looks_for(tmp_path):
    *lines, last = told_by_child(tmp_path, "naive")
    found = {line["kind"]: (line["outcome"], " ".join(line["faults"])) for line in lines if "outcome" in line}
    assert "os.mkdir" in found["writes"][1] and "wrote a file" in found["writes"][1]
    assert "os.system" in found["runs"][1]
    assert any("_rebuild_tensor_v2" in name for name in last["changed"])
    assert sys.platform != "linux" or " MB for " in found["takes memory"][1]
    assert found["gives internal words"][0].startswith("raised TypeError")
