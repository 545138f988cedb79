"""Takin-ADA in the menu of engines: what it asks for, and how it is loaded."""

from collections.abc import Mapping
from typing import Any

import torch

from ...models.contracts import Entry, MotionEngine
from ...models.face_motion.emotion import NEUTRAL
from ...models.face_motion.exemplar import exemplar_change
from ...models.options import Choice, Mood, Motion, Number, Text, Whole
from ...models.takin.emotion import emotion_weights
from ...models.takin.engine import TakinOptions
from ...models.takin.sampling import Guidance
from .emotion_menu import check_one_mood
from .loading import LoadedModel, load_shared, ready_together
from .node_names import LOAD_ENGINE as NODE
from .weight_files import chosen_file, find_weight

SHIPPED, BUILT_IN = "shipped (tiny)", "built-in"  # in the menus of networks and speech encoders
OPTIONS = (
    Whole(id="steps", default=10, low=1, high=1000,
        tooltip="Diffusion steps: more are slower and hardly better."),
    Mood(id="emotion", advanced=False, tooltip="The mood of the whole face."),
    Number(
        id="emotion_intensity", default=1.0, low=0.0, high=1.0, advanced=False,
        tooltip="How strong the emotion is, from 0 (none) to 1 (full).",
    ),
    Text(
        id="emotion_mix", tooltip="Several emotions with their weights instead of emotion (which stays "
            "neutral), such as: happy 2, "
        "surprised 1. Empty takes emotion.",
    ),
    Choice(
        id="takin_file", choices=(SHIPPED,), folder="takin",
        tooltip="The network; yours, from training/takin/train_films.py, goes into models/takin/.",
    ),
    Choice(
        id="speech_encoder", choices=(BUILT_IN,), folder="audio_encoders",
        tooltip="What hears the voice; it must be what takin_file was trained on. A HuBERT, such as "
            "facebook/hubert-large-ll60k "
        "(its model.safetensors, ~1260 MB, Apache-2.0), goes into models/audio_encoders/.",
    ),
    Number(
        id="audio_guidance", default=1.5, low=0.0, high=10.0, step=0.1,
        tooltip="How strongly the sound drives the face. 1 as learned, more exaggerates; 0 leaves the sound out.",
    ),
    Number(
        id="emotion_guidance", default=1.0, low=0.0, high=10.0, step=0.1,
        tooltip="How strongly the mood is followed. 1 as learned, more exaggerates; 0 leaves the mood out.",
    ),
    Motion(
        id="exemplar", tooltip="A mood to copy instead of emotion (which stays neutral): a motion of one "
            "person, calm in the first "
        "frame and in that mood in the others. That all show one person is not checked.",
    ),
    Motion(
        id="head",
        tooltip="A motion whose head the face follows while it speaks, instead of a head motion of its own.",
    ),
)  # fmt: skip


def load(options: Mapping[str, Any]) -> MotionEngine:
    """The engine of a network file and the speech encoder that it was trained on."""
    from ...models.takin.engine import TakinEngine
    from ...models.takin.hubert_engine import HubertTakinEngine, check_encoder
    from ...models.takin.network import build_takin

    own, file, encoder = takin_options(options), options["takin_file"], options["speech_encoder"]
    path = (
        find_weight("takin.motion", NODE)
        if file == SHIPPED
        else chosen_file("takin", file, "takin_file", NODE)
    )
    network = load_shared("takin", path, torch.float32, build_takin, NODE)
    hearing, name = speech_encoder(encoder)
    check_encoder(file, network.patcher.model.config.encoder, encoder, name)
    # asked for together, so that neither pushes the other out while they take turns
    models = [network, hearing]
    kind = TakinEngine if encoder == BUILT_IN else HubertTakinEngine
    engine = kind(
        lambda: ready_together(models)[0], lambda: ready_together(models)[1], name, own, network.device
    )
    engine.licence = network.metadata.get("licence", f"that of {file}")
    return engine


def takin_options(options: Mapping[str, Any]) -> TakinOptions:
    """Takin-ADA's own; ValueError if the mood is told in two ways."""
    mixed, exemplar, intensity, shown = (
        options["emotion_mix"].strip(),
        options["exemplar"],
        options["emotion_intensity"],
        None,
    )
    check_one_mood(options["emotion"], emotion_weights(mixed, "emotion_mix"), exemplar, "emotion_mix")
    named, mood = ("emotion_mix", mixed) if mixed else ("emotion", options["emotion"])
    if exemplar is not None:  # told by the face alone, as in training: no emotion has a name then
        shown = intensity * exemplar_change(exemplar)[0].flatten()
        named, mood, intensity = "exemplar", NEUTRAL, 0.0
    guidance = Guidance(options["audio_guidance"], options["emotion_guidance"])
    return TakinOptions(mood, intensity, options["steps"], guidance, shown, named, options["head"])


def speech_encoder(file: str) -> tuple[LoadedModel, str]:
    """A speech encoder and its name, by which networks know what they were trained on."""
    from ...models.speech.hubert_layers import build_speech_encoder, hubert_state
    from ...models.speech.speech_net import build_speech_net
    from ...models.takin.features import builtin_encoder_name

    if file != BUILT_IN:
        path = chosen_file("audio_encoders", file, "speech_encoder", NODE)
        model = load_shared("hubert", path, torch.float32, build_speech_encoder, NODE, hubert_state)
        return model, model.patcher.model.encoder_name
    path = find_weight("speech", NODE)
    return load_shared("speech", path, torch.float32, build_speech_net, NODE), builtin_encoder_name(path)


TAKIN = Entry(
    "Takin-ADA", "Diffusion with emotions; nothing to download, trained on synthetic speech and rule-made "
        "faces.", load, OPTIONS,
    ("speech", "presence", "takin.motion"), "Apache-2.0",
)  # fmt: skip
