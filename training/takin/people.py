"""Score Takin-ADA networks on real people: what the engine shows of their recordings against the sounds in them.

    python3 run.py python -m talking_portrait.training.takin.people RESULT.json PEOPLE WEIGHTS.safetensors... [--each 8]

PEOPLE: clips of split `test` (training/speech_net/people.py, recorded_voices.py), of each speaker the first `--each`,
one after another with a second between them. The measures are those of training/speech_net/measures.py, of the
finished motion; `round` and `wide` are how mouthPucker and mouthStretch follow the sounds' targets.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from ...models.engine import MotionSettings, Speech
from ...models.face_motion import CONTROLS
from ...models.progress import silent
from ...models.speech.sound import RATE
from ...models.takin.engine import TakinEngine, TakinOptions
from ..speech_net.ipa import Segment
from ..speech_net.labels import label_tracks, segments_of
from ..speech_net.measures import BLOCK, FPS, seen, video_rate
from ..speech_net.tapes import read_clips
from .evaluate import rounded
from .shipped import engine_of, load, speech_encoder_of

TARGETS = {"jaw": ("jawOpen", 0), "round": ("mouthPucker", 2), "wide": ("mouthStretch", 3)}


def in_a_row(clips: list[dict]) -> tuple[np.ndarray, list[Segment]]:
    """Clips with a second of silence around each: wave, segments."""
    waves, parts, start = [np.zeros(RATE, np.float32)], [("sil", 0.0, 1.0)], 1.0
    for clip in clips:
        wave = clip["wave"].astype(np.float32) / 32768
        parts += [(name, start + begin, start + end) for name, begin, end in segments_of(clip)]
        start += len(wave) / RATE
        waves += [wave, np.zeros(RATE, np.float32)]
        parts.append(("sil", start, start + 1))
        start += 1
    return np.concatenate(waves), parts


def scores(engine: TakinEngine, wave: np.ndarray, parts: list[Segment]) -> dict[str, np.ndarray]:
    """What is shown of a recording, and what was due, frame by frame."""
    sound = Speech(torch.from_numpy(wave)[None], RATE)
    controls = engine.generate(sound, Fraction(FPS), 1, MotionSettings(), silent).controls.numpy()
    target = video_rate(label_tracks(parts, BLOCK * len(controls))[1])
    due = {f"due_{name}": target[:, column] for name, (_, column) in TARGETS.items()}
    shown = {name: controls[:, CONTROLS.index(control)] for name, (control, _) in TARGETS.items()}
    return {**seen(controls, parts), **shown, **due}


def joined(found: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """All measures over some recordings."""
    all_of = {key: np.concatenate([score[key] for score in found]) for key in found[0]}
    result = {"seconds": len(all_of["jaw"]) / FPS}
    result |= {f"{name}_r": float(np.corrcoef(all_of[name], all_of[f"due_{name}"])[0, 1]) for name in TARGETS}
    for name in ("pbm_closed", "fv_tucked", "needless_closed", "shut_in_pauses"):
        if len(all_of[name]):
            result[name] = float(all_of[name].mean())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("result", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("--split", choices=("test", "fit"), default="test")
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = [path.stem.split("_")[1] for path in sorted(arguments.people.glob(f"{arguments.split}_*.npz"))]
    voices: dict[str, list[dict]] = {}
    for name, clip in zip(names, read_clips(arguments.people, arguments.split), strict=True):
        if len(voices.setdefault(name, [])) < arguments.each:
            voices[name].append(clip)
    result: dict[str, dict] = {}
    with torch.inference_mode():
        for weights in arguments.weights:
            network, _ = load(weights)
            engine = engine_of(network, speech_encoder_of(network), TakinOptions(steps=arguments.steps))
            found = {name: scores(engine, *in_a_row(clips)) for name, clips in voices.items()}
            row = {"all": joined(list(found.values()))}
            row |= {name: joined([score]) for name, score in found.items()}
            result[weights.stem] = {"encoder": engine.encoder, **row}
            print(weights.stem, json.dumps(rounded(row["all"])), flush=True)
    arguments.result.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
