"""Small networks on top of Whisper's encoder: which viseme is spoken, 100 times a second."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .visemes import SILENCE, VISEMES

KERNEL, DILATIONS = 5, (1, 2, 4, 8)
RANGE = 6.0  # deviations beyond which a level is cut
Size = tuple[int, int, int]  # levels, channels and width of a head


class VisemeHead(nn.Module):
    """The encoder's first levels, [n,T,d] each at 50 Hz, to viseme logits [n,14,2T] at 100 Hz.

    Each channel of each level is taken in deviations from its mean, the levels are mixed by softmax weights, then come
    residual dilated convolutions (reach: 0.6 s).
    """

    def __init__(self, levels: int, channels: int, width: int, *, device: Any = None, dtype: Any = None,
                 operations: Any = nn):  # fmt: skip
        super().__init__()
        options = {"device": device, "dtype": dtype}
        self.mean = nn.Parameter(torch.zeros(levels, channels, **options), requires_grad=False)
        self.deviation = nn.Parameter(torch.ones(levels, channels, **options), requires_grad=False)
        self.mix = nn.Parameter(torch.zeros(levels, **options))
        self.enter = operations.Linear(channels, width, **options)
        self.blocks = nn.ModuleList(
            operations.Conv1d(width, width, KERNEL, dilation=dilation, padding="same", **options)
            for dilation in DILATIONS
        )
        self.leave = operations.Linear(width, 2 * len(VISEMES), **options)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x = F.gelu(self.enter(self.mixed(levels))).transpose(1, 2)
        for block in self.blocks:
            x = x + F.gelu(block(x))
        halves = self.leave(x.transpose(1, 2))
        return halves.reshape(len(halves), -1, len(VISEMES)).transpose(1, 2)

    def mixed(self, levels: Sequence[Tensor]) -> Tensor:
        """[n,T,d]: the weighted sum of the levels that this head reads, each normalised."""
        shares = self.mix.to(levels[0]).softmax(0) * len(self.mix) ** 0.5
        return torch.stack([
            share * ((level - mean) / deviation).clamp(-RANGE, RANGE)
            for share, level, mean, deviation in zip(
                shares, levels, self.mean.to(levels[0]), self.deviation.to(levels[0]), strict=False
            )
        ]).sum(0)  # fmt: skip


class HeadGroup(nn.ModuleList):
    """Heads that were trained apart from each other: their mean errs less than each of them."""

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """See VisemeHead; the mean of their logits."""
        return torch.stack([head(levels) for head in self]).mean(0)


class VisemeHeads(nn.Module):
    """`all` read every level and say which viseme; `first` read the first ones, and have a say in what is silence.

    Whisper was trained to leave out "um" and "uh", and its later layers take them for silence: so silence is only what
    both groups take for it.
    """

    def __init__(self, all_levels: Sequence[Size], first_levels: Sequence[Size], **options: Any):
        super().__init__()
        self.all, self.first = (
            HeadGroup(VisemeHead(*size, **options) for size in sizes) for sizes in (all_levels, first_levels)
        )
        self.silence_odds = nn.Parameter(torch.zeros(2, device=options.get("device")), requires_grad=False)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """The encoder's levels [n,T,d] -> probabilities [n,2T,14] at 100 Hz."""
        said, silence = (
            biased(group(levels), odds)
            for group, odds in zip((self.all, self.first), self.silence_odds, strict=True)
        )
        return with_silence(said, torch.minimum(said[..., SILENCE], silence[..., SILENCE]))


def biased(logits: Tensor, odds: Tensor) -> Tensor:
    """Logits [n,14,T] -> probabilities [n,T,14], the odds of silence being e^odds times what they say."""
    shift = torch.zeros(len(VISEMES), 1, device=logits.device, dtype=logits.dtype)
    shift[SILENCE] = odds.to(logits)
    return (logits + shift).softmax(1).transpose(1, 2)


def with_silence(probabilities: Tensor, silence: Tensor) -> Tensor:
    """Probabilities [n,T,14] with that of silence [n,T] instead of their own, the others keeping their shares."""
    others = probabilities.clone()
    others[..., SILENCE] = 0
    others = others / others.sum(-1, keepdim=True).clamp(min=1e-9) * (1 - silence[..., None])
    others[..., SILENCE] = silence
    return others


def build_heads(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], device: Any = None, dtype: Any = None,
    operations: Any = nn,
) -> VisemeHeads:  # fmt: skip
    """Heads of the sizes that the weights have; ValueError if they are of another network."""
    sizes = [head_sizes(state, group) for group in ("all", "first")]
    if not all(sizes):
        raise ValueError(
            "the file does not hold the viseme heads of this pack (no all.0.mean or first.0.mean)."
        )
    return VisemeHeads(*sizes, device=device, dtype=dtype, operations=operations)


def head_sizes(state: Mapping[str, Tensor], group: str) -> list[Size]:
    """Of each head of a group."""
    found: list[Size] = []
    while {f"{group}.{len(found)}.mean", f"{group}.{len(found)}.enter.weight"} <= set(state):
        levels, channels = state[f"{group}.{len(found)}.mean"].shape
        found.append((levels, channels, len(state[f"{group}.{len(found)}.enter.weight"])))
    return found
