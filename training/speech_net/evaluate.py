"""Score a speech network, and the motion engine that runs it, on the test sentences of a corpus; silence included.

    python3 run.py python -m talking_portrait.training.speech_net.evaluate \\
        CORPUS WEIGHTS.safetensors [RESULT.json]

Per voice, at 25 frames per second: viseme accuracy of the network and correlation r of each articulation with its
target; then, of the finished motion, the share of p/b/m at which the lips meet (mouthClose above 0.8, jawOpen below 0.1
within one frame), the share of f/v at which the lower lip tucks (mouthRollLower above 0.5), and how many frames close
the lips further than two frames from any p/b/m or pause. Voices that the network never heard are marked *.
"""

import argparse
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from scipy.ndimage import binary_dilation

from ...models.builtin.motion_engine import BuiltinMotionEngine
from ...models.engine import MotionSettings, Speech
from ...models.face_motion import CONTROLS
from ...models.speech.features import normalise, speech_features
from ...models.speech.speech_net import ARTICULATION, VISEMES, SpeechNet, build_speech_net, hear
from .labels import label_tracks, segments

FPS = 25
BLOCK = 4  # feature frames per video frame
CLOSED, SHUT_JAW, TUCKED = 0.8, 0.1, 0.5


def load(path: Path) -> tuple[SpeechNet, dict[str, str]]:
    """The network in fp32 and its header."""
    with safe_open(str(path), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_speech_net(state, metadata, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval(), metadata


def video_rate(track: np.ndarray) -> np.ndarray:
    """Mean over each 40 ms."""
    count = len(track) // BLOCK
    return track[: count * BLOCK].reshape(count, BLOCK, -1).mean(1)


def hits(parts: list[tuple[str, float, float]], viseme: str, reached: np.ndarray) -> np.ndarray:
    """For every sound of that viseme, whether `reached` [N] holds within one frame of its middle."""
    middles = [int((start + end) / 2 * FPS) for name, start, end in parts if name == viseme]
    return np.array([reached[max(0, m - 1) : m + 2].any() for m in middles], bool)


def motion_scores(
    wave: np.ndarray, network: torch.nn.Module, parts: list[tuple[str, float, float]]
) -> dict[str, np.ndarray]:
    """What an artist would see: closures met, tucks met, and which frames close the lips for no reason."""
    engine = BuiltinMotionEngine(lambda: network)
    speech = Speech(torch.from_numpy(wave)[None], 16000)
    controls = engine.generate(
        speech, Fraction(FPS), 0, MotionSettings(), lambda done, total: None
    ).controls.numpy()
    jaw, close, tuck = (
        controls[:, CONTROLS.index(name)] for name in ("jawOpen", "mouthClose", "mouthRollLower")
    )
    times = np.arange(len(controls)) / FPS
    due = np.zeros(len(controls), bool)
    for name, start, end in parts:
        if name in ("PP", "sil"):
            due |= (times > start - 1 / FPS) & (times < end)
    return {
        "pbm": hits(parts, "PP", (close > CLOSED) & (jaw < SHUT_JAW)),
        "fv": hits(parts, "FF", tuck > TUCKED),
        "needless": (close > CLOSED) & np.logical_not(binary_dilation(due, iterations=2)),
    }


def score_clip(network: torch.nn.Module, clip: dict, espeak: bool) -> dict[str, np.ndarray]:
    """Predictions and truth of one clip at 25 fps, and what the engine makes of it."""
    wave = clip["wave"].astype(np.float32) / 32768
    mel, _ = speech_features(wave[None], 16000)
    visemes, moves = hear(network, normalise(mel), torch.device("cpu"))
    parts = segments(clip["phones"], clip["ends"], espeak)
    classes, target = label_tracks(parts, len(mel))
    return {
        "guess": video_rate(visemes).argmax(1), "truth": video_rate(np.eye(len(VISEMES))[classes]).argmax(1),
        "moves": video_rate(moves), "target": video_rate(target), **motion_scores(wave, network, parts),
    }  # fmt: skip


def score_clips(network: torch.nn.Module, clips: list[tuple[dict, bool]]) -> dict[str, float]:
    """All measures over (clip, whether espeak-ng spoke it)."""
    scores = [score_clip(network, clip, espeak) for clip, espeak in clips]
    joined = {key: np.concatenate([score[key] for score in scores]) for key in scores[0]}
    result = {"frames": len(joined["truth"]), "viseme": float((joined["guess"] == joined["truth"]).mean())}
    for index, name in enumerate(ARTICULATION):
        result[name] = float(np.corrcoef(joined["moves"][:, index], joined["target"][:, index])[0, 1])
    shares = {"pbm_closed": joined["pbm"], "fv_tucked": joined["fv"], "needless_closed": joined["needless"]}
    counts = {"pbm": len(joined["pbm"]), "fv": len(joined["fv"])}
    return result | {name: float(values.mean()) for name, values in shares.items()} | counts


def line(voice: str, row: dict) -> str:
    """One row of the table."""
    moves = "  ".join(f"{name} {row[name]:.2f}" for name in ARTICULATION)
    name = voice + ("" if row["heard_in_training"] else " *")
    return (f"{name:22s} viseme {row['viseme']:.3f}  {moves}  p/b/m closed {row['pbm_closed']:.3f} of "
    f"{row['pbm']}  f/v {row['fv_tucked']:.3f} of {row['fv']}  needless {row['needless_closed']:.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("result", type=Path, nargs="?")
    arguments = parser.parse_args()
    network, metadata = load(arguments.weights)
    rows = {}
    with torch.inference_mode():
        for voice in sorted({path.stem.split("_")[1] for path in arguments.corpus.glob("test_*.npz")}):
            paths = sorted(arguments.corpus.glob(f"test_{voice}_*.npz"))
            row = score_clips(network, [(dict(np.load(path)), "espeak" in voice) for path in paths])
            rows[voice] = row | {"heard_in_training": voice in metadata["voices"].split()}
            print(line(voice, rows[voice]), flush=True)
    if arguments.result:
        arguments.result.parent.mkdir(exist_ok=True)
        arguments.result.write_text(json.dumps({"weights": metadata, "voices": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
