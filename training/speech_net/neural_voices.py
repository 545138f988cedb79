"""Speech of Kokoro's voices in five languages, with the time of every sound, for training alone.

    PYTHONPATH=SITE python3 run.py python -m talking_portrait.training.speech_net.neural_voices \\
        FOLDER KOKORO.onnx VOICES [--rounds 14]

What SITE, KOKORO.onnx (the four parts joined) and VOICES are: training/speech_net/kokoro.py. Needs libespeak-ng and
word lists (Debian: wamerican, wspanish, wfrench, witalian, wportuguese). A clip that lies in FOLDER is not made again,
so the tool can be stopped at any time. A fourth of the English clips hold "um", "uh", "hm" or laughter. FOLDER gets one
.npz per clip, train_VOICE_NUMBER.npz: `wave` (int16, 16 kHz), `visemes` (names), `starts` and `ends` (seconds).
"""

import argparse
import re
from pathlib import Path

import numpy as np

from .corpus import sentences, word_list
from .ipa import Segment, letter_segments
from .kokoro import ENGLISH, OTHERS, Kokoro, Phonemes

LANGUAGES = {  # how its voices begin: espeak-ng's language, spelling for Kokoro, word list
    "a": ("en-us", ENGLISH, "american-english"),
    "b": ("en-gb-x-rp", ENGLISH, "american-english"),
    "e": ("es", OTHERS, "spanish"),
    "f": ("fr", OTHERS, "french"),
    "i": ("it", OTHERS, "italian"),
    "p": ("pt-br", OTHERS, "portuguese"),
}
WORDS, ENCODINGS = Path("/usr/share/dict"), ("utf-8", "latin-1")
FILLERS = (
    "ˈʌm",
    "ˈʌː",
    "əm",
    "ɜːm",
    "ʌːm",
    "hˈm",
    "ˈm",
    "ˌmhˈm",
    "əː",
    "ɑː",
    "hˈɑ hˈɑ hˈɑ",
    "hə hə hˈə",
    "hˈi hˈi",
)
FILLED = 0.25  # share of the English clips with some
SPEEDS = (0.85, 1.0, 1.0, 1.15, 1.3)
OTHER_LANGUAGES_OFTENER = 3  # clips of a voice that is not English against those of one that is
SEED = 31


def words_of(name: str) -> list[str]:
    """Words of 3 to 10 letters of a word list."""
    data = (WORDS / name).read_bytes()
    try:
        text = data.decode(ENCODINGS[0])
    except UnicodeDecodeError:
        text = data.decode(ENCODINGS[1])
    return [word for word in text.split() if re.fullmatch(r"[^\W\d_]{3,10}", word) and word.islower()]


def foreign_sentence(words: list[str], random: np.random.Generator) -> str:
    """Words of a list in a row, with a comma or two."""
    chosen = list(random.choice(words, random.integers(4, 9)))
    return " ".join(word + ("," if random.random() < 0.15 else "") for word in chosen).strip(",") + "."


def filled(ipa: str, random: np.random.Generator) -> str:
    """A sentence with one to three fillers before, in or behind it."""
    parts = ipa.split(" ")
    for _ in range(random.integers(1, 4)):
        parts.insert(random.integers(len(parts) + 1), f", {random.choice(FILLERS)},")
    return " ".join(parts).strip(" ,")


def said(
    kokoro: Kokoro, phonemes: Phonemes, voice: str, words: list[str], random: np.random.Generator
) -> tuple[np.ndarray, list[Segment]]:
    """A random sentence of a voice: wave and segments."""
    language, spelling, _ = LANGUAGES[voice[0]]
    english = language.startswith("en")
    text = sentences(1, words, random)[0] if english else foreign_sentence(words, random)
    if english and random.random() < 0.5:
        text = " ".join(random.choice(words, random.integers(3, 9))) + "."
    ipa = phonemes.of(text, language, spelling)
    if english and random.random() < FILLED:
        ipa = filled(ipa, random)
    wave, letters, ends = kokoro.say(ipa, voice, float(random.choice(SPEEDS)))
    return wave, letter_segments(letters, ends)


def jobs(voices: Path, rounds: int) -> list[tuple[str, int]]:
    """(voice, number) of every clip, all voices in turn."""
    names = sorted(path.stem for path in voices.glob("*.bin") if path.stem[0] in LANGUAGES)
    found = [
        (name, number)
        for number in range(rounds * OTHER_LANGUAGES_OFTENER)
        for name in names
        if number % OTHER_LANGUAGES_OFTENER == 0 or name[0] not in "ab"
    ]
    return sorted(found, key=lambda job: job[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("folder", "network", "voices"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--rounds", type=int, default=14)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kokoro, phonemes = Kokoro(arguments.network, arguments.voices), Phonemes()
    lists = {letter: words_of(name) for letter, (_, _, name) in LANGUAGES.items()}
    lists |= dict.fromkeys("ab", word_list())
    for voice, number in jobs(arguments.voices, arguments.rounds):
        path = arguments.folder / f"train_{voice.replace('_', '-')}_{number:03d}.npz"
        if path.exists():
            continue
        random = np.random.default_rng([SEED, number, *voice.encode()])
        wave, parts = said(kokoro, phonemes, voice, lists[voice[0]], random)
        names, starts, ends = zip(*parts, strict=True)
        np.savez(path, wave=wave, visemes=names, starts=np.array(starts), ends=np.array(ends))


if __name__ == "__main__":
    main()
