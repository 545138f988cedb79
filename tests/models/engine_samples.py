"""Every motion engine with networks that are small enough for tests."""

import importlib.util
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors.torch import load_file
from talking_portrait.models.builtin.motion_engine import BuiltinMotionEngine
from talking_portrait.models.face_motion import FaceFrame
from talking_portrait.models.joyvasa.checkpoint import joyvasa_state
from talking_portrait.models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
from talking_portrait.models.joyvasa.motion import MotionTemplate
from talking_portrait.models.joyvasa.network import build_joyvasa
from talking_portrait.models.kdtalker.engine import KDTalkerEngine
from talking_portrait.models.kdtalker.motion import MotionStatistics
from talking_portrait.models.liveportrait.motion_extractor import KeypointMotion
from talking_portrait.models.portrait import FaceLandmarks478, Portrait
from talking_portrait.models.speech.speech_net import build_speech_net
from talking_portrait.models.speech.wav2lip import AudioEncoder
from talking_portrait.models.takin.engine import TakinEngine, TakinOptions
from talking_portrait.models.takin.network import TakinNet
from talking_portrait.models.weights.published import WEIGHTS, weight_path
from talking_portrait.tools.random_joyvasa import SMALL, checkpoint, template
from talking_portrait.tools.random_state import random_state
from talking_portrait.tools.random_weights import statistics
from talking_portrait.training.speech_net.shipped import shipped_networks
from talking_portrait.training.takin.shipped import engine_of, load, speech_encoder_of
from torch import nn

from .remembering import Remembering, remembering_ear

STATISTICS = MotionStatistics({name: torch.from_numpy(value) for name, value in statistics().items()})
TEMPLATE = MotionTemplate({name: torch.from_numpy(value) for name, value in template().items()})


class Extractor(nn.Module):
    """In the place of LivePortrait's motion extractor: every picture shows one face."""

    def forward(self, image):
        assert image.shape == (1, 3, 256, 256)
        zero = torch.zeros(1, 1)
        return KeypointMotion(
            torch.zeros(1, 21, 3), zero + 1.4, zero + 3, zero, zero, torch.zeros(1, 3), torch.zeros(1, 21, 3)
        )


class Denoiser(nn.Module):
    """In the place of KDTalker's: pushes every frame towards the reference plus the mean of its speech features."""

    def forward(self, noisy, step, reference, canonical, speech):
        assert noisy.shape == (1, 64, 70) and speech.shape == (1, 64, 512)
        return 0.5 * noisy - 0.1 * (reference[:, None] + speech.mean(-1, keepdim=True))


@cache
def speech_network() -> nn.Module:
    state = {key: value.float() for key, value in load_file(weight_path(WEIGHTS["speech"])).items()}
    network = build_speech_net(state, {}, device="cpu", dtype=torch.float32, operations=torch.nn)
    network.load_state_dict(state)
    return network.eval()


hearing_networks = cache(shipped_networks)


@cache
def takin_networks() -> tuple[TakinNet, nn.Module]:
    """The motion network and its speech encoder."""
    network, _ = load(weight_path(WEIGHTS["takin.motion"]))
    return network, speech_encoder_of(network)


@cache
def small_takin_networks() -> tuple[TakinNet, nn.Module]:
    """The same with random numbers in three layers, for what does not ask what was learnt."""
    learnt, _ = takin_networks()
    network = TakinNet(replace(learnt.config, speech_layers=1, motion_layers=2))
    network.load_state_dict(random_state(network, 12))
    return network.eval(), remembering_ear()[0]


@cache
def joyvasa_network() -> nn.Module:
    state = joyvasa_state(checkpoint(SMALL))
    network = build_joyvasa(state, {})
    network.load_state_dict(state)
    return network.eval()


@cache
def wav2lip_encoder() -> nn.Module:
    """With random numbers."""
    with torch.device("meta"):
        sizes = AudioEncoder()
    encoder = AudioEncoder().eval()
    encoder.load_state_dict(random_state(sizes, 0))
    return encoder


@cache
def remembering_wav2lip() -> nn.Module:
    """The same, which remembers."""
    return Remembering(wav2lip_encoder())


@cache
def engine_pack() -> ModuleType:
    """The example of a pack that brings an engine and a renderer."""
    file = Path(__file__).resolve().parents[2] / "docs" / "engine_pack" / "__init__.py"
    spec = importlib.util.spec_from_file_location("engine_pack", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def builtin() -> BuiltinMotionEngine:
    return BuiltinMotionEngine(remembering_ear)


def forgetful(name: str) -> BuiltinMotionEngine | TakinEngine:
    """One of HEARING that hears every sound anew."""
    if name == "built-in":
        return BuiltinMotionEngine(hearing_networks)
    return engine_of(*takin_networks(), TakinOptions(steps=2))


def takin() -> TakinEngine:
    return engine_of(takin_networks()[0], remembering_ear()[0], TakinOptions(steps=2))


def kdtalker(steps: int = 3) -> KDTalkerEngine:
    extractor, denoiser = Extractor(), Denoiser()
    return KDTalkerEngine(lambda: denoiser, remembering_wav2lip, lambda: extractor, STATISTICS, steps=steps)


def joyvasa(**options) -> JoyVASAEngine:
    return JoyVASAEngine(joyvasa_network, TEMPLATE, JoyVASAOptions(**{"steps": 2, **options}))


HEARING = {"built-in": builtin, "Takin-ADA": takin}  # those whose networks here have learnt to speak
ENGINES = {
    **HEARING,
    "KDTalker": kdtalker,
    "JoyVASA": joyvasa,
    "example": lambda: engine_pack().LoudnessJaw(),
}


def somebody() -> Portrait:
    """One who speaks, for the engines that look at the portrait."""
    points = np.random.default_rng(0).uniform(80, 200, (478, 3)).astype(np.float32)
    return Portrait(torch.full((300, 280, 3), 0.5), FaceLandmarks478(points), FaceFrame(), "test", None)
