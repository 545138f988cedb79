"""ComfyUI without the private modules that a few nodes use: the pack loads, those nodes say so, all others run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import folder_paths
import pytest
import torch
from talking_portrait.models import core_parts
from talking_portrait.models.core_parts import BLAZEFACE, FACE_GEOMETRY, WAV2VEC2, core_part
from talking_portrait.nodes.face import FaceFromBox, LoadFaceDetector
from talking_portrait.nodes.speech import EncodeSpeech, LoadSpeechEncoder

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = (BLAZEFACE, FACE_GEOMETRY, WAV2VEC2)
CHECKED = {
    "parts": [module for module, *_ in PARTS],
    "classes": ["comfy.ldm.wan.model", "comfy.context_windows"],
}
WITHOUT = """
import asyncio, json, os, sys
import comfy.cli_args
comfy.cli_args.args.cpu = True
import nodes as core
def told(hidden, report):
    sys.modules.update(dict.fromkeys(hidden))
    os.dup2(os.open(report + ".log", os.O_CREAT | os.O_WRONLY), 2)
    assert asyncio.run(core.load_custom_node(sys.argv[1]))
    ours = [name for name in core.NODE_CLASS_MAPPINGS if name.startswith("TalkingPortrait")]
    for name in ours:
        core.NODE_CLASS_MAPPINGS[name].GET_SCHEMA()
    with open(report, "w") as file:
        json.dump(ours, file)
for hidden, report in zip(json.loads(sys.argv[2]), sys.argv[3:]):
    if not os.fork():  # ComfyUI's own modules, which take half a minute, are loaded once for all
        told(hidden, report)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> dict[str, tuple[set[str], str]]:
    """(the pack's nodes, what was logged) of a ComfyUI that lacks some modules."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    reports = {name: tmp_path_factory.mktemp("without") / name for name in CHECKED}
    folder = os.environ["COMFYUI_PATH"]
    subprocess.run(
        [sys.executable, "-c", WITHOUT, str(ROOT), json.dumps([*CHECKED.values()]), *map(str, reports.values())],
        cwd=folder, env=os.environ | {"PYTHONPATH": folder}, check=True,
    )  # fmt: skip
    return {
        name: (
            {node.removeprefix("TalkingPortrait") for node in json.loads(report.read_text())},
            report.with_name(f"{name}.log").read_text(),
        )
        for name, report in reports.items()
    }


@pytest.mark.slow
def test_all_nodes_load_without_them(loaded):
    nodes, _ = loaded["parts"]
    assert {
        "LoadFaceDetector",
        "SpeechEncoder",
        "ACTalkerAudio",
        "FantasyTalkingAudio",
        "RenderVideo",
    } <= nodes


@pytest.mark.slow
def test_what_is_made_of_cores_classes_is_left_out_alone_and_the_log_says_so(loaded):
    nodes, log = loaded["classes"]
    assert {"MotionEngine", "RenderVideo", "SpeechEncoder", "LoadFaceMotion", "Emotion"} <= nodes
    assert not [name for name in nodes if name.startswith(("FantasyTalking", "ApplyFantasy", "ACTalker"))]
    for room, part in (("fantasytalking", "comfy.ldm.wan.model"), ("actalker", "comfy.context_windows")):
        assert f"the nodes of nodes/{room}.py are left out: this ComfyUI has no {part}" in log


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A file of wav2vec2's name; nobody gets as far as reading it."""
    (tmp_path / "wav2vec2-base-960h.safetensors").touch()
    monkeypatch.setitem(folder_paths.folder_names_and_paths, "audio_encoders", ([str(tmp_path)], set()))
    folder_paths.filename_list_cache.clear()
    yield
    folder_paths.filename_list_cache.clear()


@pytest.fixture
def hidden(monkeypatch):
    """A ComfyUI in which the modules are gone."""
    for module, *_ in PARTS:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("talking_portrait.models.face.weights._alive", {})


@pytest.mark.parametrize("run, said", [
    (lambda: LoadFaceDetector.execute(), r"^Load Face Detector \(built-in\): .*mediapipe.face_landmarker"),
    (lambda: LoadSpeechEncoder.execute("wav2vec2-base-960h"), "^Load Speech Encoder: .*audio_encoders.audio_en"),
])  # fmt: skip
def test_only_what_needs_one_says_so_and_what_to_do(files, hidden, run, said):
    with pytest.raises(ValueError, match=said) as caught:
        run()
    assert "Update the Talking Portrait pack" in str(caught.value)
    assert not {".safetensors", "right file"} & set(str(caught.value).split()), "no file is to blame"


def test_a_box_without_cores_geometry_says_so_before_it_computes(hidden):
    class Loaded:
        """A detector that was made before."""

        def landmarks_from_boxes(self, *arguments):
            raise AssertionError("it computed")

    box = {"x": 1, "y": 1, "width": 30, "height": 30}
    with pytest.raises(ValueError, match="^Face Landmarks from Box: .*face_geometry"):
        FaceFromBox.execute(Loaded(), torch.zeros(1, 64, 64, 3), box, 0.1)


def test_the_built_in_encoder_hears_without_them(hidden):
    encoder = LoadSpeechEncoder.execute("built-in").result[0]
    with torch.inference_mode():
        heard = EncodeSpeech.execute(encoder, {"waveform": torch.zeros(1, 1, 16000), "sample_rate": 16000})
    assert heard.result[1] == 50


def test_a_renamed_part_of_a_module_that_is_there_is_named(monkeypatch):
    module = core_part(*FACE_GEOMETRY)
    monkeypatch.delattr(module, FACE_GEOMETRY[1])
    with pytest.raises(ValueError, match="has no comfy_extras.mediapipe.face_geometry.transformation_matrix"):
        core_part(*FACE_GEOMETRY)


def test_a_module_that_is_there_but_broken_keeps_its_own_error(monkeypatch):
    """What is wrong then is an installation, and its traceback tells more than a sentence of ours."""

    def broken(name):
        raise ImportError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(core_parts, "import_module", broken)
    with pytest.raises(ImportError, match="libcudart"):
        core_part(*WAV2VEC2)


def test_no_private_module_is_imported_as_the_pack_loads():
    """comfy_extras and core's encoders, anywhere in what runs in ComfyUI."""
    found = [
        f"{path.relative_to(ROOT)}: {line}"
        for folder in ("models", "nodes")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(
            (
                "import comfy_extras",
                "from comfy_extras",
                "import comfy.audio_encoders",
                "from comfy.audio_encoders",
            )
        )  # fmt: skip
    ]
    assert not found
