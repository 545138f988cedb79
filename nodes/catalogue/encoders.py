"""The speech encoders in one menu: everything that hears for one of our systems."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...models.contracts import SPEECH_ENCODERS, Entry, SpeechEncoder, register_speech_encoder
from ...models.core_parts import WAV2VEC2 as CORE_WAV2VEC2
from ...models.core_parts import core_part
from ...models.options import File
from ...models.speech.encoding import check_kind
from ...models.weights.published import WEIGHTS
from .loading import LoadedModel, converted, load_shared, read_weights
from .menu import load_entry, put_first
from .node_names import LOAD_ENCODER as NODE
from .shared_models import shared
from .weight_files import find_weight, menu_file

BUILT_IN, WAV2LIP, HUBERT, EAR = "built-in", "Wav2Lip", "HuBERT", "Whisper tiny.en"
JOYVASA, WHISPER, WAV2VEC2 = "JoyVASA's HuBERT", "Whisper-tiny", "wav2vec2-base-960h"


def older_encoder() -> SpeechEncoder:
    """The small speech network on which Takin-ADA networks were trained before the ear."""
    from ...models.speech.builtin_layers import builtin_encoder_name
    from ...models.speech.encoders import BuiltInEncoder
    from ...models.speech.speech_net import build_speech_net

    path = find_weight("speech", NODE)
    model = load_shared("speech", path, torch.float32, build_speech_net, NODE)
    return BuiltInEncoder(model.ready, builtin_encoder_name(path), model.device, model.patcher)


def ear_model(node: str) -> LoadedModel:
    """Whisper tiny.en's encoder, which ships with the pack."""
    from ...models.speech.whisper_tiny_en import build_encoder, encoder_state

    return load_shared(
        "whisper tiny.en", find_weight("whisper_tiny_en", node), torch.float32, build_encoder, node, encoder_state,
        exact=True,
    )  # fmt: skip


def ear_encoder(node: str) -> SpeechEncoder:
    """The same as an encoder."""
    from ...models.speech.ear import NAME, EarEncoder
    from ...models.speech.encoding import weights_name

    model = ear_model(node)
    name = weights_name(NAME, find_weight("whisper_tiny_en", node))
    return EarEncoder(model.ready, name, model.device, model.patcher)


def _ear(options: Mapping[str, Any]) -> SpeechEncoder:
    return ear_encoder(NODE)


def wav2lip_model(path: Path, node: str) -> LoadedModel:
    """Wav2Lip's audio encoder in its file."""
    from ...models.kdtalker.checkpoint import audio_encoder_state
    from ...models.speech.wav2lip import build_audio_encoder

    return load_shared("wav2lip", path, torch.float32, build_audio_encoder, node, audio_encoder_state)


def _wav2lip(options: Mapping[str, Any]) -> SpeechEncoder:
    from ...models.speech.encoders import Wav2LipEncoder
    from ...models.speech.encoding import weights_name

    path = menu_file("kdtalker.audio", options["file"], "file", NODE)
    model = wav2lip_model(path, NODE)
    return Wav2LipEncoder(model.ready, weights_name("wav2lip", path), model.device, model.patcher)


def hubert_encoder(path: Path, node: str) -> SpeechEncoder:
    """A HuBERT in transformers' layout."""
    from ...models.speech.encoders import HubertEncoder
    from ...models.speech.hubert_layers import build_speech_encoder, hubert_state

    model = load_shared("hubert", path, torch.float32, build_speech_encoder, node, hubert_state)
    return HubertEncoder(model.ready, model.patcher.model.encoder_name, model.device, model.patcher)


def _hubert(options: Mapping[str, Any]) -> SpeechEncoder:
    return hubert_encoder(menu_file("takin.hubert", options["file"], "file", NODE), NODE)


def joyvasa_model(path: Path, node: str) -> LoadedModel:
    """JoyVASA's network with the HuBERT in its file."""
    from ...models.joyvasa.checkpoint import joyvasa_state
    from ...models.joyvasa.network import build_joyvasa

    return load_shared("joyvasa", path, torch.float32, build_joyvasa, node, joyvasa_state)


def _joyvasa(options: Mapping[str, Any]) -> SpeechEncoder:
    from ...models.joyvasa.hearing import JoyVASAEncoder
    from ...models.speech.encoding import weights_name

    path = menu_file("joyvasa.motion", options["file"], "file", NODE)
    model = joyvasa_model(path, NODE)
    return JoyVASAEncoder(model.ready, weights_name("joyvasa", path), model.device, model.patcher)


def _whisper(options: Mapping[str, Any]) -> SpeechEncoder:
    from ...models.speech.encoding import weights_name
    from ...models.speech.whisper import WhisperTinyEncoder

    path = menu_file("actalker.whisper", options["file"], "file", NODE)
    model = whisper_model(path, NODE)
    return WhisperTinyEncoder(model.ready, weights_name("whisper-tiny", path), model.device, model.patcher)


def whisper_model(path: Path, node: str) -> LoadedModel:
    """Whisper-tiny's encoder, of its published file."""
    from ...models.speech.whisper import build_whisper, whisper_state

    return load_shared(
        "actalker whisper", path, torch.float32, build_whisper, node, whisper_state, exact=True
    )


def _wav2vec2(options: Mapping[str, Any]) -> SpeechEncoder:
    path = menu_file("fantasytalking.wav2vec2", options["file"], "file", NODE)
    return shared("wav2vec2", path, (), lambda: wav2vec2_encoder(path, NODE))


def wav2vec2_encoder(path: Path, node: str) -> SpeechEncoder:
    """The encoder in a file; ValueError if it is another's, or damaged."""
    from ...models.speech.encoding import weights_name
    from ...models.speech.wav2vec2 import Wav2Vec2Encoder, check_is_960h, load_base_encoder

    core_part(*CORE_WAV2VEC2)  # first, so that nobody blames the file

    def checked(content: dict) -> dict:
        check_is_960h(content)
        return dict(content)

    content, _ = read_weights(path, node)
    state = converted(content, checked, path, node)
    try:
        core = load_base_encoder(state)
    except ValueError as problem:
        raise ValueError(f"{path} cannot be used: {problem}. Put the right file in its place.") from None
    return Wav2Vec2Encoder(core, weights_name("wav2vec2-base-960h", path))


def entry(name: str, about: str, load: Any, key: str) -> Entry:
    """An encoder with a menu of its files."""
    tooltip = "The encoder's file; trained further, it is another encoder."
    menu = File(id="file", key=key, advanced=False, tooltip=tooltip)
    return Entry(name, about, load, (menu,), (key,), WEIGHTS[key].licence)


OWN = (
    Entry(
        BUILT_IN, "For Takin-ADA as shipped: Whisper tiny.en's encoder, the ear of the built-in engine; nothing to "
        "download.", _ear, files=("whisper_tiny_en",), licence="MIT",
    ),
    Entry(EAR, "The same as built-in, by its name.", _ear, files=("whisper_tiny_en",), licence="MIT"),
    entry(WAV2LIP, "For KDTalker.", _wav2lip, "kdtalker.audio"),
    entry(HUBERT, "For a Takin-ADA that was trained on it; any HuBERT in transformers' layout.", _hubert,
        "takin.hubert"),
    entry(JOYVASA, "For JoyVASA, whose file holds a HuBERT that was trained further.", _joyvasa,
        "joyvasa.motion"),
    entry(WHISPER, "For ACTalker.", _whisper, "actalker.whisper"),
    entry(WAV2VEC2, "For FantasyTalking, in float32.", _wav2vec2, "fantasytalking.wav2vec2"),
)  # fmt: skip
put_first(SPEECH_ENCODERS, OWN, register_speech_encoder)


def load_speech_encoder(name: str, given: Mapping[str, Any] | None = None) -> SpeechEncoder:
    """The encoder called `name` in the menu."""
    return load_entry(SPEECH_ENCODERS[name], SpeechEncoder, given or {})


def fitting(encoder: Any, system: str, *kinds: str) -> Any:
    """What is on a socket for an encoder; ValueError unless it is of a kind that a system was trained on."""
    check_kind(getattr(encoder, "kind", None), kinds, system, "audio_encoder")
    return encoder
