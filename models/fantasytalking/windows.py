"""Which audio tokens each latent frame attends to (FantasyTalking, section 3.2: frame-level alignment)."""

from dataclasses import dataclass

import torch
from torch import Tensor

EXPAND = 4  # tokens added on both sides
PADDING = -1


@dataclass(frozen=True)
class AudioWindows:
    """ranges: inclusive first and last token of each latent frame before widening; width: slots of a window;
    lengths: how many of them hold a token (they come first)."""

    ranges: tuple[tuple[int, int], ...]
    width: int
    lengths: tuple[int, ...]
    starts: tuple[int, ...]

    def token_index(self) -> list[list[int]]:
        """[F][width] token in every slot, -1 where there is none."""
        return [
            [start + slot if slot < length else PADDING for slot in range(self.width)]
            for start, length in zip(self.starts, self.lengths, strict=True)
        ]

    def split(self, tokens: Tensor) -> Tensor:
        """[B,L,C] -> [B,F,width,C], zeros where there is no token."""
        index = torch.tensor(self.token_index(), device=tokens.device)
        return tokens[:, index.clamp(min=0)] * (index != PADDING)[..., None]


def audio_windows(frames: int, tokens: int, expand: int = EXPAND) -> AudioWindows:
    """Windows of `tokens` audio tokens over `frames` video frames (4k + 1, k >= 1); ValueError for any other number.

    Tokens are spread over the frames by their number, so sound that is shorter than the film is stretched
    over it. Pad the sound to the film's length first where timing must be exact.
    """
    if frames < 5 or frames % 4 != 1:
        raise ValueError(f"frames is {frames}; it must be 5, 9, 13, ... (4 per latent frame and 1).")
    rate = tokens / frames
    half = int(rate * 4 / 2)
    centres = [0] + [
        int((rate * ((i - 1) * 4 + 1) + rate * (i * 4 + 1)) / 2) - 1 for i in range(1, (frames - 1) // 4 + 1)
    ]
    ranges = [(centre - half, centre + half) for centre in centres]
    ranges[0] = (ranges[1][0] - 2 * half, ranges[1][0])
    starts = [max(first - expand, 0) for first, _ in ranges]
    lengths = [
        max(min(last + expand, tokens - 1) - start + 1, 0)
        for start, (_, last) in zip(starts, ranges, strict=True)
    ]
    return AudioWindows(tuple(ranges), 2 * half + 1 + 2 * expand, tuple(lengths), tuple(starts))
