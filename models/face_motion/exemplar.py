"""An emotion read off a person: their face in that mood, minus the same face calm."""

from torch import Tensor

from .container import FaceMotion
from .emotion import Emotion


def exemplar_change(motion: FaceMotion) -> tuple[Tensor, Tensor]:
    """Changes of expression [21,3] and pose [3] from a motion's first frame, which is calm, to its others' mean.

    Nothing in a motion says who it is, and landmarks do not tell: their proportions differ as much between moods of
    one person as between people. Nor does the skin in the mesh's own frame: its fine structure correlates by 0.49 to
    0.95 between moods of one photo, and by up to 0.77 between two men on one. Both pictures must show one person;
    this is not checked. ValueError with fewer than two faces.
    """
    if len(motion) < 2:
        raise ValueError(
            f"exemplar has {len(motion)} frame(s); it needs the calm face first, then the face in the mood."
        )
    mood = motion.valid.clone()
    mood[0] = False
    if not motion.valid[0] or not mood.any():
        raise ValueError("exemplar has no face in its first frame, or in none of the others.")
    return motion.expression[mood].mean(0) - motion.expression[0], motion.pose[mood].mean(0) - motion.pose[0]


def exemplar_emotion(motion: FaceMotion) -> Emotion:
    """The same change as an emotion."""
    return Emotion.from_expression("exemplar", *exemplar_change(motion), "the pictures' own")
