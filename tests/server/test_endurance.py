"""What a long day brings: stops at any moment, full and read-only disks, a power cut, sixty runs. The server
lives on."""

import os
import random
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from talking_portrait.tools.comfy_server import ComfyServer, PromptError

from .prompts import talking_prompt, video_facts, write_wav

# Many runs.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
RATE = 16000
KINDS_OF_PARTS = "*.part*"


def speech(seconds: float) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    return 0.3 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 4 * t))


def small_prompt(server, folder: Path, seconds: float, **changes) -> dict:
    """The built-in chain on a small picture."""
    picture = folder / "small.png"
    Image.open(ROOT / "samples" / "talking_portrait_astronaut.png").convert("RGB").resize((192, 192)).save(
        picture
    )
    voice = write_wav(folder / f"voice{seconds:g}.wav", speech(seconds), RATE)
    return talking_prompt(server.add_input(picture), server.add_input(voice), **changes)


def parts(server) -> list[Path]:
    """Hidden files of films and motions that are not finished."""
    return [path for folder in ("temp", "output") for path in (server.base / folder).rglob(KINDS_OF_PARTS)]


def films(server) -> list[Path]:
    return list((server.base / "temp" / "talking_portrait").glob("*.mp4"))


def test_thirty_stops_at_random_moments(server, tmp_path):
    choose = random.Random(4)
    for number in range(30):
        prompt = small_prompt(server, tmp_path, 20.0, motion={"seed": number})
        timer = threading.Timer(choose.uniform(0.02, 1.2), server.post, args=("/interrupt", {}))
        timer.start()
        try:
            server.run(prompt)
        except PromptError as error:
            assert "interrupted" in str(error), str(error)
        timer.join()
        assert parts(server) == []
    outputs = server.run(small_prompt(server, tmp_path, 1.0))
    assert len(video_facts(server.output_files(outputs)[0])["frames"]) == 25


def test_sixty_runs_in_flat_memory_and_bounded_temp(server, tmp_path):
    process, memory = psutil.Process(server.process.pid), []
    for number in range(60):
        server.run(small_prompt(server, tmp_path, 0.4, motion={"seed": number}, video={"crf": 30.0}))
        memory.append(process.memory_info().rss / 1e6)
    assert np.mean(memory[-10:]) - np.mean(memory[15:25]) < 40
    assert len(films(server)) <= 3  # the others went with their outputs


@contextmanager
def mounted(place: Path, options: str):
    """A small or read-only disk at a folder; only root can do that."""
    place.mkdir(parents=True, exist_ok=True)
    if (
        os.name == "nt"
        or os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place]).returncode
    ):
        pytest.skip("this user may not mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_and_leaves_nothing(server, tmp_path):
    folder = server.base / "temp" / "talking_portrait"
    prompt = small_prompt(server, tmp_path, 8.0, video={"crf": 0.0})
    with mounted(folder, "size=200k"):
        with pytest.raises(PromptError, match=r"Render Portrait Video: the disk is full.*Free some space"):
            server.run(prompt)
        assert list(folder.iterdir()) == []
    assert len(server.output_files(server.run(prompt))) == 1


def motion_prompt(server, folder: Path, seed: int) -> dict:
    graph = small_prompt(server, folder, 6.0, motion={"seed": seed})
    graph["keep"] = {
        "class_type": "TalkingPortraitSaveFaceMotion",
        "inputs": {"face_motion": ["motion", 0], "filename_prefix": "kept/motion"},
    }
    return {key: graph[key] for key in ("audio", "engine", "motion", "keep")}


@pytest.mark.parametrize(
    ("options", "words", "seed"), [("ro", "may not be written", 1), ("size=8k", "the disk is full", 2)]
)
def test_a_motion_that_cannot_be_kept_is_said(server, tmp_path, options, words, seed):
    folder = server.base / "output" / "kept"
    kept = len(list(folder.glob("*"))) if folder.exists() else 0
    with mounted(folder, options):
        with pytest.raises(PromptError, match=rf"Save Face Motion: .*{words}"):
            server.run(motion_prompt(server, tmp_path, seed))
        assert list(folder.iterdir()) == []
    server.run(motion_prompt(server, tmp_path, seed))
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"] * (kept + 1)


def test_a_power_cut_in_the_middle_of_a_film(tmp_path):
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        threading.Thread(
            target=swallow, args=(server, small_prompt(server, tmp_path, 15.0)), daemon=True
        ).start()
        limit = time.monotonic() + 120
        while not parts(server) and time.monotonic() < limit:
            time.sleep(0.05)
        assert parts(server), "the film never started"
        server.kill()
        server.restart()
        assert parts(server) == [] and list((server.base / "output").rglob("*.mp4")) == []
        outputs = server.run(small_prompt(server, tmp_path, 1.0))
        assert len(video_facts(server.output_files(outputs)[0])["frames"]) == 25


def swallow(server, prompt) -> None:
    """Run a prompt whose server will be gone."""
    try:
        server.run(prompt)
    except Exception:  # any way in which a connection ends
        return
