"""The speech encoders of our systems, each behind the same few members, on core's AUDIO_ENCODER socket."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..progress import Progress, silent
from . import wav2lip_mel
from .builtin_layers import heard_layers
from .encoding import EncodedSpeech, core_output, fingerprint
from .features import feature_blocks, frame_total
from .hubert_layers import FEATURE_RATE, HubertHearing
from .listening import WARM_UP, WHOLE_BLOCK, Listener
from .sound import RATE, film_wave, mono
from .wav2lip import FEATURES, encode_speech

SILENCE = -38.0  # dB; what the built-in encoder says of the voice does not depend on it


class Encoder(ABC):
    """A speech encoder: its kind, the name of its weights, and layers of features at `rate` frames per second.

    network: gives the module, ready to run on `device`. patcher: ComfyUI's, by which core counts its memory.
    """

    kind = ""
    rate = Fraction(FEATURE_RATE)

    def __init__(
        self,
        network: Callable[[], Any],
        name: str,
        device: torch.device | None = None,
        patcher: Any = None,
    ):
        self.network, self.name, self.patcher = network, name, patcher
        self.device = device or torch.device("cpu")

    @abstractmethod
    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """Sound [C,T] -> [L,M,D] float32 on the CPU."""

    def encode(self, waveform: Tensor, sample_rate: int, progress: Progress = silent) -> EncodedSpeech:
        """One clip [C,T] of any rate."""
        layers = self.layers(waveform, sample_rate, progress)
        return EncodedSpeech(layers, self.rate, self.kind, self.name, fingerprint(waveform, sample_rate))

    def encode_audio(self, audio: Tensor, sample_rate: int) -> dict[str, Any]:
        """Core's AUDIO_ENCODER_OUTPUT of one clip [1,C,T]; ValueError if there are several."""
        if audio.ndim != 3 or len(audio) != 1:
            raise ValueError(
                f"audio has shape {tuple(audio.shape)}; one clip [1, channels, samples] is needed."
            )
        waveform = audio[0].float().cpu()
        return core_output(self.encode(waveform, sample_rate), round(waveform.shape[-1] * RATE / sample_rate))


class BuiltInEncoder(Encoder):
    """The built-in speech network: log-mel and 7 hidden layers, [8,M,112]."""

    kind = "built-in"
    bytes_per_second = 8 * 112 * FEATURE_RATE * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder. What is heard is the same as when Takin-ADA listens to it piece by piece."""
        network, listener = self.network(), Listener(SILENCE, WHOLE_BLOCK, WARM_UP)
        total, done, parts = frame_total(waveform.shape[1], sample_rate), 0, []
        for mel, loudness in feature_blocks(waveform.numpy(), sample_rate):
            done += len(mel)
            for heard in listener.push(mel, loudness, last=done == total):
                parts.append(heard_layers(network, heard, self.device))
            progress(done, total)
        return torch.cat(parts, 1)


class Wav2LipEncoder(Encoder):
    """Wav2Lip's audio encoder, one vector for each video frame at 25 per second, [1,M,512]."""

    kind = "wav2lip"
    rate = Fraction(wav2lip_mel.FPS)
    bytes_per_second = FEATURES * wav2lip_mel.FPS * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder; as many frames as a film at 25 per second has."""
        wave = film_wave(waveform, sample_rate, wav2lip_mel.FPS)
        return encode_speech(self.network(), wave, self.device, progress)[None]


class HubertEncoder(Encoder):
    """A HuBERT of any size in transformers' layout: what enters its transformer and what each layer says, [L,M,D]."""

    kind = "hubert"

    @property
    def bytes_per_second(self) -> int:
        """Of what it says in float32."""
        config = self.patcher.model.hubert.config
        return (config.num_hidden_layers + 1) * config.hidden_size * FEATURE_RATE * 4

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder; heard in blocks of 20 s, as Takin-ADA does."""
        hearing = HubertHearing(self.network(), mono(waveform, sample_rate), self.device)
        parts = []
        for start in range(0, hearing.total, FEATURE_RATE):
            stop = min(start + FEATURE_RATE, hearing.total)
            parts.append(hearing.between(start, stop))
            progress(stop, hearing.total)
        return torch.cat(parts, 1)


def split_windows(layers: Tensor, rows: int) -> Iterator[Tensor]:
    """Rows of the last layer [L,M,D] in windows [1,rows,D]; the last row is repeated where the last is not full."""
    last = layers[-1]
    for start in range(0, len(last), rows):
        part = last[start : start + rows]
        yield torch.cat([part, part[-1:].expand(rows - len(part), -1)])[None]
