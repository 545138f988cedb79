"""The motion engines that Load Motion Engine offers: one line each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..models.engine import MotionEngine
from ..models.published_weights import WEIGHTS, weight_path
from .loading import LoadedModel, load_shared, ready_together
from .registry import chosen_file, find_weight, missing_weight_message

NODE = "Load Motion Engine"
KDTALKER_STEPS = 10  # as good as its authors' 50 by their own measure
TAKIN_STEPS = 10
SHIPPED, BUILT_IN = "shipped (tiny)", "built-in"  # in the menus of Takin-ADA's networks and speech encoders


@dataclass(frozen=True)
class EngineOptions:
    """What Load Motion Engine asks for, where an engine has it: `steps` of the diffusion (0: what suits the engine), and
    JoyVASA's guidance, smoothing of the head and timing (models/joyvasa/engine.py), and Takin-ADA's emotion
    (models/takin/engine.py), network and speech encoder (a file's name, or what comes with the pack)."""

    steps: int = 0
    guidance: float = 2.0
    head_smoothing: float = 0.0
    official_timing: bool = False
    emotion: str = "neutral"
    emotion_intensity: float = 1.0
    emotion_mix: str = ""
    takin_file: str = SHIPPED
    speech_encoder: str = BUILT_IN


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
    from ..models.takin.engine import TakinEngine, TakinOptions
    from ..models.takin.hubert_engine import HubertTakinEngine, check_encoder
    from ..models.takin.network import build_takin

    mixed = options.emotion_mix.strip()
    own = TakinOptions(
        mixed or options.emotion, options.emotion_intensity, options.steps or TAKIN_STEPS,
        named="emotion_mix" if mixed else "emotion",
    )  # fmt: skip
    network = load_shared("takin", _takin_path(options.takin_file), torch.float32, build_takin, NODE)
    hearing, name = _speech_encoder(options.speech_encoder)
    check_encoder(options.takin_file, network.patcher.model.config.encoder, options.speech_encoder, name)
    models = [network, hearing]  # asked for together, so that neither pushes the other out while they take turns
    kind = TakinEngine if options.speech_encoder == BUILT_IN else HubertTakinEngine
    engine = kind(lambda: ready_together(models)[0], lambda: ready_together(models)[1], name, own, network.device)
    engine.licence = network.metadata.get("licence", f"that of {options.takin_file}")
    return engine


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
    """The engine called `name` in the menu."""
    return ENGINES[name](options)
