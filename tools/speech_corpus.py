"""Synthesise the speech that the built-in speech network is trained and tested on, with the time of every phone.

    python3 run.py python tools/speech_corpus.py FOLDER

Needs flite (voices slt, awb, kal16, rms) and, for the test synthesiser, libespeak-ng, both as installed tools.
Sentences are made of this file's own words and of the system's word list. FOLDER gets one .npz per clip: `wave` (int16,
16 kHz), `phones` (names), `ends` (seconds), with the voice and the split in its name: SPLIT_VOICE_NUMBER.npz.

Licences: flite and its voices come under Carnegie Mellon's permissive terms (use, copy, modify and sell without
restriction; see the copyright file of Debian's flite 2.2). espeak-ng is GPL-3; its sound is used for testing only,
never for training.
"""

import ctypes
import re
import subprocess
import sys
import tempfile
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE = 16000
VOICES = ("slt", "awb", "kal16", "rms")
ESPEAK_VOICES = ("en-us", "en+f3", "en-us+f2", "en-us+klatt2")
TRAIN, TEST = 480, 40  # sentences of each voice; the voices are trained on different sentences, tested on the same
STRETCHES = (0.8, 0.9, 1.0, 1.1, 1.25)
SEED = 20

SUBJECTS = ("my brother", "the five women", "a bad wolf", "every pilot", "the weather", "our old map", "that funny man",
            "someone from above", "the moving van", "you")  # fmt: skip
VERBS = ("buys", "forgets", "proves", "paints", "beats", "watches", "opens", "loves", "measures", "throws", "follows",
         "keeps", "begs for", "might move", "never saves")  # fmt: skip
OBJECTS = ("a big blue boat", "the file", "fresh coffee", "both of them", "more paper", "an apple pie", "the river",
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


def read_wav(path: Path) -> np.ndarray:
    """int16 samples of a mono wav, at 16 kHz."""
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if rate != RATE:
        samples = np.clip(resample_poly(samples.astype(np.float32), RATE, rate), -32768, 32767).astype(np.int16)
    return samples


def flite(text: str, voice: str, stretch: float) -> tuple[np.ndarray, list[str], list[float]]:
    """Wave, phones and phone end times in seconds."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        speed = f"duration_stretch={stretch}"
        command = ["flite", "-voice", voice, "-psdur", "--setf", speed, "-t", text, "-o", out.name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        phones = [item.rsplit(":", 1)[0] for item in printed]
        return read_wav(Path(out.name)), phones, [float(item.rsplit(":", 1)[1]) for item in printed]


class EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8),
    ]  # fmt: skip


class Espeak:
    """espeak-ng through its C interface: audio and phoneme onsets."""

    PHONEME = 7

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.library.espeak_Initialize(2, 0, None, 1)  # synchronous; bit 0: phoneme events
        self.blocks: list[np.ndarray] = []
        self.events: list[tuple[str, float]] = []
        samples, events = ctypes.POINTER(ctypes.c_short), ctypes.POINTER(EspeakEvent)
        self._callback = ctypes.CFUNCTYPE(ctypes.c_int, samples, ctypes.c_int, events)(self._receive)
        self.library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples, count, events) -> int:
        if samples and count:
            self.blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            if events[index].type == self.PHONEME:
                self.events.append((events[index].id.decode(errors="replace"), events[index].audio_position / 1000))
            index += 1
        return 0

    def say(self, text: str, voice: str) -> tuple[np.ndarray, list[str], list[float]]:
        """Wave at 16 kHz, phones, phone end times in seconds."""
        self.blocks, self.events = [], []
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        samples = resample_poly(np.concatenate(self.blocks).astype(np.float32), RATE, self.rate)
        total = len(samples) / RATE
        starts = [time for _, time in self.events] + [total]
        names = [name for name, _ in self.events]
        return np.clip(samples, -32768, 32767).astype(np.int16), ["pau", *names], [starts[0], *starts[1:]]


def main(folder: Path) -> None:
    random, words = np.random.default_rng(SEED), word_list()
    random.shuffle(words)
    cut = len(words) * 4 // 5
    tests = sentences(TEST, words[cut:], random)
    folder.mkdir(parents=True, exist_ok=True)

    def save(split: str, voice: str, number: int, clip: tuple[np.ndarray, list[str], list[float]]) -> None:
        np.savez(folder / f"{split}_{voice}_{number:03d}.npz", wave=clip[0], phones=clip[1], ends=clip[2])

    def job(item: tuple[str, str, int, str]) -> None:
        split, voice, number, text = item
        save(split, voice, number, flite(text, voice, STRETCHES[number % len(STRETCHES)]))

    jobs = [("train", voice, i, t) for voice in VOICES for i, t in enumerate(sentences(TRAIN, words[:cut], random))]
    jobs += [("test", voice, i, text) for voice in VOICES for i, text in enumerate(tests)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(job, jobs))
    espeak = Espeak()
    for voice in ESPEAK_VOICES:
        for number, text in enumerate(tests):
            save("test", "espeak-" + voice.replace("+", "-"), number, espeak.say(text, voice))
    print(f"{len(list(folder.glob('*.npz')))} clips in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
