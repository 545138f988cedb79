"""One vocabulary of emotions for every node, file and folder, and what else people call them."""

from collections.abc import Iterable

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "contemptuous")
ALIASES = {
    "calm": "neutral", "happiness": "happy", "joy": "happy", "joyful": "happy", "sadness": "sad",
    "anger": "angry",
    "fear": "fearful", "afraid": "fearful", "disgust": "disgusted", "surprise": "surprised",
    "contempt": "contemptuous",
}  # fmt: skip


def emotion_name(word: str, known: Iterable[str] = EMOTIONS) -> str | None:
    """The emotion that a word means, of those that are known, in small or capital letters; None if it means none."""
    known = set(known)
    for name in (word.strip(), word.strip().lower()):
        if name in known:
            return name
    meant = ALIASES.get(word.strip().lower())
    return meant if meant in known else None
