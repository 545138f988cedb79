"""Films of fresh synthetic speech with known phone times, for scoring Takin-ADA: what was said, heard, and
what the face should do.

The test films are spoken by festival, a synthesiser that neither the network nor its speech encoder ever
heard (a speaker never heard, and one whom another synthesiser spoke as), and by espeak-ng in two accents that
they never heard (received pronunciation, Caribbean). The development films are spoken by voices of the
training, and are for choosing settings. No sentence is shared with the training, and the words at the end of
each are of the fifth of the word list that training never drew from; the words of the templates are shared.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...models.speech.features import log_mel_block, voiced_mean
from ...models.takin.features import SpeechLayers
from ..speech_net.corpus import SEED, sentences, word_list
from ..speech_net.labels import segments
from ..speech_net.synthesisers import Clip, Espeak, festival, flite
from .hearing import Hearing
from .rules import frames_of, rule_motion

SETS = {
    "development": ("flite rms", "flite awb", "espeak-ng en-us", "espeak-ng en-gb-scotland+f4"),
    "test": (
        "festival ked_diphone",
        "festival cmu_us_slt_arctic_hts",
        "espeak-ng en-gb-x-rp",
        "espeak-ng en-029",
    ),
}
PAUSE_SECONDS = 0.35
Segments = list[tuple[str, float, float]]  # viseme, start, end


@dataclass(frozen=True)
class Film:
    """wave [T] at 16 kHz, segments (viseme, start, end), speech features, true neutral motion [N,70], voiced
    mean [40]."""

    voice: str
    wave: np.ndarray
    parts: Segments
    speech: SpeechLayers
    truth: Tensor
    mean: np.ndarray


def unheard_sentences(count: int, seed: int) -> list[str]:
    """Sentences whose free words training never drew from."""
    words = word_list()
    np.random.default_rng(SEED).shuffle(words)
    return sentences(count, words[len(words) * 4 // 5 :], np.random.default_rng(seed))


def joined(clips: list[Clip], espeak: bool) -> tuple[np.ndarray, Segments]:
    """Clips with a pause around each: wave as floats, segments."""
    pause, waves, parts, start = np.zeros(round(PAUSE_SECONDS * 16000), np.float32), [], [], 0.0
    for samples, phones, ends in clips:
        waves += [pause, samples.astype(np.float32) / 32768]
        parts.append(("sil", start, start + PAUSE_SECONDS))
        start += PAUSE_SECONDS
        parts += [
            (name, start + begin, start + end)
            for name, begin, end in segments(list(phones), list(ends), espeak)
        ]
        start += len(samples) / 16000
    return np.concatenate([*waves, pause]), [*parts, ("sil", start, start + PAUSE_SECONDS)]


def make_films(kind: str, per_voice: int, clips: int, seed: int, hearing: Hearing) -> list[Film]:
    """`per_voice` films of `clips` sentences each, for every voice of the set."""
    films, espeak = [], Espeak()
    say = {
        "flite": lambda text, voice: flite(text, voice, 1.0),
        "festival": festival,
        "espeak-ng": espeak.say,
    }
    for number, name in enumerate(SETS[kind]):
        synthesiser, voice = name.split(" ")
        texts = unheard_sentences(per_voice * clips, seed + number)
        for first in range(0, len(texts), clips):
            chosen = texts[first : first + clips]
            wave, parts = joined(
                [say[synthesiser](text, voice) for text in chosen], synthesiser == "espeak-ng"
            )
            frames = frames_of(wave)
            truth = rule_motion(wave, parts, np.random.default_rng([seed, number, first]))
            mel, _ = log_mel_block(wave, 0, 4 * frames)
            layers = hearing.layers(wave, frames)
            films.append(
                Film(
                    name,
                    wave,
                    parts,
                    SpeechLayers(layers, hearing.encoder),
                    torch.from_numpy(truth.motion),
                    voiced_mean(mel),
                )
            )
    return films
