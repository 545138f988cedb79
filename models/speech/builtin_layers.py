"""All layers of the built-in speech network at 50 Hz, as if it were an encoder of transformers' kind."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .encoding import weights_name
from .listening import REACH, Heard
from .speech_net import SpeechNet


def builtin_encoder_name(weights: Path) -> str:
    """Name of the built-in speech network with these very weights."""
    return weights_name("builtin-speech", weights)


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
