"""Takin-ADA in the menu of engines: what it asks for, and how it is loaded."""

from collections.abc import Mapping
from typing import Any

import torch

from ...models.contracts import Entry, MotionEngine
from ...models.face_motion.emotion import NEUTRAL
from ...models.face_motion.exemplar import exemplar_change
from ...models.options import Choice, Mood, Motion, Number, Socket, Text, Whole
from ...models.takin.emotion import emotion_weights
from ...models.takin.engine import TakinOptions
from ...models.takin.sampling import Guidance
from .emotion_menu import check_one_mood
from .encoders import fitting, hubert_encoder, load_speech_encoder, older_encoder
from .loading import load_shared, ready_together
from .node_names import LOAD_ENGINE as NODE
from .sampler import SAMPLER, check_one_count
from .weight_files import chosen_file, find_weight

SHIPPED, BUILT_IN = "shipped (tiny)", "built-in"  # in the menus of networks and speech encoders
STEPS = Whole(
    id="steps", default=10, low=1, high=1000, tooltip="Diffusion steps: more are slower and hardly better."
)
OPTIONS = (
    STEPS,
    Mood(id="emotion", advanced=False, tooltip="The mood of the whole face."),
    Number(
        id="emotion_intensity", default=1.0, low=0.0, high=1.0, advanced=False,
        tooltip="How strong the emotion is, from 0 (none) to 1 (full).",
    ),
    Text(
        id="emotion_mix", tooltip="Several emotions with their weights instead of emotion (which stays "
        "neutral), such as: happy 2, surprised 1. Empty takes emotion.",
    ),
    Choice(
        id="takin_file", choices=(SHIPPED,), folder="takin",
        tooltip="The network; one that you trained (docs/TRAINING.md) goes into models/takin/.",
    ),
    Choice(
        id="speech_encoder", choices=(BUILT_IN,), folder="audio_encoders",
        tooltip="What hears the voice; it must be what takin_file was trained on. A HuBERT, such as "
        "facebook/hubert-large-ll60k (its model.safetensors, ~1260 MB, Apache-2.0), goes into "
        "models/audio_encoders/.",
    ),
    Socket(
        id="audio_encoder", io_type="AUDIO_ENCODER",
        tooltip="From Load Speech Encoder, in the place of speech_encoder; it must be what takin_file was trained on.",
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
        "person, calm in the first frame and in that mood in the others. That all show one person is not "
        "checked.",
    ),
    Motion(
        id="head",
        tooltip="A motion whose head the face follows while it speaks, instead of a head motion of its own.",
    ),
    SAMPLER,
)  # fmt: skip


def load(options: Mapping[str, Any]) -> MotionEngine:
    """The engine of a network file and the speech encoder that it was trained on."""
    from ...models.takin.ear_engine import EarTakinEngine
    from ...models.takin.engine import TakinEngine
    from ...models.takin.hubert_engine import HubertTakinEngine, check_encoder
    from ...models.takin.network import build_takin

    own, file = takin_options(options), options["takin_file"]
    path = (
        find_weight("takin.motion", NODE)
        if file == SHIPPED
        else chosen_file("takin", file, "takin_file", NODE)
    )
    network = load_shared("takin", path, torch.float32, build_takin, NODE)
    wanted = network.patcher.model.config.encoder
    encoder = chosen_encoder(options, wanted)
    check_encoder(file, wanted, encoder)
    # asked for together, so that neither pushes the other out while they take turns
    models = [network, encoder]
    kind = {"built-in": TakinEngine, "ear": EarTakinEngine}.get(encoder.kind, HubertTakinEngine)
    engine = kind(
        lambda: ready_together(models)[0],
        lambda: ready_together(models)[1],
        encoder.name,
        own,
        network.device,
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
    check_one_count(options, STEPS)
    check_one_mood(options["emotion"], emotion_weights(mixed, "emotion_mix"), exemplar, "emotion_mix")
    named, mood = ("emotion_mix", mixed) if mixed else ("emotion", options["emotion"])
    if exemplar is not None:  # told by the face alone, as in training: no emotion has a name then
        shown = intensity * exemplar_change(exemplar)[0].flatten()
        named, mood, intensity = "exemplar", NEUTRAL, 0.0
    guidance = Guidance(options["audio_guidance"], options["emotion_guidance"])
    return TakinOptions(
        mood, intensity, options["steps"], guidance, shown, named, options["head"], options["sampler"]
    )


def chosen_encoder(options: Mapping[str, Any], wanted: str) -> Any:
    """The speech encoder on the socket, or in the menu, whose built-in ones are two: the one that is `wanted` by the
    network. ValueError if both say one."""
    from ...models.speech.ear import NAME

    file, connected = options["speech_encoder"], options["audio_encoder"]
    if connected is None:
        if file == BUILT_IN:
            return load_speech_encoder(BUILT_IN) if wanted.startswith(NAME) else older_encoder()
        return hubert_encoder(chosen_file("audio_encoders", file, "speech_encoder", NODE), NODE)
    if file != BUILT_IN:
        raise ValueError(
            f"audio_encoder is connected and speech_encoder is {file}. Take one off, or set the other to {BUILT_IN}."
        )
    return fitting(connected, "Takin-ADA", "built-in", "ear", "hubert")


TAKIN = Entry(
    "Takin-ADA", "Diffusion with emotions; nothing to download, trained on synthetic speech and rule-made "
    "faces.", load, OPTIONS,
    ("whisper_tiny_en", "presence", "takin.motion"), "Apache-2.0; Whisper's encoder MIT",
)  # fmt: skip
