"""A batch that everything happens to: python3 run.py python benchmarks/batch.py [--clips 30]

Two workers make short clips of a small picture; one is killed (kill -9), one row is bad, Ctrl-C is pressed, and the
same command is called again. Counts what was lost and doubled, and compares every film with a run of its own in a
server that no batch started. Then the same clips by one worker and by two, undisturbed: clips a minute once the
servers are warm. Needs Ray (python3 run.py batch --install).
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from pathlib import Path

import av
import numpy as np
import psutil
from PIL import Image
from talking_portrait.tools.batch.manifest import read_manifest
from talking_portrait.tools.batch.prompt import row_prompt
from talking_portrait.tools.batch.results import DONE, RESULTS
from talking_portrait.tools.comfy_server import PACK, ComfyServer
from talking_portrait.tools.workflow_drafts import shipped

SIDE, SECONDS, PICTURES = 160, 1.0, 3
BAD = "bad"
RESULT = PACK / "benchmarks/results/batch.json"


def inputs(folder: Path, clips: int) -> Path:
    """Pictures, voices and a manifest of so many good rows and a bad one in their middle."""
    picture = Image.open(PACK / "samples/talking_portrait_astronaut.png").convert("RGB")
    for number in range(PICTURES):
        picture.resize((SIDE + 16 * number,) * 2, Image.Resampling.LANCZOS).save(folder / f"p{number}.png")
    with wave.open(str(PACK / "samples/talking_portrait_speech.wav")) as file:
        rate, sound = file.getframerate(), file.readframes(file.getnframes())
    whole = np.frombuffer(sound, "<i2")
    rows = []
    for number in range(clips):
        start = int(number / clips * (len(whole) / rate - SECONDS) * rate)
        with wave.open(str(folder / f"v{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes(whole[start : start + int(SECONDS * rate)].tobytes())
        files = {"image": f"p{number % PICTURES}.png", "audio": f"v{number}.wav"}
        rows.append({"id": f"clip {number:02}", **files, "Generate Face Motion.seed": number})
    rows.insert(clips // 2, {"id": BAD, "image": "p0.png", "audio": "there is no such voice.wav"})
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return manifest


def lines(out: Path) -> list[dict]:
    """What is in the results by now."""
    path = out / RESULTS
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def begin(manifest: Path, out: Path, workers: int) -> subprocess.Popen:
    """The command, as a terminal starts it."""
    command = [sys.executable, "-m", "talking_portrait.tools.batch", manifest, out, "--workers", str(workers)]
    return subprocess.Popen(
        list(map(str, command)), start_new_session=True, stderr=subprocess.PIPE, text=True
    )


def wait_for(process: subprocess.Popen, out: Path, count: int) -> None:
    """Until so many rows are through."""
    while len(lines(out)) < count and process.poll() is None:
        time.sleep(0.2)


def below(process: subprocess.Popen, word: str) -> list[psutil.Process]:
    """Its processes, and those of processes it started, with that word in their command line."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if any(word in part for part in child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def disturbed(manifest: Path, out: Path, clips: int) -> dict:
    """Kill a worker after a third, press Ctrl-C after two thirds, go on."""
    process = begin(manifest, out, 2)
    wait_for(process, out, clips // 3)
    victim = below(process, "ray::WorkerActor.make")[0]
    victim.kill()
    wait_for(process, out, 2 * clips // 3)
    servers = below(process, "main.py")
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=300)[1]
    time.sleep(3)
    left_over = sum(server.is_running() and server.status() != "zombie" for server in servers)
    first = lines(out)
    status = [process.returncode]
    for _ in range(2):
        again = begin(manifest, out, 2)
        again.communicate(timeout=1800)
        status.append(again.returncode)
    every = lines(out)
    done = Counter(line["id"] for line in every if line["state"] == DONE)
    return {
        "exit_status_of_the_three_calls": status, "worker_deaths_told": told.count("its worker died"),
        "through_at_ctrl_c": len(first), "servers_left_after_ctrl_c": left_over,
        "clips": clips, "done": len(done), "lost": clips - len(done),
        "doubled": sum(count > 1 for count in done.values()),
        "films": len(list(out.glob("*.mp4"))), "hidden_parts_left": len(list(out.glob(".*part*"))),
        "tries_of_the_killed_row": max(line["attempts"] for line in every),
        "bad_row": [line["error"].replace(str(manifest.parent), "FOLDER") for line in every if line["id"] == BAD],
        "lines_of_the_bad_row_one_per_call_that_reached_it": sum(line["id"] == BAD for line in every),
    }  # fmt: skip


def pixels(film: Path) -> np.ndarray:
    """All frames [n,H,W,3]."""
    with av.open(str(film)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def single_runs(manifest: Path, out: Path) -> dict:
    """Every film against the same row run by itself."""
    worst, equal, total = 0, 0, 0
    os.environ["OMP_NUM_THREADS"] = "1"  # as each of two workers on two cores
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        nodes = server.get("/object_info")
        for row in read_manifest(manifest, shipped("talking_portrait")):
            if row.id == BAD:
                continue
            prompt = server.to_prompt(json.loads(row.workflow.read_text()))
            outputs = server.run(row_prompt(row, prompt, nodes, server.add_input))
            one, two = pixels(server.output_files(outputs)[0]), pixels(out / f"{row.id}.mp4")
            assert one.shape == two.shape, row.id
            difference = int(np.abs(one.astype(int) - two).max())
            worst, equal, total = max(worst, difference), equal + (difference == 0), total + 1
    return {"films": total, "equal_in_every_pixel": equal, "largest_difference_of_255": worst}


def undisturbed(manifest: Path, out: Path, workers: int) -> dict:
    """Clips a minute from the moment on when every worker had made one."""
    started = time.time()
    process = begin(manifest, out, workers)
    told = process.communicate(timeout=3600)[1]
    assert process.returncode == 1, told[-3000:]  # for the bad row
    made = [line for line in lines(out) if line["state"] == DONE]
    warm = max(
        min(line["ended"] for line in made if line["worker"] == name) for name in {m["worker"] for m in made}
    )
    rest = [line for line in made if line["ended"] > warm]
    minutes = (max(line["ended"] for line in made) - warm) / 60
    return {
        "workers": workers, "used": len({line["worker"] for line in made}),
        "seconds_to_the_first_clip": round(min(line["ended"] for line in made) - started, 1),
        "clips_when_warm": len(rest), "clips_a_minute": round(len(rest) / minutes, 2),
        "seconds_a_clip": round(float(np.median([line["seconds"] for line in rest])), 2),
    }  # fmt: skip


def throughput(manifest: Path, folder: Path) -> dict:
    """One worker against two."""
    speeds = [undisturbed(manifest, folder / f"of {workers}", workers) for workers in (1, 2)]
    ratio = speeds[1]["clips_a_minute"] / speeds[0]["clips_a_minute"]
    return {"runs": speeds, "two_workers_to_one": round(ratio, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument(
        "--parts", nargs="+", choices=["disturbed", "throughput"], default=["disturbed", "throughput"]
    )
    asked = parser.parse_args()
    found = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    found["setup"] = {
        "clips": asked.clips, "picture": f"{SIDE} to {SIDE + 16 * (PICTURES - 1)} pixels", "speech_seconds": SECONDS,
        "cores": os.cpu_count(), "note": "the machine was shared with other work all the time",
    }  # fmt: skip
    for part in asked.parts:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            manifest, load = inputs(folder, asked.clips), round(os.getloadavg()[0], 2)
            if part == "disturbed":
                found[part] = disturbed(manifest, folder / "a", asked.clips)
                found["single_runs"] = single_runs(manifest, folder / "a")
            else:
                found[part] = throughput(manifest, folder)
            found[part] |= {"load_at_start": load, "load_at_end": round(os.getloadavg()[0], 2)}
        RESULT.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
