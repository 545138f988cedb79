"""The pack under ComfyUI's own loader, from a folder called anything: one package `talking_portrait`, for
whoever imports it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
LOADED = """
import asyncio, runpy, sys
import comfy.cli_args
comfy.cli_args.args.cpu = True
import nodes as core
def load(folder):
    return asyncio.run(core.load_custom_node(folder))
folder, name, second, engine_pack = sys.argv[1:]
runpy.run_path(folder + "/prestartup_script.py")
assert load(engine_pack) and load(folder) and not load(second)
loader = core.NODE_CLASS_MAPPINGS["TalkingPortraitMotionEngine"]
menu = [option.key for option in loader.define_schema().inputs[0].options]
assert menu[0] == "built-in" and menu[-1] == "loudness jaw", menu
import talking_portrait
assert sys.modules[folder.replace(".", "_x_")] is sys.modules["talking_portrait"] is talking_portrait
from talking_portrait import models
from talking_portrait.models import engine
node = core.NODE_CLASS_MAPPINGS["TalkingPortraitGenerateMotion"]
assert node.__module__ == "talking_portrait.nodes.audio" and node.RELATIVE_PYTHON_MODULE == f"custom_nodes.{name}"
assert talking_portrait.models is models and sys.modules[node.__module__].MotionSettings is engine.MotionSettings
copies = [one for one in list(sys.modules) if one.endswith("models.engine")]
assert copies == ["talking_portrait.models.engine"], copies
"""
BY_PATH = """
import importlib.util, sys
name = sys.argv[1].replace(".", "_x_")  # what ComfyUI's loader does
spec = importlib.util.spec_from_file_location(name, sys.argv[1] + "/__init__.py")
sys.modules[name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.WEB_DIRECTORY and callable(module.comfy_entrypoint)
import talking_portrait
assert sys.modules[name] is talking_portrait
"""
BEFORE = """
import runpy, sys
runpy.run_path(sys.argv[1] + "/prestartup_script.py")
"""
IMPORTED = """
assert "torch" not in sys.modules
import talking_portrait
from talking_portrait.models import face_motion
assert talking_portrait.WEB_DIRECTORY
assert face_motion.FaceMotion.__module__ == "talking_portrait.models.face_motion.container"
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess:
    """A Python as ComfyUI's own: it knows ComfyUI and nothing of this pack."""
    environment = {**os.environ, "PYTHONPATH": os.environ["COMFYUI_PATH"]}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(
        command, env=environment, cwd=os.environ["COMFYUI_PATH"], capture_output=True, text=True, timeout=500
    )


@pytest.fixture
def folder(tmp_path):
    """The pack's folder under a name that no module has."""
    link = tmp_path / "ComfyUI Talking-Portrait 1.0 (copy)"
    link.symlink_to(ROOT, target_is_directory=True)
    return link


@pytest.mark.slow
def test_from_any_folder_behind_another_pack_it_is_one_package_and_two_copies_are_refused(folder, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    (second / "__init__.py").write_bytes((ROOT / "__init__.py").read_bytes())
    done = run(LOADED, folder, folder.name, second, ROOT / "docs" / "engine_pack")
    assert done.returncode == 0, done.stderr
    assert f"Talking Portrait is installed twice: {folder}" in done.stderr and str(second) in done.stderr


@pytest.mark.parametrize("how", [BY_PATH, BEFORE], ids=["loaded by its path", "before any pack is loaded"])
def test_it_can_be_imported(folder, how):
    done = run(how + IMPORTED, folder)
    assert done.returncode == 0, done.stderr
