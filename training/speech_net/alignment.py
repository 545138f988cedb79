"""Which sound is when in a recording whose text is known: forced alignment by pocketsphinx's English acoustic model.

    pip install --target SITE pocketsphinx          (MIT; its acoustic model ships in the wheel)

Text becomes IPA by espeak-ng, each letter is aligned as the nearest English sound, and the mouth is that of the letter
itself, so other languages are aligned roughly.
"""

from typing import Any

import numpy as np

from .ipa import LENGTH, PAUSES, SHORT_PAUSE, STRESS, VISEME_OF_IPA, Segment, viseme_parts

RATE, FRAME = 16000, 0.01  # Hz, seconds
LATE = 0.005  # seconds by which its times run ahead of hand labels
PHONE_SECONDS = (0.035, 0.2)  # mean length of a sound outside of which an alignment is not believed
LEAST_LOUD, MOST_IN_PAUSES = (
    25.0,
    0.15,
)  # dB below the loud moments; share of louder moments that may lie in pauses
FEW = 3  # sounds of a word whose times may be shared out evenly

NEAREST: dict[str, str] = {
    **dict(zip("pbmfvθðtdnlszʃʒʧʤkɡgŋhɹjw", "P B M F V TH DH T D N L S Z SH ZH CH JH K G G NG HH R Y W".split(),
               strict=True)),
    **dict(zip("iɪeɛæaɑɒʌəɐɔoʊuɜɚɝ", "IY IH EY EH AE AA AA AA AH AH AH AO OW UH UW ER ER ER".split(), strict=True)),
    **dict(zip("AIWOQY", "EY AY AW OW OW OY".split(), strict=True)),
    **dict(zip("βɓɸʋɱɫɾrɻʁɣxχɦqcɟçʝɲɳʎʈɖɭɽ", "B B F V M L T R R R G HH HH HH K K G HH Y N N L T D L T".split(),
               strict=True)),
    **dict(zip("ʦʣɕʑʂʐʨʥɴʔ", "T D SH ZH SH ZH CH JH N T".split(), strict=True)),
    **dict(zip("yøœɨᵻɯɰʉɵɤɘᵊɥʏ", "UW ER ER IH IH UW W UW UH AH AH AH W UH".split(), strict=True)),
}  # fmt: skip


def words_of(ipa: str) -> list[list[str]]:
    """The letters of each word, without marks; letters that no table knows are left out."""
    spoken = "".join(" " if letter in PAUSES else letter for letter in ipa if letter not in STRESS + LENGTH)
    words = [
        [letter for letter in word if letter in NEAREST and letter in VISEME_OF_IPA]
        for word in spoken.split()
    ]
    return [word for word in words if word]


SOUNDS = frozenset(NEAREST.values())
Timed = tuple[str, float, float]  # name of a word or a sound, start and end in seconds


class Aligner:
    """Aligns a recording of at most a minute with what is said in it."""

    def __init__(self) -> None:
        import pocketsphinx  # pyright: ignore[reportMissingImports] (got for this tool alone, as said above)

        beams = dict.fromkeys(("beam", "wbeam", "pbeam"), 1e-150)
        self.decoder: Any = pocketsphinx.Decoder(lm=None, dict=None, loglevel="FATAL", **beams)
        self.sounds: dict[str, list[str]] = {}  # of each word it knows

    def align(self, wave: np.ndarray, ipa: str) -> list[Segment]:
        """Wave (int16, 16 kHz) and its IPA -> segments from 0 to its end; ValueError where they do not fit."""
        words = words_of(ipa)
        if not words:
            raise ValueError("nothing is said")
        names = [self._word(word) for word in words]
        found = self._words(wave, " ".join(names))
        if [name for name, _, _ in found if name in self.sounds] != names:
            raise ValueError("some of it was not found")
        letters = iter([letter for word in words for letter in word])
        parts: list[Segment] = []
        for phone, start, end in self._phones(wave, found):
            parts += viseme_parts(next(letters), start, end) if phone in SOUNDS else [("sil", start, end)]
        check(wave, parts)
        return without_gaps(parts)

    def _words(self, wave: np.ndarray, text: str) -> list[Timed]:
        """Where each word of a text is, pauses among them."""
        self._pass(wave, lambda: self.decoder.set_align_text(text))
        return [
            (part.word.split("(")[0], part.start_frame * FRAME, (part.end_frame + 1) * FRAME)
            for part in self.decoder.seg() or ()
        ]

    def _phones(self, wave: np.ndarray, found: list[Timed]) -> list[Timed]:
        """Where each sound is; word by word where pocketsphinx loses its way in the whole."""
        try:
            self._pass(wave, self.decoder.set_alignment)
            return self._phones_told(0.0)
        except ValueError:
            return [part for word in found for part in self._phones_of(wave, *word)]

    def _phones_of(self, wave: np.ndarray, word: str, start: float, end: float) -> list[Timed]:
        """The sounds of one word that lies between two times."""
        if word not in self.sounds:
            return [("SIL", start, end)]
        piece = wave[int(start * RATE) : int(end * RATE)]
        try:
            self._words(piece, word)
            self._pass(piece, self.decoder.set_alignment)
            return self._phones_told(start)
        except ValueError:
            return shared_out(self.sounds[word], start, end)

    def _phones_told(self, start: float) -> list[Timed]:
        """What the last pass told, from a time on."""
        return [
            (
                phone.name,
                start + phone.start * FRAME + LATE,
                start + (phone.start + phone.duration) * FRAME + LATE,
            )
            for word in self.decoder.get_alignment()
            for phone in word
        ]

    def _word(self, letters: list[str]) -> str:
        """The name under which the decoder knows a word."""
        name = "w" + "_".join(f"{ord(letter):x}" for letter in letters)
        if name not in self.sounds:
            self.sounds[name] = [NEAREST[letter] for letter in letters]
            self.decoder.add_word(name, " ".join(self.sounds[name]), True)
        return name

    def _pass(self, wave: np.ndarray, prepare: Any) -> None:
        """Run the decoder over a wave once."""
        try:
            prepare()
            self.decoder.start_utt()
            self.decoder.process_raw(wave.tobytes(), full_utt=True)
            self.decoder.end_utt()
        except RuntimeError as error:
            raise ValueError(str(error)) from None


def without_gaps(parts: list[Segment]) -> list[Segment]:
    """The segments with each pause between two sounds that is too short for one shared out between them: the aligner
    needs some to get from word to word."""
    merged: list[list] = []
    for name, start, end in parts:
        if name == "sil" and merged and merged[-1][0] == "sil":
            merged[-1][2] = end
        else:
            merged.append([name, start, end])
    found: list[list] = []
    for index, (name, start, end) in enumerate(merged):
        inside = 0 < index < len(merged) - 1
        if name == "sil" and inside and end - start < SHORT_PAUSE:
            found[-1][2] = merged[index + 1][1] = (start + end) / 2
        else:
            found.append(merged[index])
    return [(name, start, end) for name, start, end in found]


def shared_out(sounds: list[str], start: float, end: float) -> list[Timed]:
    """The sounds of a word that is too short for the aligner, one after the other, each as long as the next;
    ValueError for a longer word."""
    if len(sounds) > FEW:
        raise ValueError("a word was not found")
    edges = np.linspace(start, end, len(sounds) + 1)
    return [(sound, float(a), float(b)) for sound, a, b in zip(sounds, edges[:-1], edges[1:], strict=True)]


def check(wave: np.ndarray, parts: list[Segment]) -> None:
    """ValueError where sounds are too short or long to be true, or much of what is loud lies in pauses."""
    spoken = [(start, end) for name, start, end in parts if name != "sil"]
    mean = sum(end - start for start, end in spoken) / max(len(spoken), 1)
    if not PHONE_SECONDS[0] < mean < PHONE_SECONDS[1]:
        raise ValueError(f"sounds last {mean:.3f} s")
    frames = wave[: len(wave) // 160 * 160].reshape(-1, 160).astype(np.float64)
    level = 10 * np.log10(np.square(frames).mean(1) + 1)
    loud = level > np.percentile(level, 95) - LEAST_LOUD
    silent = np.ones(len(level), bool)
    for start, end in spoken:
        silent[int(start / FRAME) : int(np.ceil(end / FRAME))] = False
    if (share := (loud & silent).sum() / max(loud.sum(), 1)) > MOST_IN_PAUSES:
        raise ValueError(f"{share:.0%} of what is loud is in pauses")
