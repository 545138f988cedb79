"""The motion engines that Load Motion Engine offers: one line each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..models.engine import MotionEngine
from ..models.published_weights import WEIGHTS, weight_path
from .loading import load_shared
from .registry import find_weight, missing_weight_message

NODE = "Load Motion Engine"
KDTALKER_STEPS = 10  # as good as its authors' 50 by their own measure
TAKIN_STEPS = 10


@dataclass(frozen=True)
class EngineOptions:
    """What Load Motion Engine asks for, where an engine has it: `steps` of the diffusion (0: what suits the engine), and
    JoyVASA's guidance, smoothing of the head and timing (models/joyvasa/engine.py), and Takin-ADA's emotion
    (models/takin/engine.py)."""

    steps: int = 0
    guidance: float = 2.0
    head_smoothing: float = 0.0
    official_timing: bool = False
    emotion: str = "neutral"
    emotion_intensity: float = 1.0
    emotion_mix: str = ""


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
    from ..models.builtin.speech_net import build_speech_net
    from ..models.takin.engine import TakinEngine, TakinOptions
    from ..models.takin.features import builtin_encoder_name
    from ..models.takin.network import build_takin

    mixed = options.emotion_mix.strip()
    own = TakinOptions(
        mixed or options.emotion, options.emotion_intensity, options.steps or TAKIN_STEPS,
        named="emotion_mix" if mixed else "emotion",
    )  # fmt: skip
    paths = {key: weight_path(WEIGHTS[key]) for key in ("takin.motion", "speech")}
    for key, path in paths.items():
        if not path.is_file():
            raise ValueError(missing_weight_message(key, NODE))
    network = load_shared("takin", paths["takin.motion"], torch.float32, build_takin, NODE)
    hearing = load_shared("speech", paths["speech"], torch.float32, build_speech_net, NODE)
    return TakinEngine(network.ready, hearing.ready, builtin_encoder_name(paths["speech"]), own, network.device)


ENGINES: dict[str, Callable[[EngineOptions], MotionEngine]] = {
    "built-in": _builtin, "KDTalker": _kdtalker, "JoyVASA": _joyvasa, "Takin-ADA": _takin,
}  # fmt: skip


def load_engine(name: str, options: EngineOptions = EngineOptions()) -> MotionEngine:
    """The engine called `name` in the menu."""
    return ENGINES[name](options)
