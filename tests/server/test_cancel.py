"""Stop means stop: in the middle of every long loop, at once, and nothing half-written stays."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from talking_portrait.tools.comfy_server import PromptError

from .prompts import talking_prompt, write_wav

# Long films, made until they are stopped.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000


@pytest.fixture(scope="module")
def prompt(server, tmp_path_factory):
    """A chain of two minutes, which takes many times as long as a stop."""
    t = np.arange(120 * RATE) / RATE
    noise = np.random.default_rng(0).standard_normal(t.size) * 0.1 * (1 + np.sin(2 * np.pi * 3 * t))
    audio = server.add_input(write_wav(tmp_path_factory.mktemp("cancel") / "long.wav", noise, RATE))
    image = server.add_input(ROOT / "samples" / "talking_portrait_astronaut.png")
    return talking_prompt(image, audio)


def cancel_at(server, prompt, node: str, fraction: float = 0.0) -> float:
    """Run, press stop when `node` has made progress, return how long it took to stop."""
    pressed = {}

    def watch(kind, data):
        if (
            kind == "progress"
            and data.get("node") == node
            and data["value"] >= fraction * data["max"]
            and not pressed
        ):
            pressed["at"] = time.monotonic()
            threading.Thread(target=server.post, args=("/interrupt", {})).start()

    with pytest.raises(PromptError, match="interrupted"):
        server.run(prompt, watch)
    return time.monotonic() - pressed["at"]


def leftovers(server) -> list[Path]:
    folder = server.base / "temp" / "talking_portrait"
    return list(folder.rglob("*part*")) if folder.exists() else []


def test_rendering_a_video_stops_and_leaves_nothing(server, prompt):
    videos = len(list((server.base / "output").rglob("*.mp4")))
    assert cancel_at(server, prompt, "video") < 5
    assert leftovers(server) == []
    assert len(list((server.base / "output").rglob("*.mp4"))) == videos


def test_generating_motion_stops(server, prompt):
    changed = {**prompt, "motion": {**prompt["motion"], "inputs": {**prompt["motion"]["inputs"], "seed": 77}}}
    assert cancel_at(server, changed, "motion") < 5


def test_rendering_images_stops(server, prompt):
    images = {key: node for key, node in prompt.items() if key not in ("video", "save")}
    images["motion"] = {**prompt["motion"], "inputs": {**prompt["motion"]["inputs"], "fps": 5.0}}
    images["images"] = {
        "class_type": "TalkingPortraitRender",
        "inputs": {"portrait": ["portrait", 0], "face_motion": ["motion", 0]},
    }
    images["preview"] = {"class_type": "PreviewImage", "inputs": {"images": ["images", 0]}}
    assert cancel_at(server, images, "images") < 5


def test_the_next_run_works(server, tmp_path):
    image = server.add_input(ROOT / "samples" / "talking_portrait_astronaut.png")
    t = np.arange(int(0.2 * RATE)) / RATE
    audio = server.add_input(write_wav(tmp_path / "after.wav", 0.3 * np.sin(2 * np.pi * 220 * t), RATE))
    outputs = server.run(talking_prompt(image, audio))
    assert len(server.output_files(outputs)) == 1
