"""The pack as ComfyUI sees it: every node there, every input explained, every node with a help page."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PREFIX = "TalkingPortrait"


def our_nodes(server) -> dict[str, dict]:
    return {name: info for name, info in server.get("/object_info").items() if name.startswith(PREFIX)}


def test_every_node_is_loaded(server):
    documented = {path.stem for path in (ROOT / "web" / "docs").glob(f"{PREFIX}*.md")}
    assert set(our_nodes(server)) == documented, "nodes without a help page, or pages without a node"
    assert len(documented) >= 15


def all_inputs(declared: dict, before: str = ""):
    """(name, what is declared) of every input, also of those that a menu's choice has."""
    for group in ("required", "optional"):
        for name, spec in declared.get(group, {}).items():
            yield before + name, spec
            if spec[0] == "COMFY_DYNAMICCOMBO_V3":
                for option in spec[1]["options"]:
                    yield from all_inputs(option["inputs"], f"{before}{name} {option['key']}: ")


def test_every_input_and_output_has_a_tooltip(server):
    missing = []
    for name, info in our_nodes(server).items():
        assert info["description"], f"{name} has no description"
        assert info["category"].startswith("talking portrait/"), name
        for key, spec in all_inputs(info["input"]):
            if not (len(spec) > 1 and spec[1].get("tooltip")):
                missing.append(f"{name}.{key}")
        missing += [f"{name} output {i}" for i, tip in enumerate(info["output_tooltips"]) if not tip]
    assert not missing


def test_the_log_has_no_error_of_this_pack(server):
    """While it starts: what other tests do wrong on purpose comes later."""
    started = server.log().partition("got prompt")[0]
    lines = [line for line in started.splitlines() if re.search("talking[-_ ]portrait", line.lower())]
    assert not [line for line in lines if "error" in line.lower() or "failed" in line.lower()]


def test_templates_list_every_workflow_with_its_picture(server):
    import urllib.request

    listed = server.get("/workflow_templates").get(server.folder, [])
    shipped = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
    assert sorted(listed) == shipped and len(shipped) >= 3
    for name in shipped:
        with urllib.request.urlopen(
            f"{server.url}/api/workflow_templates/{server.folder}/{urllib.parse.quote(name)}.jpg"
        ) as answer:
            assert answer.read(3) == b"\xff\xd8\xff", f"{name}.jpg is not a JPEG"


def test_help_pages_are_served(server):
    import urllib.request

    for path in (ROOT / "web" / "docs").glob("*.md"):
        with urllib.request.urlopen(f"{server.url}/extensions/{server.folder}/docs/{path.name}") as answer:
            assert answer.read().decode() == path.read_text()


def test_pyproject_says_what_the_registry_needs():
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "comfyui" not in project["project"]["name"].lower()
    assert project["tool"]["comfy"]["PublisherId"] and project["tool"]["comfy"]["requires-comfyui"]
    requirements = (ROOT / "requirements.txt").read_text().split()
    assert requirements == project["project"]["dependencies"]


@pytest.mark.parametrize("word", ["http://", "https://", "--index", "--find-links"])
def test_constraints_hold_no_addresses(word):
    assert word not in (ROOT / "constraints.txt").read_text()


def test_workflow_files_are_in_the_page_format():
    for path in (ROOT / "workflows").glob("*.json"):
        graph = json.loads(path.read_text())
        assert graph["nodes"] and graph["version"] == 0.4, path.name
