"""One clip as a speech encoder hears it, and how it travels on ComfyUI's sockets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

OWN = "talking_portrait"  # where an AUDIO_ENCODER_OUTPUT holds its EncodedSpeech
NAMES = {  # kinds of encoders as messages name them
    "built-in": "the built-in one",
    "wav2lip": "Wav2Lip",
    "ear": "Whisper tiny.en",
    "hubert": "HuBERT",
    "joyvasa": "JoyVASA's own",
    "whisper-tiny": "Whisper-tiny",
    "wav2vec2-base-960h": "wav2vec2-base-960h",
}


@dataclass(frozen=True)
class EncodedSpeech:
    """layers [L,M,D] float32 on the CPU: what an encoder's L layers say of M frames, `rate` of them per second.

    kind: one of NAMES, or another pack's. name: of its very weights, trained further it is another encoder.
    sound: fingerprint of the clip that was heard.
    """

    layers: Tensor
    rate: Fraction
    kind: str
    name: str
    sound: str


def fingerprint(waveform: Tensor, sample_rate: int) -> str:
    """Tells clips apart: waveform [C,T], rate in Hz."""
    digest = hashlib.blake2b(f"{tuple(waveform.shape)} {sample_rate}".encode(), digest_size=16)
    for channel in waveform.contiguous():
        for piece in channel.split(1 << 22):
            digest.update(piece.numpy().tobytes())
    return digest.hexdigest()


def weights_name(kind: str, weights: Path) -> str:
    """The name of an encoder with these very weights."""
    digest = hashlib.sha256()
    with weights.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return f"{kind}-{digest.hexdigest()[:12]}"


def core_output(encoded: EncodedSpeech, samples: int) -> dict[str, Any]:
    """Core's AUDIO_ENCODER_OUTPUT of a clip that has so many samples at 16 kHz."""
    layers = [layer[None] for layer in encoded.layers]
    return {
        "encoded_audio": layers[-1],
        "encoded_audio_all_layers": layers,
        "audio_samples": samples,
        OWN: encoded,
    }


def encoded_speech(output: Mapping[str, Any]) -> EncodedSpeech:
    """What an AUDIO_ENCODER_OUTPUT holds; ValueError if another pack's or core's encoder made it."""
    found = output.get(OWN)
    if not isinstance(found, EncodedSpeech):
        raise ValueError(
            "audio_encoder_output comes from an encoder that none of our systems was trained on. Take the "
            "encoder from Load Speech Encoder."
        )
    return found


def check_clip(encoded: EncodedSpeech, waveform: Tensor, sample_rate: int) -> None:
    """ValueError unless it was made from this very clip [C,T]."""
    if encoded.sound != fingerprint(waveform, sample_rate):
        raise ValueError(
            "audio_encoder_output was made from another clip than audio. Connect the same audio to Encode Speech."
        )


def check_weights(encoded: EncodedSpeech, wanted: str, system: str) -> None:
    """ValueError unless speech was encoded by the very weights that a system was trained on."""
    if encoded.name != wanted:
        raise ValueError(
            f"audio_encoder_output is of {encoded.name}, but {system} was trained on {wanted}: an encoder "
            "that was trained further is another one. Choose that one in Load Speech Encoder, or take it "
            "off."
        )


def check_kind(kind: str | None, wanted: tuple[str, ...], system: str, name: str) -> None:
    """ValueError unless what input `name` holds is of a kind that a system was trained on."""
    if kind in wanted:
        return
    fits = " or ".join(NAMES.get(one, one) for one in wanted)
    found = (
        f"is {NAMES.get(kind, kind)}"
        if isinstance(kind, str)
        else "comes from another loader, so nobody has checked what it is"
    )
    raise ValueError(
        f"{name} {found}, but {system} was trained on {fits}. Choose that in Load Speech Encoder, or take {name} off."
    )
