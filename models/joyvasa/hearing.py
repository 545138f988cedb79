"""JoyVASA's hearing as a stage: what the HuBERT in its checkpoint says of a clip, window by window."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ..progress import Progress
from ..speech.encoders import Encoder, split_windows
from ..speech.encoding import EncodedSpeech
from ..speech.sound import film_wave
from .features import FPS, sound_windows, window_total
from .network import JoyVASA

PER_FRAME = 2  # features for each video frame


class JoyVASAEncoder(Encoder):
    """The trained-on HuBERT of JoyVASA's file, [1,M,768]: whole windows, as its network hears them."""

    kind = "joyvasa"
    bytes_per_second = 768 * 50 * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder; the sound lasts as many frames as a film at 25 per second has."""
        network = self.network()
        wave = film_wave(waveform, sample_rate, FPS)
        total, parts = window_total(len(wave), network.config.window), []
        for window in sound_windows(wave, network.config.window):
            parts.append(network.hidden(window.to(self.device)).float().cpu())
            progress(len(parts), total)
        return torch.cat(parts, 1)


def heard(
    network: JoyVASA, wave: np.ndarray, device: torch.device, each: Callable[[], None] = lambda: None
) -> Iterator[Tensor]:
    """Speech features [1,T,256] of one window after another, so that memory does not grow with the sound."""
    for window in sound_windows(wave, network.config.window):
        each()
        yield network.encode(window.to(device))


def heard_before(
    network: JoyVASA, encoded: EncodedSpeech, windows: int, device: torch.device, each: Callable[[], None]
) -> Iterator[Tensor]:
    """The same of a clip that was encoded already; a window behind its end repeats the last."""
    given = list(split_windows(encoded.layers, PER_FRAME * network.config.window))
    for number in range(windows):
        each()
        yield network.features(given[min(number, len(given) - 1)].to(device))
