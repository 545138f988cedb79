"""What hears the films of Takin-ADA's tiny network: the built-in speech network, or the built-in engine's ear."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ...models.speech.builtin_layers import builtin_encoder_name, builtin_layers_between, heard_layers
from ...models.speech.ear import NAME, EarStream, ear_layers
from ...models.speech.encoding import weights_name
from ...models.speech.features import log_mel_block, normalise
from ...models.speech.sound_stream import AT_HAND, SOON, Listening
from ...models.takin.ear_hearing import EarHearing
from ...models.takin.features import SpeechLayers
from ...models.takin.live import Hear
from ...models.weights.published import WEIGHTS, weight_path
from ..speech_net.shipped import load_speech_net, shipped_encoder

PACES = {
    "whole": None,
    "film": AT_HAND,
    "live": SOON,
}  # of the ear: an encoded clip, a film without one, a live voice
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Hearing:
    """layers: wave at 16 kHz and its video frames N -> [L,2N,D]. live: what hears a voice that comes."""

    encoder: str
    layers: Callable[[np.ndarray, int], torch.Tensor]
    live: Callable[[], Hear]


def builtin_hearing() -> Hearing:
    """By the built-in speech network."""
    weights = weight_path(WEIGHTS["speech"])
    network, _ = load_speech_net(weights)
    name = builtin_encoder_name(weights)

    def layers(wave: np.ndarray, frames: int) -> torch.Tensor:
        mel, _ = log_mel_block(wave.astype(np.float32), 0, 4 * frames)
        return builtin_layers_between(network, normalise(mel), 0, 2 * frames, CPU)

    return Hearing(name, layers, lambda: lambda heard: SpeechLayers(heard_layers(network, heard, CPU), name))


def ear_hearing(how: Listening | None = None) -> Hearing:
    """By Whisper tiny.en's encoder. how: as it hears what comes; None: a whole clip."""
    encoder = shipped_encoder()
    name = weights_name(NAME, weight_path(WEIGHTS["whisper_tiny_en"]))

    def layers(wave: np.ndarray, frames: int) -> torch.Tensor:
        samples = 640 * frames
        sound = np.pad(wave, (0, max(0, samples - len(wave))))[:samples].astype(np.float32)
        if how is None:
            return ear_layers(encoder, sound, CPU)
        stream = EarStream(lambda: encoder, CPU, how)
        return torch.from_numpy(np.concatenate([stream.push(sound), stream.finish()])).transpose(0, 1)

    return Hearing(name, layers, lambda: EarHearing(lambda: encoder, name, CPU, SOON))


def hearing_of(encoder: str) -> Hearing:
    """By whichever of the two a network was trained on; ValueError if it was neither."""
    for hearing in (builtin_hearing(), ear_hearing(AT_HAND)):
        if hearing.encoder == encoder:
            return hearing
    raise ValueError(f"the network was trained on the speech encoder {encoder}, which is not in the pack")
