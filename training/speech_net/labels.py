"""What the mouth should do for each phone: viseme classes and a coarticulated articulation track.

Coarticulation blends the targets of neighbouring sounds by dominance (Cohen and Massaro 1993): each sound pulls the
mouth towards its target with a strength that decays over time away from it.
"""

import re

import numpy as np

from ...models.speech.features import FRAME_RATE
from ...models.speech.visemes import TARGETS, VISEMES

DECAY_SECONDS = 0.055

CMU: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("pau", "h#", "brth", "ssil"), ("sil",)),
    **dict.fromkeys("pbm", ("PP",)), "em": ("PP",),
    **dict.fromkeys("fv", ("FF",)),
    **dict.fromkeys(("th", "dh"), ("TH",)),
    **dict.fromkeys(("t", "d", "n", "l", "dx", "el", "en", "nx"), ("DD",)),
    **dict.fromkeys("sz", ("SS",)),
    **dict.fromkeys(("k", "g", "ng", "hh", "hv"), ("KK",)),
    **dict.fromkeys(("ch", "jh", "sh", "zh"), ("CH",)),
    **dict.fromkeys(("r", "er", "axr"), ("RR",)),
    **dict.fromkeys(("aa", "ae", "ah"), ("AA",)),
    **dict.fromkeys(("eh", "ax"), ("EH",)),
    **dict.fromkeys(("ih", "iy", "y", "ix"), ("II",)),
    "ao": ("OH",),
    **dict.fromkeys(("uw", "uh", "w"), ("OU",)),
    "ay": ("AA", "II"), "aw": ("AA", "OU"), "ey": ("EH", "II"), "ow": ("OH", "OU"), "oy": ("OH", "II"),
}  # fmt: skip

# espeak-ng's English mnemonics; the longest one that a phoneme starts with counts.
ESPEAK: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("pbm", ("PP",)), **dict.fromkeys("fv", ("FF",)), "T": ("TH",), "D": ("TH",),
    **dict.fromkeys(("t", "d", "n", "l", "t#", "d#", "n-", "l#"), ("DD",)), **dict.fromkeys("sz", ("SS",)),
    **dict.fromkeys("kghNx?", ("KK",)), **dict.fromkeys(("tS", "dZ", "S", "Z"), ("CH",)),
    **dict.fromkeys(("r", "3"), ("RR",)),
    **dict.fromkeys(("a", "A", "V", "aa", "0"), ("AA",)), **dict.fromkeys(("E", "e", "@", "a#"), ("EH",)),
    **dict.fromkeys(("I", "i", "j", ";"), ("II",)), **dict.fromkeys(("O", "o"), ("OH",)),
    **dict.fromkeys(("u", "U", "w"), ("OU",)), "aI": ("AA", "II"), "aU": ("AA", "OU"), "eI": ("EH", "II"),
    "oU": ("OH", "OU"), "OI": ("OH", "II"), "@L": ("DD",), "": ("sil",), "_": ("sil",), "pau": ("sil",),
}  # fmt: skip


def visemes_of(phone: str, espeak: bool) -> tuple[str, ...]:
    """One viseme, or two for a diphthong; KeyError for a phone that the tables lack."""
    if not espeak:
        return CMU[re.sub(r"\d", "", phone)]
    if phone == "pau":
        return ("sil",)
    bare = phone.lstrip("',%=_:|-")
    return next(ESPEAK[bare[:n]] for n in range(len(bare), -1, -1) if bare[:n] in ESPEAK)


def segments(phones: list[str], ends: list[float], espeak: bool) -> list[tuple[str, float, float]]:
    """(viseme, start, end) in seconds; a diphthong gives its first sound 60 % of the time."""
    found, start = [], 0.0
    for phone, end in zip(phones, ends, strict=True):
        parts = visemes_of(str(phone), espeak)
        middle = start + 0.6 * (end - start) if len(parts) == 2 else end
        found += [(parts[0], start, middle)] + ([(parts[1], middle, end)] if len(parts) == 2 else [])
        start = end
    return [segment for segment in found if segment[2] > segment[1]]


def segments_of(clip: dict) -> list[tuple[str, float, float]]:
    """What the mouth does in a clip, whichever tool made it."""
    if "visemes" in clip:
        return [(str(name), float(start), float(end)) for name, start, end in
                zip(clip["visemes"], clip["starts"], clip["ends"], strict=True)]  # fmt: skip
    return segments(list(map(str, clip["phones"])), list(clip["ends"]), bool(clip["espeak"]))


def label_tracks(parts: list[tuple[str, float, float]], frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Viseme class [frames] and articulation [frames,6] at 100 Hz."""
    times = (np.arange(frames) + 0.5) / FRAME_RATE
    classes = np.zeros(frames, np.int64)
    weight, blend = np.zeros(frames), np.zeros((frames, 6))
    for viseme, start, end in parts:
        classes[(times >= start) & (times < end)] = VISEMES.index(viseme)
        strength, *target = TARGETS[viseme]
        distance = np.maximum(np.abs(times - (start + end) / 2) - (end - start) / 4, 0)
        pull = strength * np.exp(-distance / DECAY_SECONDS)
        weight += pull
        blend += pull[:, None] * np.array(target)
    return classes, (blend / np.maximum(weight, 1e-9)[:, None]).astype(np.float32)
