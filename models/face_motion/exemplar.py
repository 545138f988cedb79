"""An emotion read off a person: their face in that mood, minus the same face calm."""

from .container import FaceMotion
from .emotion import NODE, Emotion


def exemplar_emotion(motion: FaceMotion) -> Emotion:
    """From a motion whose first frame is calm and whose others, averaged, show the mood. ValueError with fewer than two faces.

    Nothing in a motion says who it is, and landmarks do not tell: their proportions differ as much between moods of one person
    as between people. Nor does the skin in the mesh's own frame: its fine structure correlates by 0.49 to 0.95 between moods of
    one photo, and by up to 0.77 between two men on one. Both pictures must show one person; this is not checked.
    """
    if len(motion) < 2:
        raise ValueError(f"{NODE}: exemplar has {len(motion)} frame(s); it needs the calm face first, then the face in the mood.")
    mood = motion.valid.clone()
    mood[0] = False
    if not motion.valid[0] or not mood.any():
        raise ValueError(f"{NODE}: exemplar has no face in its first frame, or in none of the others.")
    expression = motion.expression[mood].mean(0) - motion.expression[0]
    return Emotion.from_expression("exemplar", expression, motion.pose[mood].mean(0) - motion.pose[0], "the pictures' own")
