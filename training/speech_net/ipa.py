"""Which way the mouth moves for the letters of the International Phonetic Alphabet, in any language."""

Segment = tuple[str, float, float]  # viseme, start and end in seconds

PAUSES = ' ,.!?;:—…"()“”'
STRESS, LENGTH = "ˈˌ", "ːˑʰʲˤ̩͡" + "\u0303"  # marks of the sound that follows, and of the one before
SHORT_PAUSE = 0.09  # seconds: shorter than this it is no pause, but the way from one sound to the next
FIRST_SHARE = 0.6  # of a diphthong's time

VISEME_OF_IPA: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("pbmɓβɸ", ("PP",)),
    **dict.fromkeys("fvʋɱ", ("FF",)),
    **dict.fromkeys("θð", ("TH",)),
    **dict.fromkeys("tdnlɫɾrʈɖɳɭɲʎɽ", ("DD",)),
    **dict.fromkeys("szʦʣ", ("SS",)),
    **dict.fromkeys("kgɡŋhɦxχɣʁqcɟçɴʔʝ", ("KK",)),
    **dict.fromkeys("ʃʒʧʤɕʑʂʐʨʥ", ("CH",)),
    **dict.fromkeys("ɹɻɚɝɜ", ("RR",)),
    **dict.fromkeys("aɑɐæʌɒ", ("AA",)),
    **dict.fromkeys("eɛəᵊɘɤ", ("EH",)),
    **dict.fromkeys("iɪjɨᵻɰɯ", ("II",)),
    **dict.fromkeys("ɔoœɵ", ("OH",)),
    **dict.fromkeys("uʊwɥyøʏʉ", ("OU",)),
    # single letters that Kokoro's alphabet has for diphthongs
    "A": ("EH", "II"), "I": ("AA", "II"), "W": ("AA", "OU"), "O": ("OH", "OU"), "Q": ("EH", "OU"),
    "Y": ("OH", "II"),
}  # fmt: skip


def letter_segments(letters: str, ends: list[float]) -> list[Segment]:
    """What the mouth does for each IPA letter, given the time at which each ends in seconds.

    Stress marks belong to the next sound, marks of length and nasality to the one before, a pause shorter
    than SHORT_PAUSE to both its neighbours. KeyError for a letter that the table lacks.
    """
    found: list[list] = []
    start = 0.0
    for letter, end in zip(letters, ends, strict=True):
        if letter in STRESS:
            continue
        if letter in LENGTH:
            if found:
                found[-1][2] = end
        else:
            found.append([letter if letter not in PAUSES else " ", start, end])
        start = end
    return [part for letter, begin, end in joined(found) for part in viseme_parts(letter, begin, end)]


def joined(found: list[list]) -> list[list]:
    """The letters with short pauses shared out between their neighbours."""
    kept: list[list] = []
    for letter, begin, end in found:
        if letter == " " and end - begin < SHORT_PAUSE and kept:
            kept[-1][2] = (begin + end) / 2
            continue
        if kept and begin > kept[-1][2]:
            begin = kept[-1][2]
        kept.append([letter, begin, end])
    return kept


def viseme_parts(letter: str, start: float, end: float) -> list[Segment]:
    """One segment, or two for a diphthong."""
    visemes = ("sil",) if letter == " " else VISEME_OF_IPA[letter]
    if len(visemes) == 1:
        return [(visemes[0], start, end)]
    middle = start + FIRST_SHARE * (end - start)
    return [(visemes[0], start, middle), (visemes[1], middle, end)]
