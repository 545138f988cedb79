"""Whole films: sound in, an encoded film out, by every engine that drives a portrait, which is prepared before."""

import importlib
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...models.builtin.motion_engine import BuiltinMotionEngine
from ...models.builtin.warp import WarpRenderer
from ...models.contracts import MotionEngine, PortraitRenderer
from ...models.engine import MotionSettings, Speech
from ...models.generation import generate_motion
from ...models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
from ...models.joyvasa.motion import MotionTemplate, read_template
from ...models.kdtalker.engine import KDTalkerEngine
from ...models.kdtalker.motion import MotionStatistics, read_statistics
from ...models.liveportrait.renderer import LivePortraitRenderer
from ...models.media.beside import Beside
from ...models.media.video_stream import VideoStreamWriter
from ...models.portrait import Portrait
from ...models.rendering import Canvas, drawn_part, render_bytes
from ...models.takin.ear_engine import EarTakinEngine
from ...models.takin.engine import TakinOptions
from ...models.weights.published import PACK, WEIGHTS
from .. import random_joyvasa, random_weights
from . import networks
from .files import found_file
from .machine import memory
from .made import Made

VOICE = PACK / "samples" / "talking_portrait_speech.wav"
FPS = Fraction(25)
COMPARED = 2  # frames at the start of a film
DRAWING = ("appearance", "warping", "generator")
KEYPOINTS = ("motion", "stitching")  # in float32 always


@dataclass
class Held:
    """LivePortrait's networks, on a device for good: what LivePortraitRenderer asks for."""

    nets: dict[str, Any]
    device: torch.device
    dtype: torch.dtype

    def memory(self) -> tuple[int, int]:
        return memory(self.device)

    def encoders(self) -> tuple[Any, Any]:
        return self.nets["appearance"], self.nets["motion"]

    def drawers(self, memory: int) -> tuple[Any, Any]:
        return self.nets["warping"], self.nets["generator"]

    def retargeting(self) -> Any:
        return self.nets["stitching"]


def voice(frames: int) -> Speech:
    """The sample voice, as long as so many frames."""
    with wave.open(str(VOICE)) as file:
        rate, sound = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = torch.from_numpy(sound.astype(np.float32) / 32768)[None]
    return Speech(samples[:, : int(frames * rate / FPS)], rate)


def film(
    engine: MotionEngine, renderer: PortraitRenderer, portrait: Portrait, speech: Speech, device: torch.device
):
    """Its first frames [n,H,W,3] in 0..1, as they were encoded. Drawing and encoding go on beside each other."""
    motion = generate_motion(engine, speech, FPS, 0, MotionSettings(), lambda done, total: None, portrait)
    canvas, kept = Canvas(portrait.image, drawn_part(renderer, portrait)), list[Tensor]()
    with tempfile.TemporaryDirectory() as folder:
        writer = VideoStreamWriter(Path(folder) / "film.mp4", FPS, speech.waveform, speech.sample_rate)

        @torch.inference_mode()  # which is a thread's own
        def encode(parts: Tensor) -> None:
            for part in parts.cpu():
                picture = canvas.lay(part)
                writer.write(picture[None])
                if len(kept) < COMPARED:
                    kept.append(picture.clone())

        with writer, Beside(encode) as encoding:
            for drawn in render_bytes(renderer, portrait, motion, device):
                encoding.give(drawn)
    return torch.stack(kept).float() / 255


@dataclass(frozen=True)
class Mover:
    """What drives a portrait: engine(device, networks, LivePortrait's keypoint extractor or None, steps or None) is its
    motion engine with these networks; drawn: by LivePortrait, else by the built-in warp."""

    weights: str
    networks: tuple[nn.Module, ...]
    engine: Callable[[torch.device, tuple[Any, ...], Any, int | None], MotionEngine]
    drawn: bool = True


def builtin(models: Path) -> Mover:
    """The built-in engine."""
    nets = networks.ear(), networks.viseme_heads()
    return Mover(
        "shipped", nets, lambda device, nets, _, steps: BuiltinMotionEngine(lambda: nets, device), False
    )


def kdtalker(models: Path) -> Mover:
    """KDTalker."""
    importlib.import_module("librosa")
    (denoiser, weights), (encoder, _) = networks.kdtalker_denoiser(models), networks.wav2lip_encoder(models)
    path = found_file(WEIGHTS["kdtalker.norm"], models)
    numbers = {name: torch.from_numpy(value) for name, value in random_weights.statistics().items()}
    statistics = MotionStatistics(numbers) if path is None else read_statistics(path, "check")

    def engine(device, nets, extractor, steps):
        denoiser, encoder = nets
        return KDTalkerEngine(
            lambda: denoiser, lambda: encoder, lambda: extractor, statistics, steps or 10, device,
            window=denoiser.sizes.window, points=denoiser.sizes.points,
        )  # fmt: skip

    return Mover(weights, (denoiser, encoder), engine)


def joyvasa(models: Path) -> Mover:
    """JoyVASA."""
    network, weights = networks.joyvasa_network(models)
    path = found_file(WEIGHTS["joyvasa.template"], models)
    numbers = {name: torch.from_numpy(value) for name, value in random_joyvasa.template().items()}
    template = MotionTemplate(numbers) if path is None else read_template(path, "check")

    def engine(device, nets, _, steps):
        return JoyVASAEngine(lambda: nets[0], template, JoyVASAOptions(steps or 0), device)

    return Mover(weights, (network,), engine)


def takin(models: Path) -> Mover:
    """Takin-ADA as it ships."""
    network = networks.takin_network()
    name = network.config.encoder

    def engine(device, nets, _, steps):
        options = None if steps is None else TakinOptions(steps=steps)
        return EarTakinEngine(lambda: nets[0], lambda: nets[1], name, options, device)

    return Mover("shipped", (network, networks.ear()), engine)


MOVERS = {"built-in": builtin, "KDTalker": kdtalker, "JoyVASA": joyvasa, "Takin-ADA": takin}


def sound_to_film(models: Path, frames: int, mover: str) -> Made:
    """A film of the sample picture and voice."""
    chosen, (photo, face), speech = MOVERS[mover](models), networks.sample_face(), voice(frames)
    parts = (*DRAWING, *KEYPOINTS) if chosen.drawn else ()
    nets = networks.liveportrait_networks(models, *parts)[0] if parts else []
    portraits: dict[tuple[torch.device, torch.dtype], Portrait] = {}

    def run(given_networks, given, dtype):
        device = given["place"].device
        nets: dict[str, Any] = {name: network for name, network in zip(parts, given_networks, strict=False)}
        renderer = LivePortraitRenderer(Held(nets, device, dtype)) if parts else WarpRenderer()
        if (device, dtype) not in portraits:
            portraits[device, dtype] = renderer.prepare(photo, face)
        engine = chosen.engine(device, given_networks[len(parts) :], nets.get("motion"), None)
        return film(engine, renderer, portraits[device, dtype], speech, device)

    given, drawing = {"place": torch.zeros(1)}, len(DRAWING) if parts else 0
    exact = (*nets[drawing:], *chosen.networks)
    return Made(tuple(nets[:drawing]), given, run, frames, chosen.weights, exact=exact)
