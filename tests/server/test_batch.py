"""A batch on Ray with real servers: a worker is killed, a row is bad, Ctrl-C is pressed, the second call ends it."""

import json
import os
import signal
import subprocess
import sys
import time
import wave
from importlib.util import find_spec
from pathlib import Path

import av
import psutil
import pytest
from PIL import Image
from talking_portrait.tools.comfy_server import PACK

SPEECH = PACK / "samples" / "talking_portrait_speech.wav"
WITH_RAY = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed (run.py batch --install)"
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Four good rows and a bad one, of half a second on a small picture."""
    picture = Image.open(PACK / "samples" / "talking_portrait_astronaut.png").convert("RGB")
    picture.resize((160, 160)).save(tmp_path / "face.png")
    with wave.open(str(SPEECH)) as file, wave.open(str(tmp_path / "voice.wav"), "wb") as part:
        part.setparams(file.getparams())
        part.writeframes(file.readframes(file.getframerate() // 2))
    good = [
        {"id": f"c{k}", "image": "face.png", "audio": "voice.wav", "Generate Face Motion.seed": k}
        for k in range(4)
    ]
    rows = [*good[:2], {"id": "bad", "image": "gone.png"}, *good[2:]]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def command(*given: object) -> list[str]:
    return [sys.executable, "-m", "talking_portrait.tools.batch", *map(str, given)]


def lines(out: Path) -> list[dict]:
    path = out / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def wait_for(count: int, out: Path, process: subprocess.Popen) -> None:
    limit = time.monotonic() + 400
    while len(lines(out)) < count:
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.1)


def below(process: subprocess.Popen, word: str) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if any(word in part for part in child.cmdline())]


@WITH_RAY
@pytest.mark.slow
@pytest.mark.timeout(1500)  # three starts of Ray and ComfyUI
def test_nothing_is_lost_or_doubled_whatever_happens(manifest, tmp_path):
    out = tmp_path / "films"
    process = subprocess.Popen(command(manifest, out, "--workers", 1), start_new_session=True)
    wait_for(1, out, process)
    below(process, "ray::WorkerActor")[0].kill()
    wait_for(3, out, process)
    servers = below(process, "main.py")
    process.send_signal(signal.SIGINT)
    assert process.wait(100) == 130
    assert psutil.wait_procs(servers, 10)[1] == []
    assert subprocess.run(command(manifest, out, "--workers", 1), timeout=900).returncode == 1
    done = [line["id"] for line in lines(out) if line["state"] == "done"]
    assert sorted(done) == ["c0", "c1", "c2", "c3"]
    assert sorted(path.name for path in out.glob("*.mp4")) == [f"c{k}.mp4" for k in range(4)]
    for film in out.glob("*.mp4"):
        with av.open(str(film)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 13
    assert {line["error"] for line in lines(out) if line["id"] == "bad"} == {
        f"image: no such file: {tmp_path}/gone.png"
    }


@pytest.mark.slow
def test_a_dry_run_tells_every_fault_and_runs_nothing(manifest, tmp_path):
    more = [
        {"id": "a", "audio": "voice.wav", "Generate Face Motion.seeds": 1},
        {"id": "b", "audio": "voice.wav", "Load Portrait Renderer.renderer": "LivePortrait"},
        {"id": "c", "workflow": "voice.wav"},
        {"id": "d", "Generate Face Motion.fps": 1e9, "audio": "voice.wav"},
    ]
    with manifest.open("a") as file:
        file.write("\n" + "\n".join(map(json.dumps, more)))
    out = tmp_path / "films"
    told = subprocess.run(command(manifest, out, "--dry-run"), capture_output=True, text=True, timeout=500)
    said = told.stdout.splitlines()
    for place, word in (
        ("line 3 (bad)", "no such file"), ("line 6 (a)", "no input 'seeds'"), ("line 7 (b)", "Load Portrait Renderer"),
        ("line 8 (c)", "no workflow of ComfyUI"), ("line 9 (d)", "fps"),
    ):  # fmt: skip
        assert any(line.startswith(place) and word in line for line in said), (place, said)
    assert told.returncode == 1 and said[-1] == "4 of 9 rows can run." and not out.exists()


@pytest.mark.slow
def test_without_ray_it_says_how_to_get_it(manifest, tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/ray.py").write_text("raise ImportError('no module named ray')")
    path = os.pathsep.join([str(tmp_path / "hidden"), os.environ.get("PYTHONPATH", "")])
    told = subprocess.run(
        command(manifest, tmp_path / "films"), capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert told.returncode == 2 and "python3 run.py batch --install" in told.stderr
