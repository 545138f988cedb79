"""How ACTalker denoises a long film: its four-branch guidance and its sliding windows."""

from collections.abc import Iterator, Sequence

WINDOW, OVERLAP, SHIFT = 25, 0, 7  # frames
PADDING = 25  # frames without sound or motion that are denoised after the film and thrown away
DECODED_TOGETHER = 10
GUIDANCE = (2.0, 7.5, 3.0)  # picture and identity, sound, motion
# What each branch sees of (picture and identity, sound, motion), in the order of the guidance.
BRANCHES = ((False, False, False), (True, False, False), (True, True, False), (True, True, True))

Branch = tuple[bool, bool, bool]


def branch_weights(
    guidance: Sequence[float] = GUIDANCE, audio: bool = True, motion: bool = True
) -> dict[Branch, float]:
    """The branches that must be computed and their factors in the guided prediction; they add up to 1.

    u + g1 (a - u) + g2 (b - a) + g3 (c - b), sorted by branch. A closed stream makes two branches equal; they
    become one. A branch whose factor is 0 is left out.
    """
    g1, g2, g3 = guidance
    weights: dict[Branch, float] = {}
    for branch, weight in zip(BRANCHES, (1 - g1, g1 - g2, g2 - g3, g3), strict=True):
        seen = (branch[0], branch[1] and audio, branch[2] and motion)
        weights[seen] = weights.get(seen, 0.0) + weight
    return {branch: weight for branch, weight in weights.items() if weight != 0} or {BRANCHES[0]: 1.0}


def windows(
    total: int, step: int, length: int = WINDOW, overlap: int = OVERLAP, shift: int = SHIFT
) -> Iterator[list[int]]:
    """Frame indices of each window at a step; they move by `shift` (modulo the length) each step and wrap at the end.

    ValueError if the overlap leaves no way forward.
    """
    if not 0 <= overlap < length:
        raise ValueError(f"overlap is {overlap} frames; it must be less than length, {length}.")
    moved = (step * shift) % length
    for start in range(0, total, length - overlap):
        yield [(start - moved + i) % total for i in range(length)]
