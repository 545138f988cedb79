"""Time and memory of a film, measured in the real server: does memory grow with length, and what does a second cost?

    python3 run.py python benchmarks/film_cost.py [SECONDS ...]

Prints one line per length and writes benchmarks/results/film_cost.json. Lengths default to 10, 60 and 600 s.
"""

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import av
import numpy as np
import psutil
from talking_portrait.tools.comfy_server import PACK, ComfyServer
from talking_portrait.tools.headless import SAMPLES


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


def measure(server: ComfyServer, graph: dict, seconds: int) -> dict[str, float]:
    """Wall time, CPU time and peak memory of one film of that length."""
    prompt = server.to_prompt(graph)
    for node in prompt.values():
        if node["class_type"] == "LoadAudio":
            node["inputs"]["audio"] = server.add_input(long_speech(seconds))
    process = psutil.Process(server.process.pid)
    cpu, wall = sum(process.cpu_times()[:2]), time.monotonic()
    with PeakMemory(server.process.pid) as memory:
        outputs = server.run(prompt)
    wall, cpu = time.monotonic() - wall, sum(process.cpu_times()[:2]) - cpu
    with av.open(str(server.output_files(outputs)[0])) as container:
        frames = container.streams.video[0].frames
    assert frames == seconds * 25, f"{frames} frames for {seconds} s"
    return {
        "seconds": seconds, "frames": frames, "wall_per_second": wall / seconds, "cpu_per_second": cpu / seconds,
        "peak_mb": memory.peak,
    }  # fmt: skip


def main(lengths: list[int]) -> None:
    graph = json.loads((PACK / "workflows" / "talking_portrait.json").read_text(encoding="utf-8"))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    rows = []
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        measure(server, graph, 2)  # loads and warms everything
        for seconds in lengths:
            rows.append(measure(server, graph, seconds))
            print("{seconds:5d} s: {wall_per_second:.2f} s wall and {cpu_per_second:.2f} s CPU per second of film, "
                  "peak {peak_mb:.0f} MB".format(**rows[-1]), flush=True)  # fmt: skip
    target = PACK / "benchmarks" / "results" / "film_cost.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]] or [10, 60, 600])
