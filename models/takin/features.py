"""Layers of a speech encoder as Takin-ADA reads them: 50 frames per second, all layers, and the encoder's name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..speech.listening import REACH, Heard
from ..speech.speech_net import SpeechNet
from .config import TakinConfig


@dataclass(frozen=True)
class SpeechLayers:
    """layers [L,M,D] at 50 Hz of the speech encoder that `encoder` names."""

    layers: Tensor
    encoder: str

    def checked(self, config: TakinConfig) -> Tensor:
        """The layers; ValueError if they are of another encoder than the network was trained on, or not of its size."""
        if self.encoder != config.encoder:
            raise ValueError(
                f"the speech features come from {self.encoder!r}, but this Takin-ADA network was trained on "
                f"{config.encoder!r}. Use features of that encoder, or a network trained on these."
            )
        wanted = (config.encoder_layers, config.encoder_width)
        if self.layers.ndim != 3 or (self.layers.shape[0], self.layers.shape[2]) != wanted:
            raise ValueError(
                f"the speech features have shape {tuple(self.layers.shape)}; [{wanted[0]}, frames, "
                f"{wanted[1]}] is needed."
            )
        return self.layers


def builtin_encoder_name(weights: Path) -> str:
    """Name of the built-in speech network with these very weights: trained again, it is another encoder."""
    return "builtin-speech-" + hashlib.sha256(weights.read_bytes()).hexdigest()[:12]


def builtin_layers(network: SpeechNet, mel: Tensor) -> Tensor:
    """Normalised log-mel [T,40] at 100 Hz, T even -> [8,T/2,112]: the log-mel itself, two frames side by
    side, and 7 hidden layers.

    The log-mel stands where an encoder's embedding is in a transformer's stack; it is filled up with zeros to
    their width.
    """
    hidden = network.hidden(mel.T[None])
    pairs = mel.reshape(len(mel) // 2, -1)
    layers = [F.avg_pool1d(layer, 2)[0].T for layer in hidden]
    return torch.stack([F.pad(pairs, (0, layers[0].shape[1] - pairs.shape[1])), *layers])


def builtin_layers_between(
    network: SpeechNet, mel: np.ndarray, start: int, stop: int, device: torch.device
) -> Tensor:
    """Layers of frames start to stop - 1 (50 Hz) of a whole clip's normalised log-mel, as if computed from all of it.

    Behind the clip's end the last frame is repeated.
    """
    left = max(0, 2 * start - REACH)
    piece = mel[left : min(2 * stop + REACH, len(mel))]
    if len(piece) < 2 * stop - left:
        piece = np.concatenate([piece, np.repeat(mel[-1:], 2 * stop - left - len(piece), 0)])
    piece = piece[: len(piece) // 2 * 2]
    layers = builtin_layers(network, torch.from_numpy(piece).to(device))
    return layers[:, start - left // 2 : stop - left // 2].float().cpu()


def heard_layers(network: SpeechNet, heard: Heard, device: torch.device) -> Tensor:
    """[8,n,112] layers at 50 Hz of a block of a recording; an odd number of frames is made even by repeating
    the last."""
    count = len(heard.gate) + len(heard.gate) % 2
    mel = heard.mel
    if len(mel) < heard.before + count:
        mel = np.concatenate([mel, mel[-1:]])
    layers = builtin_layers(network, torch.from_numpy(mel[: len(mel) // 2 * 2]).to(device)).float().cpu()
    return layers[:, heard.before // 2 : (heard.before + count) // 2]
