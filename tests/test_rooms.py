"""The pack is laid out in rooms that use each other one way: nodes, models, and what the systems of models share."""

from pathlib import Path

import pytest
from talking_portrait.tools import rooms
from talking_portrait.tools.import_graph import circles, imports_of


@pytest.fixture(scope="module")
def plan() -> rooms.Plan:
    return rooms.read_plan()


def test_no_rooms_and_no_files_import_each_other(plan):
    assert not plan.room_circles()
    assert not plan.file_circles(late=False)


def test_nothing_is_imported_upward(plan):
    assert not [f"{found.source}:{found.line} -> {found.target}" for found in plan.upward()]


def test_no_room_holds_over_a_quarter(plan):
    assert not plan.too_large()


def test_the_report_names_rooms_arrows_and_findings(plan, capsys):
    assert rooms.main() == 0
    said = capsys.readouterr().out
    for words in ("models/face_motion", "nodes/catalogue  ", "circles of rooms: 0", "upward arrows: 0"):
        assert words in said


def written(folder: Path, files: dict[str, str]) -> rooms.Plan:
    """A pack of these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return rooms.read_plan(folder)


def test_files_in_a_circle_are_found_but_late_imports_are_told_apart(tmp_path):
    files = {
        "models/takin/a.py": "from . import b\n",
        "models/takin/b.py": "from talking_portrait.models.takin.a import x\n",
        "models/face/c.py": "from .d import y\n",
        "models/face/d.py": "def f():\n    from .c import z\n",
    }
    plan = written(tmp_path, files)
    assert plan.file_circles(late=False) == [["models/takin/a.py", "models/takin/b.py"]]
    assert ["models/face/c.py", "models/face/d.py"] in plan.file_circles(late=True)


def test_rooms_in_a_circle_are_found_also_by_late_imports(tmp_path):
    files = {
        "nodes/a.py": "from .catalogue.b import x\n",
        "nodes/catalogue/b.py": "def f():\n    from ..c import y\n",
        "nodes/c.py": "",
    }
    assert written(tmp_path, files).room_circles() == [["nodes", "nodes/catalogue"]]


@pytest.mark.parametrize(
    "source, statement",
    [
        ("models/face/a.py", "from ...nodes import portrait"),
        ("models/face/a.py", "from comfy_api.latest import io"),
        ("models/engine.py", "import comfy_api.latest"),
        ("models/kdtalker/a.py", "from ..takin import engine"),
        ("models/speech/a.py", "from talking_portrait.models.joyvasa.engine import x"),
        ("models/engine.py", "from .kdtalker import engine"),
        ("nodes/a.py", "from ..tools.headless import main"),
        ("nodes/a.py", "from ..training import tiny"),
        ("tools/a.py", "from ..nodes import portrait"),
    ],
)
def test_an_import_the_wrong_way_is_found(tmp_path, source, statement):
    there = ["nodes/portrait", "models/takin/engine", "models/joyvasa/engine", "models/kdtalker/engine"]
    there += ["tools/headless", "training/tiny"]
    plan = written(tmp_path, {f"{name}.py": "" for name in there} | {source: statement + "\n"})
    assert [found.source for found in plan.upward()] == [source]


@pytest.mark.parametrize(
    "source, statement",
    [
        ("nodes/a.py", "from comfy_api.latest import io"),
        ("nodes/catalogue/a.py", "from ...models.takin import engine"),
        ("models/kdtalker/a.py", "from ..liveportrait import keypoints"),
        ("training/takin/a.py", "from ...tools import headless"),
        ("models/takin/a.py", "import torch"),
    ],
)
def test_an_import_the_right_way_is_let_through(tmp_path, source, statement):
    there = ["models/takin/engine", "models/liveportrait/keypoints", "tools/headless"]
    plan = written(tmp_path, {f"{name}.py": "" for name in there} | {source: statement + "\n"})
    assert not plan.upward() and len(plan.imports) == ("torch" not in statement)


def test_a_room_that_holds_too_much_is_found(tmp_path):
    sizes = {"models/face/a.py": 3, "models/media/a.py": 3, "models/speech/a.py": 3, "nodes/a.py": 4}
    assert written(tmp_path, {name: "x = 1\n" * lines for name, lines in sizes.items()}).too_large() == [
        "nodes"
    ]


def test_circles_are_all_that_can_be_reached_both_ways():
    arrows = {"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": ["e"], "e": ["d"], "f": ["a"], "g": ["g"]}
    assert sorted(circles(arrows)) == [["a", "b", "c"], ["d", "e"]]


def test_one_statement_is_one_import(tmp_path):
    (tmp_path / "a.py").write_text("from .b import x, y, z\n")
    (tmp_path / "b.py").write_text("")
    assert [found.target for found in imports_of(tmp_path, ["a.py", "b.py"])] == ["b.py"]
