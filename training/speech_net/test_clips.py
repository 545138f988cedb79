"""Pack a few test clips of a corpus, with what the mouth should do, into the file that the test suite reads.

    python3 run.py python -m talking_portrait.training.speech_net.test_clips \\
        CORPUS tests/data/speech_clips.npz

Only voices that the shipped network never heard. Per clip: `wave` (8-bit mu-law, 16 kHz), and at 25 frames per second
`viseme` (index), `jaw` (target 0..1), then `pbm` (middles of p, b, m in seconds).
"""

import sys
from pathlib import Path

import numpy as np

from ...models.speech.features import FRAME_RATE, RATE
from ...models.speech.visemes import VISEMES
from .labels import label_tracks, segments
from .measures import video_rate

CLIPS = {"rms": (0, 7, 14, 21, 28), "espeak-en-us": (3,), "espeak-en-us-f2": (10,), "espeak-en-f3": (17,),
         "festival-ked-diphone": (5, 12)}  # fmt: skip
MU = 255


def mu_law(wave: np.ndarray) -> np.ndarray:
    """int16 -> uint8; the decoder is in the tests."""
    x = wave / 32768
    return np.round((np.sign(x) * np.log1p(MU * np.abs(x)) / np.log1p(MU) + 1) / 2 * 255).astype(np.uint8)


def main(corpus: Path, out: Path) -> None:
    arrays = {}
    for voice, numbers in CLIPS.items():
        for number in numbers:
            clip = np.load(corpus / f"test_{voice}_{number:03d}.npz")
            parts = segments(clip["phones"], clip["ends"], "espeak" in voice)
            classes, moves = label_tracks(parts, -(-len(clip["wave"]) * FRAME_RATE // RATE))
            key = f"{voice}_{number:03d}"
            arrays[key + ".wave"] = mu_law(clip["wave"])
            arrays[key + ".viseme"] = video_rate(np.eye(len(VISEMES))[classes]).argmax(1).astype(np.uint8)
            arrays[key + ".jaw"] = video_rate(moves)[:, 0].astype(np.float16)
            arrays[key + ".pbm"] = np.array([(s + e) / 2 for name, s, e in parts if name == "PP"], np.float32)
    np.savez_compressed(out, **arrays)
    print(f"{len(arrays) // 4} clips, {out.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
