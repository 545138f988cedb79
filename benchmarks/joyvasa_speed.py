"""JoyVASA's motion from sound, full size with random numbers: time per second of speech, and memory against length.

    python3 run.py python benchmarks/joyvasa_speed.py [--threads N] [--out FILE]

Peers run in turn (all steps, fewer, without guidance); on a CPU the process's own time is taken, which
neighbours on the machine do not change, on a GPU the wall time with all work done.
"""

import argparse
import json
import platform
import resource
import time
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
from talking_portrait.models.joyvasa.motion import MotionTemplate
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.tools.random_joyvasa import PUBLISHED, model_state, template

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PEERS = {
    "50 steps": JoyVASAOptions(),
    "10 steps": JoyVASAOptions(steps=10),
    "50 steps, guidance 1": JoyVASAOptions(guidance=1.0),
}
SECONDS = (20, 80, 320)


def moment() -> float:
    """Seconds: process time on a CPU, wall time on a GPU; motions come back to the CPU, so the work is done."""
    return time.perf_counter() if DEVICE.type == "cuda" else time.process_time()


def measure() -> dict:
    """All figures of one run."""
    state = joyvasa_state(model_state(PUBLISHED))
    network = build_joyvasa(state, {})
    network.load_state_dict(state, assign=True)
    network.eval().to(DEVICE)
    statistics = MotionTemplate({name: torch.from_numpy(value) for name, value in template().items()})
    engines = {
        name: JoyVASAEngine(lambda: network, statistics, options, DEVICE) for name, options in PEERS.items()
    }

    def run(name: str, seconds: int) -> float:
        clip = Speech(
            0.1 * torch.randn(1, seconds * 16000, generator=torch.Generator().manual_seed(0)), 16000
        )
        start = moment()
        engines[name].generate(clip, Fraction(25), 0, MotionSettings(), lambda done, total: None)
        return moment() - start

    with torch.inference_mode():
        run("10 steps", 4)
        speed = {name: round(run(name, 20) / 20, 3) for name in PEERS}
        memory = {}
        for seconds in SECONDS:
            run("10 steps", seconds)
            memory[f"{seconds} s"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    return {
        "machine": f"{platform.machine()}, {DEVICE}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "weights": "random numbers, published sizes, trained for 50 steps",
        "seconds per second of speech": speed,
        "peak memory of the process after sound of this length, MB": memory,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    figures = measure()
    print(json.dumps(figures, indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
