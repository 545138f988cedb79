"""Synthesise the speech that the pack's networks are trained and tested on, with the time of every phone.

    python3 run.py python -m talking_portrait.training.speech_net.corpus FOLDER
        flite: the built-in speech network, Takin-ADA
    python3 run.py python -m talking_portrait.training.speech_net.corpus FOLDER --many
        espeak-ng in 320 voices: Takin-ADA alone

Needs flite (voices slt, awb, kal16, rms), libespeak-ng and festival (ked) as installed tools
(training/speech_net/synthesisers.py). Sentences are made of this file's own words and of the system's word
list. FOLDER gets one .npz per clip: `wave` (int16, 16 kHz), `phones` (names), `ends` (seconds), `espeak`
(whose names they are), with the voice and the split in its name: SPLIT_VOICE_NUMBER.npz. The built-in speech
network never hears espeak-ng in training, and nothing hears festival: it is tested on them.
"""

import argparse
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .synthesisers import Clip, Espeak, festival, flite

VOICES = ("slt", "awb", "kal16", "rms")
ESPEAK_VOICES = ("en-us", "en+f3", "en-us+f2", "en-us+klatt2")
FESTIVAL_VOICES = ("ked_diphone",)
# sentences of each voice; the voices are trained on different sentences, tested on the same
TRAIN, TEST = 480, 40
STRETCHES = (0.8, 0.9, 1.0, 1.1, 1.25)
# not: received pronunciation, Caribbean
ACCENTS = ("en-us", "en-us-nyc", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
THROATS = (*(f"m{n}" for n in range(1, 9)), *(f"f{n}" for n in range(1, 6)), "klatt", "klatt2", "klatt3",
    "klatt4", "klatt5",
           "klatt6", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Diogo", "Gene", "Henrique", "Hugo",
           "Jacky", "Lee", "Mario",
           "Michael", "Mike", "Nguyen", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris",
           "caleb", "david",
           "ed", "edward", "grandma", "grandpa", "gustave", "iven", "john", "linda", "marcelo", "max",
           "michel", "miguel",
           "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby", "steph",
           "travis", "victor",
           "zac")  # fmt: skip
SPEAKERS, SAID = 320, 6  # speakers of espeak-ng, sentences of each
SEED = 20

SUBJECTS = ("my brother", "the five women", "a bad wolf", "every pilot", "the weather", "our old map",
    "that funny man",
            "someone from above", "the moving van", "you")  # fmt: skip
VERBS = ("buys", "forgets", "proves", "paints", "beats", "watches", "opens", "loves", "measures", "throws",
    "follows",
         "keeps", "begs for", "might move", "never saves")  # fmt: skip
OBJECTS = ("a big blue boat", "the file", "fresh coffee", "both of them", "more paper", "an apple pie",
    "the river",
           "his thumb", "a shiny jewel", "the bomb", "some good books", "five maps")  # fmt: skip
TAILS = ("before noon", "for my mother", "in the morning", "without a word", "every Friday", "above the bay",
         "over there", "now", "with us", "from time to time")  # fmt: skip


def sentences(count: int, words: list[str], random: np.random.Generator) -> list[str]:
    """Template sentences, each with up to four random words of the list."""
    made = []
    for _ in range(count):
        parts = [random.choice(group) for group in (SUBJECTS, VERBS, OBJECTS, TAILS)]
        extra = " ".join(random.choice(words, random.integers(2, 6)))
        made.append(f"{parts[0]} {parts[1]} {parts[2]} {parts[3]}, {extra}.")
    return made


def word_list() -> list[str]:
    """Plain lower-case words of 3 to 9 letters."""
    lines = Path("/usr/share/dict/words").read_text(encoding="utf-8").split()
    return [word for word in lines if re.fullmatch("[a-z]{3,9}", word)]


def save(folder: Path, split: str, voice: str, number: int, clip: Clip, espeak: bool) -> None:
    """Keep one clip."""
    path = folder / f"{split}_{voice}_{number:03d}.npz"
    np.savez(path, wave=clip[0], phones=clip[1], ends=clip[2], espeak=espeak)


def flite_corpus(folder: Path, words: list[str], random: np.random.Generator, train: int = TRAIN) -> None:
    """Training and test clips of flite, test clips of espeak-ng and festival."""
    cut = len(words) * 4 // 5
    tests = sentences(TEST, words[cut:], random)

    def job(item: tuple[str, str, int, str]) -> None:
        split, voice, number, text = item
        save(
            folder, split, voice, number, flite(text, voice, STRETCHES[number % len(STRETCHES)]), espeak=False
        )

    jobs = [
        ("train", voice, i, t)
        for voice in VOICES
        for i, t in enumerate(sentences(train, words[:cut], random))
    ]
    jobs += [("test", voice, i, text) for voice in VOICES for i, text in enumerate(tests)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(job, jobs))
    espeak = Espeak()
    for voice in ESPEAK_VOICES:
        for number, text in enumerate(tests):
            save(
                folder,
                "test",
                "espeak-" + voice.replace("+", "-"),
                number,
                espeak.say(text, voice),
                espeak=True,
            )
    for voice in FESTIVAL_VOICES:
        for number, text in enumerate(tests):
            save(
                folder,
                "test",
                "festival-" + voice.replace("_", "-"),
                number,
                festival(text, voice),
                espeak=False,
            )


def many_voices_corpus(
    folder: Path, words: list[str], random: np.random.Generator, speakers: int = SPEAKERS
) -> None:
    """Training clips of espeak-ng: accents, throats, pitches and speeds drawn at random for every speaker."""
    espeak = Espeak()
    for speaker in range(speakers):
        voice = f"{ACCENTS[speaker % len(ACCENTS)]}+{random.choice(THROATS)}"
        speed, pitch = int(random.integers(125, 225)), int(random.integers(25, 75))
        for number, text in enumerate(sentences(SAID, words[: len(words) * 4 // 5], random)):
            save(
                folder,
                "train",
                f"espeak{speaker:03d}",
                number,
                espeak.say(text, voice, speed, pitch),
                espeak=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--many", action="store_true", help="many voices of espeak-ng instead")
    parser.add_argument(
        "--train", type=int, default=TRAIN, help="sentences of each voice of flite to train on"
    )
    parser.add_argument("--speakers", type=int, default=SPEAKERS, help="speakers of espeak-ng")
    arguments = parser.parse_args()
    random, words = np.random.default_rng(SEED), word_list()
    random.shuffle(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.many:
        many_voices_corpus(arguments.folder, words, random, arguments.speakers)
    else:
        flite_corpus(arguments.folder, words, random, arguments.train)
    print(f"{len(list(arguments.folder.glob('*.npz')))} clips in {arguments.folder}")


if __name__ == "__main__":
    main()
