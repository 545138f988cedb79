"""wav2vec2-base-960h in core's audio encoder, in float32 throughout, and told apart from encoders of the same
shapes."""

from collections.abc import Mapping
from typing import Any, cast

import comfy.model_management
import numpy as np
import torch
from torch import Tensor

from ..core_parts import WAV2VEC2, core_part
from ..progress import Progress
from .encoders import Encoder
from .sound import mono

WIDTH = 768
# of the English recogniser; pre-trained encoders have a quantizer instead
CTC_HEAD, CTC_LETTERS = "lm_head.weight", 32


def load_base_encoder(state: Mapping[str, Tensor]) -> Any:
    """Core's AudioEncoderModel with weights in float32. ValueError if the weights are of another size, or
    some are missing."""
    inner = {key.removeprefix("wav2vec2."): value for key, value in state.items()}
    if tuple(inner.get("encoder.layer_norm.bias", torch.empty(0)).shape) != (WIDTH,):
        raise ValueError(f"it is no wav2vec2 base model (its width is not {WIDTH})")
    core = core_part(*WAV2VEC2)
    try:
        encoder = core.load_audio_encoder_from_sd(dict(state))
        # Core keeps half precision, which is 6e-3 from the published features; the file's own numbers are put
        # back.
        encoder.model.float()
        missing, _ = encoder.model.load_state_dict(
            {key: value.float() for key, value in inner.items()}, strict=False
        )
    except RuntimeError as problem:
        raise ValueError(
            f"it does not fit wav2vec2's base size: {str(problem).splitlines()[-1].strip()}"
        ) from None
    if missing:
        raise ValueError(
            f"{len(missing)} of its encoder's tensors are missing, such as {', '.join(missing[:3])}"
        )
    encoder.dtype = torch.float32
    comfy.model_management.archive_model_dtypes(encoder.model)
    return encoder


class Wav2Vec2Encoder(Encoder):
    """wav2vec2-base-960h in float32: its last hidden state, [1,M,768]. core: of `load_base_encoder`."""

    kind = "wav2vec2-base-960h"
    bytes_per_second = WIDTH * 50 * 4

    def __init__(self, core: Any, name: str):
        super().__init__(lambda: core.model, name, core.load_device, core.patcher)
        self.core = core

    def layers(self, waveform: Tensor, sample_rate: int, progress: Progress) -> Tensor:
        """See Encoder; the clip is heard at once. ValueError if it is too long for the memory."""
        hidden = encode_float32(self.core, normalised(mono(waveform, sample_rate)))
        progress(1, 1)
        return hidden


def normalised(wave: np.ndarray) -> Tensor:
    """[T] -> [1,T] with zero mean and unit variance of this very piece (Wav2Vec2 feature extractor)."""
    sound = torch.from_numpy(np.ascontiguousarray(wave, np.float32))[None]
    return (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)


def check_is_960h(state: Mapping[str, Tensor]) -> None:
    """ValueError unless a file is the English recogniser: another wav2vec2 base has the same shapes, and
    makes wrong lips."""
    head = state.get(CTC_HEAD)
    if head is None or tuple(head.shape) != (CTC_LETTERS, WIDTH):
        kind = "its letter head lm_head.weight [32,768] is not in it"
        if any("quantizer" in key for key in state):
            kind = "it is a pre-trained encoder, such as chinese-wav2vec2-base"
        raise ValueError(f"it is not facebook/wav2vec2-base-960h: {kind}")


def encode_float32(encoder: Any, wave: Tensor) -> Tensor:
    """Normalised wave [1,T] at 16 kHz -> last hidden state [1,L,768] on the CPU. ValueError if it is too long
    for the memory."""
    free = cast(int, comfy.model_management.get_free_memory(encoder.load_device))
    check_length(wave.shape[-1], free)
    comfy.model_management.load_model_gpu(encoder.patcher)
    features, _ = encoder.model(wave[:, None].float().to(encoder.load_device))
    return features.float().cpu()


def check_length(samples: int, free: int) -> None:
    """ValueError if the first layer's two tensors [512, samples / 5] in float32 are larger than `free` bytes."""
    needed = samples // 5 * 512 * 4 * 2
    if needed > free:
        minutes = free * samples / needed / 16000 / 60
        raise ValueError(
            f"audio of {samples / 16000 / 60:.0f} min needs {needed / 1e9:.1f} GB to be heard at once, but "
            f"{free / 1e9:.1f} GB are free. Set frames to at most {minutes:.0f} min of the film, and make "
            "the rest by start_frame."
        )
