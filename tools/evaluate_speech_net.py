"""Score a speech network on the test sentences of a corpus, at 25 frames per second, silence included.

    python3 run.py python tools/evaluate_speech_net.py CORPUS WEIGHTS.safetensors [RESULT.json]

Per voice: viseme accuracy, correlation of each articulation with its target, and the share of p/b/m events at which the
lips close (closure above 0.8 within one frame). Voices that the network never heard are marked *.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from speech_labels import label_tracks, segments
from talking_portrait.models.builtin.speech_features import normalise, speech_features
from talking_portrait.models.builtin.speech_net import ARTICULATION, VISEMES, build_speech_net, hear

FRAMES = 4  # feature frames per video frame


def load(path: Path) -> tuple[torch.nn.Module, dict[str, str]]:
    """The network in fp32 and its header."""
    with safe_open(str(path), "pt") as file:
        metadata, state = file.metadata(), {key: file.get_tensor(key).float() for key in file.keys()}
    network = build_speech_net(state, metadata, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval(), metadata


def video_rate(track: np.ndarray) -> np.ndarray:
    """Mean over each 40 ms."""
    count = len(track) // FRAMES
    return track[: count * FRAMES].reshape(count, FRAMES, -1).mean(1)


def score_clip(network: torch.nn.Module, clip: dict, espeak: bool) -> dict[str, np.ndarray]:
    """Predictions and truth of one clip at 25 fps, and (closed, all) counts of its p/b/m."""
    mel, _ = speech_features(clip["wave"].astype(np.float32)[None] / 32768, 16000)
    visemes, moves = hear(network, normalise(mel), torch.device("cpu"))
    parts = segments(clip["phones"], clip["ends"], espeak)
    classes, target = label_tracks(parts, len(mel))
    close = video_rate(moves)[:, ARTICULATION.index("close")]
    events = [round((start + end) / 2 * 25 - 0.5) for viseme, start, end in parts if viseme == "PP"]
    closed = [close[max(0, e - 1) : e + 2].max(initial=0) > 0.8 for e in events]
    return {
        "guess": video_rate(visemes).argmax(1), "truth": video_rate(np.eye(len(VISEMES))[classes]).argmax(1),
        "moves": video_rate(moves), "target": video_rate(target), "closed": np.array(closed, bool),
    }  # fmt: skip


def score_voice(network: torch.nn.Module, paths: list[Path]) -> dict[str, float]:
    """All measures over the clips of one voice."""
    clips = [score_clip(network, dict(np.load(path)), "espeak" in path.stem) for path in paths]
    joined = {key: np.concatenate([clip[key] for clip in clips]) for key in clips[0]}
    result = {"frames": len(joined["truth"]), "viseme": float((joined["guess"] == joined["truth"]).mean())}
    for index, name in enumerate(ARTICULATION):
        result[name] = float(np.corrcoef(joined["moves"][:, index], joined["target"][:, index])[0, 1])
    return result | {"pbm_closed": float(joined["closed"].mean()), "pbm": len(joined["closed"])}


def main(corpus: Path, weights: Path, result: Path | None) -> None:
    network, metadata = load(weights)
    rows = {}
    voices = sorted({path.stem.split("_")[1] for path in corpus.glob("test_*.npz")})
    with torch.inference_mode():
        for voice in voices:
            row = score_voice(network, sorted(corpus.glob(f"test_{voice}_*.npz")))
            row["heard_in_training"] = voice in metadata["voices"].split()
            rows[voice] = row
            print(f"{voice + ('' if row['heard_in_training'] else ' *'):18s} viseme {row['viseme']:.3f}  "
                  + "  ".join(f"{name} {row[name]:.2f}" for name in ARTICULATION)
                  + f"  p/b/m closed {row['pbm_closed']:.3f} of {row['pbm']}", flush=True)  # fmt: skip
    if result:
        result.parent.mkdir(exist_ok=True)
        result.write_text(json.dumps({"weights": metadata, "voices": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
