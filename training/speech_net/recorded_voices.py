"""Real people's recordings with known texts, aligned: a corpus to train, to fit or to test on.

    PYTHONPATH=SITE python3 run.py python -m talking_portrait.training.speech_net.recorded_voices \\
        FOLDER SPLIT VOICE LANGUAGE SOUNDS TEXTS [--limit 200]

SOUNDS: a folder of recordings that PyAV reads, g722 and gsm among them. TEXTS: lines `name: text`, the name being the
recording's path in SOUNDS without its ending. LANGUAGE: espeak-ng's (en-us, es, fr, it, ru). SITE: training/speech_net/
alignment.py. What is not understood is left out. FOLDER gets clips as from training/speech_net/neural_voices.py,
SPLIT_VOICE_NUMBER.npz. More people:
training/speech_net/people.py.
"""

import argparse
import gzip
import re
from pathlib import Path
from typing import Any

import av
import numpy as np

from .alignment import Aligner
from .ipa import Segment
from .kokoro import ENGLISH, OTHERS, Phonemes

RATE = 16000
SECONDS = (0.4, 30.0)  # shorter and longer recordings are left out
RAW = {".g722": "g722", ".gsm": "gsm"}  # endings of sounds without a header: PyAV's name of the format
SEED = 7


def read_sound(path: Path) -> np.ndarray:
    """int16 samples at 16 kHz, the mean of all channels; .raw is taken for just that."""
    if path.suffix == ".raw":
        return np.fromfile(path, "<i2")
    with av.open(str(path), format=RAW.get(path.suffix.lower())) as container:
        resampler = av.AudioResampler("s16", "mono", RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def read_texts(path: Path) -> dict[str, str]:
    """name -> what is said; what stands in brackets or holds another name is left out."""
    raw = path.read_bytes()
    lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line and not line.startswith(";"))
    found = {name.strip(): text.replace("...", " ").strip() for name, text in pairs}
    return {
        name: text for name, text in found.items() if text and not re.search(r"[\[\]()<>*]|\w-\w+:", text)
    }


def aligned(
    aligner: Aligner, phonemes: Phonemes, wave: np.ndarray, text: str, language: str
) -> tuple[np.ndarray, list[Segment]]:
    """The wave and its segments; ValueError where they do not fit."""
    if not SECONDS[0] <= len(wave) / RATE <= SECONDS[1]:
        raise ValueError(f"it lasts {len(wave) / RATE:.1f} s")
    spelling = ENGLISH if language.startswith("en") else OTHERS
    return wave, aligner.align(wave, phonemes.of(text, language, spelling))


def save_clip(
    path: Path, wave: np.ndarray, parts: list[Segment], fillers: list[tuple[float, float]] | None = None
) -> None:
    """Keep one clip; `fillers`: start and end of each "um" and "uh" in it."""
    names, starts, ends = zip(*parts, strict=True)
    known: dict[str, Any] = {} if fillers is None else {"fillers": np.array(fillers).reshape(-1, 2)}
    np.savez(path, wave=wave, visemes=names, starts=np.array(starts), ends=np.array(ends), **known)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    for name in ("split", "voice", "language"):
        parser.add_argument(name)
    for name in ("sounds", "texts"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--limit", type=int, default=10_000, help="clips at most, drawn at random")
    parser.add_argument("--only", default="", help="how the names begin, such as digits/")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    texts, aligner, phonemes = read_texts(arguments.texts), Aligner(), Phonemes()
    paths = {
        str(path.relative_to(arguments.sounds).with_suffix("")): path
        for path in arguments.sounds.rglob("*.*")
    }
    names = sorted(name for name in set(texts) & set(paths) if name.startswith(arguments.only))
    np.random.default_rng(SEED).shuffle(names)
    kept = seconds = 0
    for name in names:
        if kept == arguments.limit:
            break
        try:
            wave, parts = aligned(aligner, phonemes, read_sound(paths[name]), texts[name], arguments.language)
        except ValueError as reason:
            print(f"{name} left out: {reason}")
            continue
        save_clip(arguments.folder / f"{arguments.split}_{arguments.voice}_{kept:03d}.npz", wave, parts)
        kept, seconds = kept + 1, seconds + len(wave) / RATE
    print(f"{arguments.voice}: {kept} clips, {seconds:.0f} s")


if __name__ == "__main__":
    main()
