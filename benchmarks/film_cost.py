"""Time and memory of a film, measured in the real server: does memory grow with length, and what does a second cost?

    python3 run.py python benchmarks/film_cost.py [SECONDS ...] [--picture PIXELS]

Prints one line per length and writes benchmarks/results/film_cost.json, or film_cost_PIXELS.json for a
picture of that side. Lengths default to 10, 60 and 600 s.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from pathlib import Path

import av
import numpy as np
import psutil
from PIL import Image
from talking_portrait.tools.comfy_server import PACK, ComfyServer
from talking_portrait.tools.headless import SAMPLES
from talking_portrait.tools.workflow_drafts import shipped


def long_speech(seconds: int) -> Path:
    """The example speech, repeated until it lasts `seconds`, as a wav file."""
    import wave

    with wave.open(str(SAMPLES / "talking_portrait_speech.wav")) as source:
        rate, samples = source.getframerate(), np.frombuffer(source.readframes(source.getnframes()), "<i2")
    path = Path(tempfile.mkdtemp()) / f"speech_{seconds}.wav"
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(rate)
        target.writeframes(np.resize(samples, seconds * rate).tobytes())
    return path


class PeakMemory:
    """Peak resident memory of a process, in MB, sampled 20 times a second while the block runs."""

    def __init__(self, pid: int):
        self.process, self.peak, self._stop = psutil.Process(pid), 0.0, threading.Event()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self.peak = max(self.peak, self.process.memory_info().rss / 1e6)

    def __enter__(self) -> "PeakMemory":
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def small_picture(side: int) -> Path:
    """The example picture with that side."""
    path = Path(tempfile.mkdtemp()) / f"portrait_{side}.png"
    Image.open(SAMPLES / "talking_portrait_astronaut.png").convert("RGB").resize((side, side)).save(path)
    return path


def measure(server: ComfyServer, graph: dict, seconds: int, picture: int = 0) -> dict[str, float]:
    """Wall time, CPU time and peak memory of one film of that length."""
    prompt = server.to_prompt(graph)
    for node in prompt.values():
        if node["class_type"] == "LoadAudio":
            node["inputs"]["audio"] = server.add_input(long_speech(seconds))
        if node["class_type"] == "LoadImage" and picture:
            node["inputs"]["image"] = server.add_input(small_picture(picture))
    process = psutil.Process(server.process.pid)
    cpu, wall = sum(process.cpu_times()[:2]), time.monotonic()
    with PeakMemory(server.process.pid) as memory:
        outputs = server.run(prompt)
    wall, cpu = time.monotonic() - wall, sum(process.cpu_times()[:2]) - cpu
    with av.open(str(server.output_files(outputs)[0])) as container:
        frames = container.streams.video[0].frames
    assert frames == seconds * 25, f"{frames} frames for {seconds} s"
    return {
        "seconds": seconds, "frames": frames, "wall_per_second": wall / seconds,
        "cpu_per_second": cpu / seconds,
        "peak_mb": memory.peak,
    }  # fmt: skip


def main(lengths: list[int], picture: int) -> None:
    graph = json.loads(shipped("talking_portrait").read_text(encoding="utf-8"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = []
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        measure(server, graph, 2, picture)  # loads and warms everything
        for seconds in lengths:
            rows.append(measure(server, graph, seconds, picture))
            print("{seconds:5d} s: {wall_per_second:.2f} s wall and {cpu_per_second:.2f} s CPU per second of "
            "film, peak {peak_mb:.0f} MB".format(**rows[-1]), flush=True)  # fmt: skip
    target = PACK / "benchmarks" / "results" / (f"film_cost_{picture}.json" if picture else "film_cost.json")
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time and memory of films in the real server.")
    parser.add_argument("seconds", type=int, nargs="*", default=[10, 60, 600])
    parser.add_argument(
        "--picture", type=int, default=0, help="side of the picture in pixels; 0 takes the example's own"
    )
    arguments = parser.parse_args()
    main(arguments.seconds, arguments.picture)
