"""Layers of a speech encoder as Takin-ADA reads them: 50 frames per second, all layers, and the encoder's name."""

from dataclasses import dataclass

from torch import Tensor

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
