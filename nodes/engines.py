"""The motion engines that Load Motion Engine offers: one line each."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import torch

from ..models.engine import MotionEngine
from ..models.face_motion import FaceMotion
from ..models.face_motion.emotion import NEUTRAL
from ..models.face_motion.exemplar import exemplar_change
from ..models.published_weights import WEIGHTS, weight_path
from ..models.takin.emotion import emotion_weights
from ..models.takin.engine import TakinOptions
from ..models.takin.sampling import Guidance
from .emotion_menu import check_one_mood
from .loading import LoadedModel, load_shared, ready_together
from .registry import chosen_file, find_weight, missing_weight_message

NODE = "Load Motion Engine"
KDTALKER_STEPS = 10  # as good as its authors' 50 by their own measure
TAKIN_STEPS = 10
SHIPPED, BUILT_IN = "shipped (tiny)", "built-in"  # in the menus of Takin-ADA's networks and speech encoders


@dataclass(frozen=True)
class EngineOptions:
    """What Load Motion Engine asks for; READ says which engine reads what.

    steps: of the diffusion, 0 for what suits the engine. guidance, head_smoothing, official_timing: JoyVASA's
    (models/joyvasa/engine.py). The mood by name, mixture or exemplar (first frame calm), a head to follow, how strongly sound
    and emotion are followed, network and speech encoder (a file's name, or what comes with the pack): Takin-ADA's.
    """

    steps: int = 0
    guidance: float = 2.0
    head_smoothing: float = 0.0
    official_timing: bool = False
    emotion: str = "neutral"
    emotion_intensity: float = 1.0
    emotion_mix: str = ""
    takin_file: str = SHIPPED
    speech_encoder: str = BUILT_IN
    exemplar: FaceMotion | None = None
    head: FaceMotion | None = None
    audio_guidance: float = 1.5
    emotion_guidance: float = 1.0


READ: dict[str, tuple[str, ...]] = {
    "built-in": (),
    "KDTalker": ("steps",),
    "JoyVASA": ("steps", "guidance", "head_smoothing", "official_timing"),
    "Takin-ADA": (
        "steps", "emotion", "emotion_intensity", "emotion_mix", "takin_file", "speech_encoder", "exemplar", "head",
        "audio_guidance", "emotion_guidance",
    ),
}  # fmt: skip


def check_options(engine: str, options: EngineOptions) -> None:
    """ValueError that names every option that is set and that this engine would ignore, who reads it, and its default."""
    said = []
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name in READ[engine] or value == option.default:
            continue
        readers = " or ".join(name for name, read in READ.items() if option.name in read)
        back = "Take it off" if option.default is None else f"Set it back to {in_words(option.default)}"
        what = "is connected" if option.default is None else f"is {in_words(value)}"
        said.append(f"{option.name} {what}, but {engine} does not read it. {back}, or choose {readers}.")
    if said:
        raise ValueError(" ".join(said))


def in_words(value: object) -> str:
    """An option's value as the page shows it."""
    return {True: "on", False: "off", "": "empty"}.get(value, str(value)) if isinstance(value, (bool, str)) else f"{value:g}"


def _builtin(options: EngineOptions) -> MotionEngine:
    from ..models.builtin.motion_engine import BuiltinMotionEngine
    from ..models.builtin.speech_net import build_speech_net

    path = weight_path(WEIGHTS["speech"])
    if not path.is_file():
        raise ValueError(missing_weight_message("speech", NODE))
    model = load_shared("speech", path, torch.float32, build_speech_net, NODE)
    return BuiltinMotionEngine(model.ready, model.device)


def _kdtalker(options: EngineOptions) -> MotionEngine:
    from ..models.kdtalker.audio_encoder import build_audio_encoder
    from ..models.kdtalker.checkpoint import audio_encoder_state, denoiser_state
    from ..models.kdtalker.denoiser import build_denoiser
    from ..models.kdtalker.engine import KDTalkerEngine
    from ..models.kdtalker.motion import read_statistics
    from .renderers import liveportrait_model

    paths = {part: find_weight(f"kdtalker.{part}", NODE) for part in ("denoiser", "audio", "norm")}
    motion = liveportrait_model("motion", torch.float32, NODE)
    denoiser = load_shared("kdtalker denoiser", paths["denoiser"], torch.float32, build_denoiser, NODE, denoiser_state)
    encoder = load_shared("wav2lip", paths["audio"], torch.float32, build_audio_encoder, NODE, audio_encoder_state)
    statistics = read_statistics(paths["norm"], NODE)
    steps = options.steps or KDTALKER_STEPS
    return KDTalkerEngine(denoiser.ready, encoder.ready, motion.ready, statistics, steps, denoiser.device)


def _joyvasa(options: EngineOptions) -> MotionEngine:
    from ..models.joyvasa.checkpoint import joyvasa_state
    from ..models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
    from ..models.joyvasa.motion import read_template
    from ..models.joyvasa.network import build_joyvasa

    own = JoyVASAOptions(options.steps, options.guidance, options.head_smoothing, options.official_timing)
    paths = {part: find_weight(f"joyvasa.{part}", NODE) for part in ("motion", "template")}
    network = load_shared("joyvasa", paths["motion"], torch.float32, build_joyvasa, NODE, joyvasa_state)
    return JoyVASAEngine(network.ready, read_template(paths["template"], NODE), own, network.device)


def _takin(options: EngineOptions) -> MotionEngine:
    from ..models.takin.engine import TakinEngine
    from ..models.takin.hubert_engine import HubertTakinEngine, check_encoder
    from ..models.takin.network import build_takin

    own = _takin_options(options)
    network = load_shared("takin", _takin_path(options.takin_file), torch.float32, build_takin, NODE)
    hearing, name = _speech_encoder(options.speech_encoder)
    check_encoder(options.takin_file, network.patcher.model.config.encoder, options.speech_encoder, name)
    models = [network, hearing]  # asked for together, so that neither pushes the other out while they take turns
    kind = TakinEngine if options.speech_encoder == BUILT_IN else HubertTakinEngine
    engine = kind(lambda: ready_together(models)[0], lambda: ready_together(models)[1], name, own, network.device)
    engine.licence = network.metadata.get("licence", f"that of {options.takin_file}")
    return engine


def _takin_options(options: EngineOptions) -> TakinOptions:
    """Takin-ADA's own; ValueError if the mood is told in two ways."""
    mixed = options.emotion_mix.strip()
    check_one_mood(options.emotion, emotion_weights(mixed, "emotion_mix"), options.exemplar, "emotion_mix")
    named, mood, intensity, shown = "emotion_mix" if mixed else "emotion", mixed or options.emotion, options.emotion_intensity, None
    if options.exemplar is not None:  # told by the face alone, as in training: no emotion has a name then
        shown = intensity * exemplar_change(options.exemplar)[0].flatten()
        named, mood, intensity = "exemplar", NEUTRAL, 0.0
    return TakinOptions(
        mood, intensity, options.steps or TAKIN_STEPS, Guidance(options.audio_guidance, options.emotion_guidance), shown, named,
        options.head,
    )  # fmt: skip


def _takin_path(file: str) -> Path:
    """Where a network for Takin-ADA lies."""
    if file != SHIPPED:
        return chosen_file("takin", file, "takin_file", NODE)
    path = weight_path(WEIGHTS["takin.motion"])
    if not path.is_file():
        raise ValueError(missing_weight_message("takin.motion", NODE))
    return path


def _speech_encoder(file: str) -> tuple[LoadedModel, str]:
    """A speech encoder and its name, by which networks know what they were trained on."""
    from ..models.builtin.speech_net import build_speech_net
    from ..models.takin.features import builtin_encoder_name
    from ..models.takin.hubert import build_speech_encoder, hubert_state

    if file != BUILT_IN:
        path = chosen_file("audio_encoders", file, "speech_encoder", NODE)
        model = load_shared("hubert", path, torch.float32, build_speech_encoder, NODE, hubert_state)
        return model, model.patcher.model.encoder_name
    path = weight_path(WEIGHTS["speech"])
    if not path.is_file():
        raise ValueError(missing_weight_message("speech", NODE))
    return load_shared("speech", path, torch.float32, build_speech_net, NODE), builtin_encoder_name(path)


ENGINES: dict[str, Callable[[EngineOptions], MotionEngine]] = {
    "built-in": _builtin, "KDTalker": _kdtalker, "JoyVASA": _joyvasa, "Takin-ADA": _takin,
}  # fmt: skip


def load_engine(name: str, options: EngineOptions = EngineOptions()) -> MotionEngine:
    """The engine called `name` in the menu; ValueError for options that it would not read."""
    check_options(name, options)
    return ENGINES[name](options)
