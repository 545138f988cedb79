"""Synthesisers that tell when they say which phone: flite, espeak-ng and festival, each as an installed tool.

Each gives a wave (int16, 16 kHz), the names of its phones and their ends in seconds.

Licences: flite and its voices come under Carnegie Mellon's permissive terms (use, copy, modify and sell
without restriction; see the copyright file of Debian's flite 2.2), festival under similar ones. espeak-ng is
GPL-3, which does not cover the sound it makes.
"""

import ctypes
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE = 16000
Clip = tuple[np.ndarray, list[str], list[float]]  # wave (int16), phones, their ends in seconds


def read_wav(path: Path) -> np.ndarray:
    """int16 samples of a mono wav, at 16 kHz."""
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if rate != RATE:
        samples = np.clip(resample_poly(samples.astype(np.float32), RATE, rate), -32768, 32767).astype(
            np.int16
        )
    return samples


def flite(text: str, voice: str, stretch: float) -> Clip:
    """Wave, phones and phone end times in seconds."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        speed = f"duration_stretch={stretch}"
        command = ["flite", "-voice", voice, "-psdur", "--setf", speed, "-t", text, "-o", out.name]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        phones = [item.rsplit(":", 1)[0] for item in printed]
        return read_wav(Path(out.name)), phones, [float(item.rsplit(":", 1)[1]) for item in printed]


def festival(text: str, voice: str) -> Clip:
    """What a voice of festival says (ked_diphone, kal_diphone, cmu_us_slt_arctic_hts)."""
    with tempfile.TemporaryDirectory() as folder:
        sound, times = Path(folder, "said.wav"), Path(folder, "said.lab")
        Path(folder, "say.scm").write_text(
            f'(voice_{voice})\n(set! said (Utterance Text "{text}"))\n(utt.synth said)\n(utt.save.wave said '
            f'"{sound}" (quote riff))\n(utt.save.segs said "{times}")\n'
        )
        subprocess.run(["festival", "-b", str(Path(folder, "say.scm"))], check=True, capture_output=True)
        rows = [line.split() for line in times.read_text().splitlines() if not line.startswith("#")]
        return read_wav(sound), [row[2] for row in rows], [float(row[0]) for row in rows]


class EspeakEvent(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique_identifier", ctypes.c_uint), ("text_position", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_position", ctypes.c_int), ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p), ("id", ctypes.c_char * 8),
    ]  # fmt: skip


class Espeak:
    """espeak-ng through its C interface: audio and phoneme onsets."""

    PHONEME = 7  # type of an event
    SPEED, PITCH = 1, 3  # numbers of parameters

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
                self.events.append(
                    (events[index].id.decode(errors="replace"), events[index].audio_position / 1000)
                )
            index += 1
        return 0

    def say(self, text: str, voice: str, speed: int = 175, pitch: int = 50) -> Clip:
        """Wave at 16 kHz, phones, phone end times in seconds; `speed` in words per minute, `pitch` 0..100."""
        self.blocks, self.events = [], []
        self.library.espeak_SetParameter(self.SPEED, speed, 0)
        self.library.espeak_SetParameter(self.PITCH, pitch, 0)
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        data = text.encode()
        self.library.espeak_Synth(data, len(data) + 1, 0, 1, 0, 1, None, None)
        samples = resample_poly(np.concatenate(self.blocks).astype(np.float32), RATE, self.rate)
        total = len(samples) / RATE
        starts = [time for _, time in self.events] + [total]
        names = [name for name, _ in self.events]
        return np.clip(samples, -32768, 32767).astype(np.int16), ["pau", *names], [starts[0], *starts[1:]]
