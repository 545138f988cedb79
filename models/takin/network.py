"""Takin-ADA's audio-to-motion network: speech, emotion, context and commands -> a cleaner motion (section
3.2, figure 3)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import COMMANDS, EMOTIONS, EXPRESSION, MOTION, POSE, TakinConfig, read_config
from .conformer import ConformerBlock, relative_positions

FARTHEST = 6.0  # deviations from its mean that a channel of the speech encoder may be


@dataclass
class Conditions:
    """What a window of T frames is made from; motion values are normalised.

    speech [B,P+T,D]: codes of `encode_speech`. previous [B,P,71]: the frames before, and 1 where they are
    known (else all 0). reference [B,7]: pose of the source. label [B,1 or T,8]: weights of EMOTIONS times
    intensity, 0 where none is given. exemplar [B,1 or T,64]: mean expression of K frames and 1 where it is
    given (else all 0). command [B,T,16]: 8 values (pose, closure of the lids) times their masks, then the 8
    masks.
    """

    speech: Tensor
    previous: Tensor
    reference: Tensor
    label: Tensor
    exemplar: Tensor
    command: Tensor

    def repeated(self, times: int) -> "Conditions":
        """The same conditions `times` over, one batch after another."""
        return Conditions(
            **{name: value.repeat(times, *[1] * (value.ndim - 1)) for name, value in vars(self).items()}
        )


def step_embedding(steps: Tensor, width: int) -> Tensor:
    """[B] diffusion steps -> [B,width] sines and cosines."""
    rates = torch.exp(torch.arange(width // 2, device=steps.device) * (-math.log(10000.0) / (width // 2 - 1)))
    angles = steps.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


class TakinNet(nn.Module):
    """A weighted sum of all encoder layers, a downsampler, a speech conformer, and a conformer that denoises motion."""

    motion_mean: Tensor
    motion_deviation: Tensor
    stack_mean: Tensor
    stack_deviation: Tensor

    def __init__(self, config: TakinConfig, *, device: Any = None, dtype: Any = None, operations: Any = nn):
        super().__init__()
        self.config, width = config, config.width
        options = {"device": device, "dtype": dtype}
        block = (width, config.heads, config.feed_forward, config.kernel)
        self.layer_logits = nn.Parameter(torch.zeros(config.encoder_layers, **options))
        self.stack_norm = operations.LayerNorm(config.encoder_width, **options)
        self.downsample = operations.Conv1d(config.encoder_width, width, 3, stride=2, padding=1, **options)
        self.speech_blocks = nn.ModuleList(
            ConformerBlock(*block, **options, operations=operations) for _ in range(config.speech_layers)
        )
        self.null_speech = nn.Parameter(torch.zeros(width, **options))
        self.null_emotion = nn.Parameter(torch.zeros(width, **options))
        self.motion_in = operations.Linear(MOTION, width, **options)
        self.previous_in = operations.Linear(MOTION + 1, width, **options)
        self.speech_in = operations.Linear(width, width, **options)
        self.reference_in = operations.Linear(POSE, width, **options)
        self.command_in = operations.Linear(2 * COMMANDS, width, **options)
        self.label_in = operations.Linear(len(EMOTIONS), width, bias=False, **options)
        self.exemplar_in = operations.Linear(EXPRESSION + 1, width, **options)
        self.emotion_in = operations.Linear(width, width, **options)
        self.step_in = nn.Sequential(
            operations.Linear(width, width, **options),
            nn.SiLU(),
            operations.Linear(width, width, **options),
            nn.SiLU(),
        )
        self.motion_blocks = nn.ModuleList(
            ConformerBlock(*block, conditioned=True, **options, operations=operations)
            for _ in range(config.motion_layers)
        )
        self.motion_out = operations.Linear(width, MOTION, **options)
        self.register_buffer("motion_mean", torch.zeros(MOTION, device=device))
        self.register_buffer("motion_deviation", torch.ones(MOTION, device=device))
        if config.standardised:
            shape = (config.encoder_layers, 1, config.encoder_width)
            self.register_buffer("stack_mean", torch.zeros(shape, device=device))
            self.register_buffer("stack_deviation", torch.ones(shape, device=device))

    def encode_speech(self, stack: Tensor, dropout: float = 0.0) -> Tensor:
        """All encoder layers [B,L,2T,M] at 50 Hz -> speech codes [B,T,D] at 25 Hz."""
        if self.config.standardised:
            usual = (stack - self.stack_mean.to(stack)) / self.stack_deviation.to(stack)
            stack = usual.clamp(-FARTHEST, FARTHEST)
        weights = self.layer_logits.to(stack).softmax(0)
        x = self.stack_norm((weights[:, None, None] * stack).sum(1))
        x = self.downsample(x.transpose(1, 2)).transpose(1, 2)
        positions = relative_positions(x.shape[1], x.shape[2], x.device)
        for block in self.speech_blocks:
            x = block(x, positions, dropout=dropout)
        return x

    def forward(
        self, noisy: Tensor, steps: Tensor, given: Conditions, hear: Tensor | None = None,
        feel: Tensor | None = None,
        dropout: float = 0.0,
    ) -> Tensor:  # fmt: skip
        """noisy [B,T,70] at diffusion steps [B] -> x0 or noise [B,T,70], as the config says.

        `hear`, `feel` [B] bool: false replaces a sample's speech or emotion by the learned "none".
        """
        speech = given.speech
        if hear is not None:
            speech = torch.where(hear[:, None, None], speech, self.null_speech.to(speech))
        emotion = self.label_in(given.label) + self.exemplar_in(given.exemplar)
        if feel is not None:
            emotion = torch.where(feel[:, None, None], emotion, self.null_emotion.to(emotion))
        frames = self.motion_in(noisy) + self.emotion_in(F.silu(emotion)) + self.command_in(given.command)
        x = torch.cat([self.previous_in(given.previous), frames], 1)
        x = x + self.speech_in(speech) + self.reference_in(given.reference)[:, None]
        condition = self.step_in(step_embedding(steps, x.shape[-1]).to(x))
        positions = relative_positions(x.shape[1], x.shape[2], x.device)
        for block in self.motion_blocks:
            x = block(x, positions, condition, dropout)
        return self.motion_out(x[:, -noisy.shape[1] :])

    def normalised(self, motion: Tensor) -> Tensor:
        """[...,70] in units -> in standard deviations from the mean."""
        return (motion - self.motion_mean.to(motion)) / self.motion_deviation.to(motion)

    def in_units(self, motion: Tensor) -> Tensor:
        """The inverse of `normalised`."""
        return motion * self.motion_deviation.to(motion) + self.motion_mean.to(motion)


def build_takin(
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    *,
    device: Any = None,
    dtype: Any = None,
    operations: Any = nn,
) -> TakinNet:
    """A network of the size that the weights have; ValueError if they are of another network."""
    return TakinNet(read_config(state, metadata), device=device, dtype=dtype, operations=operations)
