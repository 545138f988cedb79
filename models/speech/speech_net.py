"""The small network that hears which way a mouth moves: log-mel -> visemes and articulation."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .features import BANDS
from .visemes import ARTICULATION, VISEMES

KERNEL = 5
DILATIONS = (1, 2, 4, 8, 16, 1)


class SpeechNet(nn.Module):
    """Residual dilated convolutions over time; [N,40,T] normalised log-mel at 100 Hz -> [N,20,T].

    The first 14 channels are viseme logits, the last 6 articulation in 0..1 before a sigmoid. Reach: 66 frames each
    way.
    """

    def __init__(self, width: int, *, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        options = {"padding": "same", "device": device, "dtype": dtype}
        self.enter = operations.Conv1d(BANDS, width, KERNEL, **options)
        self.blocks = nn.ModuleList(
            operations.Conv1d(width, width, KERNEL, dilation=d, **options) for d in DILATIONS
        )
        self.leave = operations.Conv1d(width, len(VISEMES) + len(ARTICULATION), 1, **options)

    def hidden(self, mel: Tensor) -> list[Tensor]:
        """What each of the 7 layers hears, [N,width,T] each."""
        layers = [nn.functional.gelu(self.enter(mel))]
        for block in self.blocks:
            layers.append(layers[-1] + nn.functional.gelu(block(layers[-1])))
        return layers

    def forward(self, mel: Tensor) -> Tensor:
        return self.leave(self.hidden(mel)[-1])


def build_speech_net(
    state: Mapping[str, Tensor], metadata: Mapping[str, str], *, device: Any, dtype: Any, operations: Any
) -> SpeechNet:
    """A network of the size that the weights have; ValueError if they are of another network."""
    entry = state.get("enter.weight")
    if entry is None or entry.ndim != 3 or entry.shape[1] != BANDS:
        raise ValueError("the file is not a speech network of this pack (no fitting enter.weight).")
    return SpeechNet(entry.shape[0], device=device, dtype=dtype, operations=operations)
