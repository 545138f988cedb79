"""Takin-ADA's shipped network by motion sampler and number of steps: how far from the finest sampling of the same
noise, and how good the lips are.

    python3 run.py python benchmarks/sampler_quality.py [--out FILE]

Two test clips, two seeds, one thread; what hears is not timed. The reference is DDIM of 1000 steps from the same
noise. error: root mean square distance to it of the motion of the seed, over all 70 numbers and all frames, in
standard deviations of the training's motion; none for samplers of chance, which go elsewhere. error_steady: the
same of the motion without noise, whose lips are shown. jaw_phones: correlation of the shown jaw with the jaw that
the clip's phones ask for. jaw_reference: with the reference's. lip_velocity, lip_jerk, head_velocity, head_jerk:
mean sizes over the reference's. KDTalker's and JoyVASA's weights are not here, so nothing is said about them.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import comfy.cli_args
import numpy as np
import torch
from torch import Tensor

comfy.cli_args.args.cpu = not torch.cuda.is_available()

from talking_portrait.models.face_motion import CONTROLS, KEYPOINTS, expression_to_controls
from talking_portrait.models.sampling import DDIM, DDPM, SCHEDULERS, DiffusersSampler
from talking_portrait.models.speech.sound import RATE
from talking_portrait.models.takin.config import ANGLES, EXPRESSION, FPS
from talking_portrait.models.takin.emotion import emotion_label
from talking_portrait.models.takin.features import SpeechLayers
from talking_portrait.models.takin.generator import Feeling, MotionGenerator, Sampling, sampled_by
from talking_portrait.models.takin.network import TakinNet
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.training.takin.hearing import Hearing, hearing_of
from talking_portrait.training.takin.shipped import load

ROOT = Path(__file__).resolve().parent.parent
CLIPS, SEEDS = ("rms_014", "festival-ked-diphone_012"), (0, 1)
STEPS, FINEST = (4, 6, 10, 20, 50), 1000
SAMPLERS: dict[str, Callable] = {
    "ddim": DDIM,
    "ddim, eta 1": lambda steps: DDIM(steps, eta=1.0),
    "ddpm": DDPM,
    **{name: lambda steps, name=name: DiffusersSampler(name, steps) for name in SCHEDULERS},
}
CHANCE = ("ddim, eta 1", "ddpm")
TAKES = (0.0, 1.0)  # temperatures, as the engine draws them: the lips that are shown, and all else


def clip(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Wave at 16 kHz, decoded from mu-law, and the jaw that its phones ask for at 25 frames per second."""
    data = np.load(ROOT / "tests" / "data" / "speech_clips.npz")
    x = data[f"{name}.wave"] / 255 * 2 - 1
    return (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32), data[f"{name}.jaw"].astype(
        np.float32
    )


def heard(wave: np.ndarray, hearing: Hearing) -> SpeechLayers:
    """What the network is told of a whole clip."""
    return SpeechLayers(hearing.layers(wave, len(wave) * FPS // RATE), hearing.encoder)


def drawn(network: TakinNet, speech: SpeechLayers, seed: int, sampler, frames: int) -> tuple[Tensor, float]:
    """Motion [takes,N,70] in units, and the seconds that it took."""
    sampling = sampled_by(sampler, replace(Sampling(), temperatures=TAKES, seed=seed))
    begun = time.process_time()
    generator = MotionGenerator(network, sampling, Feeling(emotion_label({"neutral": 1.0}, 1.0)))
    motion = torch.cat([generator.push(speech), generator.finish()], 1)[:, :frames]
    return motion, time.process_time() - begun


def jaw(motion: Tensor) -> np.ndarray:
    """The jaw [N] of motion [N,70] in units."""
    controls = expression_to_controls(motion[:, :EXPRESSION].unflatten(1, (21, 3)))
    return controls[:, CONTROLS.index("jawOpen")].numpy()


def lips(motion: Tensor) -> Tensor:
    """Keypoints of the lips [N,18]."""
    return motion[:, :EXPRESSION].unflatten(1, (21, 3))[:, list(KEYPOINTS["lips"])].flatten(1)


def size(track: Tensor, order: int) -> float:
    """Mean size of a track's derivative [N,C], in its units per second to that power."""
    return float(track.diff(n=order, dim=0).norm(dim=1).mean()) * FPS**order


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    count = min(len(one), len(other))
    return float(np.corrcoef(one[:count], other[:count])[0, 1])


def figures(
    found: Tensor, reference: Tensor, phones: np.ndarray, deviation: Tensor, chance: bool
) -> dict[str, float]:
    """Everything that is told of a motion, but the time."""
    far = ((found - reference) / deviation).square().mean((1, 2)).sqrt().tolist()
    steady, free = found
    told = {} if chance else {"error": far[1]}
    return told | {
        "error_steady": far[0],
        "jaw_phones": correlation(jaw(steady), phones), "jaw_reference": correlation(jaw(steady), jaw(reference[0])),
        "lip_velocity": size(lips(steady), 1) / size(lips(reference[0]), 1),
        "lip_jerk": size(lips(steady), 3) / size(lips(reference[0]), 3),
        "head_velocity": size(free[:, ANGLES], 1) / size(reference[1][:, ANGLES], 1),
        "head_jerk": size(free[:, ANGLES], 3) / size(reference[1][:, ANGLES], 3),
    }  # fmt: skip


def measured() -> dict:
    network, _ = load(weight_path(WEIGHTS["takin.motion"]))
    hearing = hearing_of(network.config.encoder)
    deviation, rows, finest = network.motion_deviation, {}, []
    for name in CLIPS:
        wave, phones = clip(name)
        speech = heard(wave, hearing)
        for seed in SEEDS:
            reference, seconds = drawn(network, speech, seed, DDIM(FINEST), len(phones))
            finest.append({"jaw_phones": correlation(jaw(reference[0]), phones), "seconds": seconds})
            print(name, seed, finest[-1], flush=True)
            for sampler, make in SAMPLERS.items():
                for steps in STEPS:
                    found, seconds = drawn(network, speech, seed, make(steps), len(phones))
                    told = figures(found, reference, phones, deviation, sampler in CHANCE)
                    for figure, value in (told | {"seconds": seconds}).items():
                        rows.setdefault(sampler, {}).setdefault(figure, {}).setdefault(steps, []).append(
                            value
                        )
    table = {
        sampler: {figure: [round(fmean(by[steps]), 4) for steps in STEPS] for figure, by in found.items()}
        for sampler, found in rows.items()
    }
    return {
        "clips": ", ".join(CLIPS), "seeds": len(SEEDS), "threads": 1, "steps": list(STEPS),
        f"ddim of {FINEST} steps": {key: round(fmean(one[key] for one in finest), 4) for key in finest[0]},
        "Takin-ADA": table, "KDTalker, JoyVASA": "not measured: their weights are not here",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "sampler_quality.json")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    with torch.inference_mode():
        DiffusersSampler("euler", 1)
        import diffusers  # so that its import is in nobody's time

        assert all(hasattr(diffusers, kind) for kind, _ in SCHEDULERS.values())
        result = measured()
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
