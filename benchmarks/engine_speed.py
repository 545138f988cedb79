"""Every motion engine on the same speech at its default steps: motion frames per second of CPU time.

    python3 run.py python benchmarks/engine_speed.py [--out FILE]

The shipped speech (7.4 s at 25 fps), one thread. The built-in engine and Takin-ADA have their own weights;
KDTalker and JoyVASA full-size random numbers. Engines take turns; the first turn is not counted; the
process's own time is taken.
"""

import argparse
import json
import statistics
import time
from fractions import Fraction
from pathlib import Path

import comfy.cli_args
import librosa
import torch

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.engine import MotionSettings, Speech
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
from talking_portrait.models.joyvasa.motion import MotionTemplate
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.models.kdtalker.engine import KDTalkerEngine
from talking_portrait.models.kdtalker.motion import MotionStatistics
from talking_portrait.models.kdtalker.network import KDTalkerDenoiser
from talking_portrait.models.liveportrait.checkpoint import FILES
from talking_portrait.models.speech.wav2lip import AudioEncoder
from talking_portrait.models.takin.engine import TakinOptions
from talking_portrait.tools import random_joyvasa, random_weights
from talking_portrait.training.data.talking_faces import people
from talking_portrait.training.speech_net.shipped import shipped_networks
from talking_portrait.training.takin.shipped import shipped_takin

ROOT = Path(__file__).resolve().parent.parent
TURNS = 3
KDTALKER_STEPS = 10


def filled(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    network.load_state_dict(random_weights.random_state(network, seed))
    return network.eval()


def engines() -> dict:
    """One of each, ready."""
    networks = shipped_networks()
    motion = FILES["motion"]
    extractor = motion.build({}, {}, device="cpu")
    extractor.load_state_dict(random_weights.liveportrait_states()[motion.safetensors])
    denoiser, encoder = filled(KDTalkerDenoiser(), 10), filled(AudioEncoder(), 11)
    numbers = {name: torch.from_numpy(value) for name, value in random_weights.statistics().items()}
    state = joyvasa_state(random_joyvasa.model_state(random_joyvasa.PUBLISHED))
    joyvasa = build_joyvasa(state, {})
    joyvasa.load_state_dict(state, assign=True)
    template = MotionTemplate(
        {name: torch.from_numpy(value) for name, value in random_joyvasa.template().items()}
    )
    cpu = torch.device("cpu")
    return {
        "built-in": BuiltinMotionEngine(lambda: networks),
        "KDTalker": KDTalkerEngine(
            lambda: denoiser,
            lambda: encoder,
            lambda: extractor.eval(),
            MotionStatistics(numbers),
            KDTALKER_STEPS,
            cpu,
        ),
        "JoyVASA": JoyVASAEngine(lambda: joyvasa.eval(), template, JoyVASAOptions(), cpu),
        "Takin-ADA (shipped)": shipped_takin(TakinOptions()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "engine_speed.json")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    wave = librosa.load(ROOT / "samples" / "talking_portrait_speech.wav", sr=16000)[0]
    speech, who, fps = Speech(torch.from_numpy(wave)[None], 16000), people(1)[0].portrait, Fraction(25)
    seconds: dict[str, list[float]] = {}
    with torch.inference_mode():
        made = engines()
        for _ in range(TURNS + 1):
            for name, engine in made.items():
                begun = time.process_time()
                frames = len(engine.generate(speech, fps, 0, MotionSettings(), lambda done, total: None, who))
                seconds.setdefault(name, []).append(time.process_time() - begun)
    result = {"frames": frames, "threads": 1, "frames_per_cpu_second": {
        name: round(frames / statistics.median(found[1:]), 1) for name, found in seconds.items()
    }}  # fmt: skip
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
