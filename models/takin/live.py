"""From a live wave to motion: the built-in speech features as the sound comes in, and the generator behind them."""

import numpy as np
import torch
from torch import Tensor, nn

from ..builtin.speech_features import BANDS, FRAME_RATE, HOP, RATE, WINDOW, log_mel_block, normalise, voiced_mean
from .config import FPS
from .features import CONTEXT, SpeechLayers, builtin_layers
from .generator import MotionGenerator

NODE = "Generate Face Motion"
BLOCK = 20  # frames at 100 Hz that are heard at once: five video frames
MEMORY = 30 * FRAME_RATE  # frames over which the recording's own sound is measured
EDGE = (WINDOW - HOP) // 2  # samples behind a frame's own 10 ms that it needs


class LiveSpeech:
    """Push 16 kHz mono samples, get layers of the built-in network: the same ones however the sound is cut.

    `mean` [40] is the voiced mean of the recording, if it is known (then the layers are those of the whole clip); else it is
    measured over what was heard so far.
    """

    def __init__(self, network: nn.Module, encoder: str, mean: np.ndarray | None = None, device: torch.device | None = None):
        self.network, self.encoder, self.mean, self.device = network, encoder, mean, device or torch.device("cpu")
        self.wave = np.zeros(0, np.float32)  # from sample HOP * self.heard on, with one frame's edge before it
        self.mel = np.zeros((0, BANDS), np.float32)  # the last frames, up to self.heard
        self.heard = self.given = 0

    @property
    def look_ahead(self) -> float:
        """Seconds of sound behind a frame that must have come before its block is heard, at worst."""
        return (CONTEXT + BLOCK) / FRAME_RATE + EDGE / RATE

    def push(self, wave: np.ndarray) -> SpeechLayers:
        """The next samples [n] -> the layers that are ready; ValueError unless it is one row of finite numbers."""
        wave = np.asarray(wave, np.float32)
        if wave.ndim != 1 or not np.isfinite(wave).all():
            raise ValueError(f"{NODE}: live sound has shape {wave.shape}; one row of finite samples at 16 kHz is needed.")
        self.wave = np.concatenate([self.wave, wave])
        self._listen((len(self.wave) - self._lead() - EDGE) // HOP)
        return self._ready(self.heard - CONTEXT)

    def finish(self) -> SpeechLayers:
        """The layers of what is left; a started 10 ms makes a frame, and their number is made even."""
        self._listen(-(-(len(self.wave) - self._lead()) // HOP))
        if self.heard % 2:
            self.mel, self.heard = np.concatenate([self.mel, self.mel[-1:]]), self.heard + 1
        return self._ready(self.heard, last=True)

    def _lead(self) -> int:
        """Samples kept before the next frame's first."""
        return min(self.heard, 2) * HOP

    def _listen(self, count: int) -> None:
        """Log-mel of `count` more frames."""
        if count <= 0:
            return
        mel, _ = log_mel_block(self.wave, self._lead() // HOP, count)
        keep = self.heard + count - min(self.heard + count, 2)
        self.wave = self.wave[self._lead() + (keep - self.heard) * HOP :]
        self.mel, self.heard = np.concatenate([self.mel, mel]), self.heard + count

    def _ready(self, stop: int, last: bool = False) -> SpeechLayers:
        """Layers of all whole blocks before frame `stop`, or of all frames before it if it is the end."""
        found = []
        while self.given + BLOCK <= stop or (last and self.given < stop):
            found.append(self._block(min(self.given + BLOCK, stop)))
            self.given += 2 * found[-1].shape[1]
            self._forget()
        width = self.network.enter.weight.shape[0]
        nothing = torch.zeros(len(self.network.blocks) + 2, 0, width)
        return SpeechLayers(torch.cat([nothing, *found], 1), self.encoder)

    def _block(self, stop: int) -> Tensor:
        first = self.heard - len(self.mel)  # what frame the memory starts with
        mean = self.mean if self.mean is not None else voiced_mean(self.mel[: max(stop + CONTEXT - first, 1)])
        left = max(self.given - CONTEXT, 0)
        piece = normalise(self.mel[left - first : stop + CONTEXT - first], mean)
        if len(piece) % 2:
            piece = piece[:-1]
        layers = builtin_layers(self.network, torch.from_numpy(piece).to(self.device)).float().cpu()
        return layers[:, (self.given - left) // 2 : (stop - left) // 2]

    def _forget(self) -> None:
        spare = (self.given - CONTEXT) - (self.heard - len(self.mel)) if self.mean is not None else 0
        spare = max(spare, self.given - MEMORY - (self.heard - len(self.mel)))
        if spare > 0:
            self.mel = self.mel[spare:]


class LiveTakin:
    """Push sound, get face motion [takes,n,70] in units at 25 frames per second."""

    def __init__(self, speech: LiveSpeech, generator: MotionGenerator):
        self.speech, self.generator, self.samples, self.frames = speech, generator, 0, 0

    @property
    def latency(self) -> float:
        """Seconds from a sound to the frame that shows it, at worst and without computing."""
        return self.speech.look_ahead + self.generator.latency

    def push(self, wave: np.ndarray) -> Tensor:
        """The next samples of 16 kHz mono sound -> the frames that are final."""
        self.samples += len(wave)
        motion = self.generator.push(self.speech.push(wave))
        self.frames += motion.shape[1]
        return motion

    def finish(self) -> Tensor:
        """The frames that are left, so that there are as many in all as the sound is long."""
        motion = torch.cat([self.generator.push(self.speech.finish()), self.generator.finish()], 1)
        return motion[:, : max(0, round(self.samples * FPS / RATE) - self.frames)]
