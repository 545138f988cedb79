"""The menu of emotions: one name for each, and every other name that saved workflows may hold."""

from collections.abc import Collection

from comfy_api.latest import io

from ...models.face_motion import FaceMotion
from ...models.face_motion.emotion import NEUTRAL
from ...models.face_motion.emotion_names import ALIASES, emotion_name


class EmotionMenu(io.Combo.Input):
    """A menu that shows one name for each emotion and takes its aliases too."""

    @property
    def aliases(self) -> dict[str, str]:
        """What each other name means, of the emotions in the menu."""
        return {
            word: name for word, name in ALIASES.items() if name in self.options and word not in self.options
        }


def check_emotion(value: object, options: list[str]) -> bool | str:
    """For a node's `validate_inputs`, which ComfyUI asks instead of the menu: True, or what is wrong."""
    if value is None or (
        isinstance(value, str) and emotion_name(value, options)
    ):  # None: it comes through a link
        return True
    return f"emotion is {value!r}; there are {', '.join(options)}."


def check_one_mood(
    emotion: str, mixed: Collection[str], exemplar: FaceMotion | None, mix: str = "mix"
) -> None:
    """ValueError if menu, input `mix` (of emotions `mixed`) and exemplar name different moods: one could be shown."""
    chosen = f"emotion {emotion}" if emotion != NEUTRAL else ""
    if exemplar is not None and (mixed or chosen):
        other = mix if mixed else chosen
        raise ValueError(
            f"exemplar and {other} both say the mood. Take exemplar off, or empty {mix} and set emotion to "
            f"{NEUTRAL}."
        )
    if mixed and chosen and set(mixed) != {emotion}:
        raise ValueError(f"{mix} and {chosen} both say the mood. Empty {mix}, or set emotion to {NEUTRAL}.")
