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
from ...models.joyvasa.engine import JoyVASAEngine
from ...models.joyvasa.motion import MotionTemplate, read_template
from ...models.kdtalker.engine import KDTalkerEngine
from ...models.kdtalker.motion import MotionStatistics, read_statistics
from ...models.liveportrait.renderer import LivePortraitRenderer
from ...models.media.beside import Beside
from ...models.media.video_stream import VideoStreamWriter
from ...models.portrait import Portrait
from ...models.rendering import Canvas, drawn_part, render_bytes
from ...models.takin.ear_engine import EarTakinEngine
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


@dataclass(frozen=True)
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


def made(
    frames: int, weights: str, moving: tuple[nn.Module, ...], engine_of: Callable[..., MotionEngine],
    models: Path | None,
) -> Made:  # fmt: skip
    """A chain of an engine, engine_of(device, *moving, keypoint extractor or None), and LivePortrait with its files in
    `models`, or the built-in warp where that is None."""
    photo, face = networks.sample_face()
    speech, portraits = voice(frames), {}
    drawing, keypoints = [], []
    if models is not None:
        nets, _ = networks.liveportrait_networks(models, *DRAWING, *KEYPOINTS)
        drawing, keypoints = nets[: len(DRAWING)], nets[len(DRAWING) :]

    def run(given_networks, given, dtype):
        device, nets = given["place"].device, dict(zip((*DRAWING, *KEYPOINTS), given_networks, strict=False))
        if models is None:
            renderer: Any = WarpRenderer()
        else:
            renderer = LivePortraitRenderer(Held(nets, device, dtype))
        if (device, dtype) not in portraits:
            prepared = renderer.prepare(photo, face)
            portraits[device, dtype] = Portrait.of(prepared, photo, face, renderer.id)
        engine = engine_of(device, *given_networks[len(given_networks) - len(moving) :], nets.get("motion"))
        return film(engine, renderer, portraits[device, dtype], speech, device)

    given = {"place": torch.zeros(1)}
    return Made(tuple(drawing), given, run, frames, weights, exact=(*keypoints, *moving))


def builtin(models: Path, frames: int) -> Made:
    """The built-in engine and the built-in warp."""
    return made(
        frames, "shipped", (networks.ear(), networks.viseme_heads()),
        lambda device, ear, heads, _: BuiltinMotionEngine(lambda: (ear, heads), device), None,
    )  # fmt: skip


def kdtalker(models: Path, frames: int) -> Made:
    """KDTalker and LivePortrait."""
    importlib.import_module("librosa")
    (denoiser, weights), (encoder, _) = networks.kdtalker_denoiser(models), networks.wav2lip_encoder(models)
    path = found_file(WEIGHTS["kdtalker.norm"], models)
    numbers = {name: torch.from_numpy(value) for name, value in random_weights.statistics().items()}
    statistics = MotionStatistics(numbers) if path is None else read_statistics(path, "check")

    def engine(device, denoiser, encoder, extractor):
        return KDTalkerEngine(lambda: denoiser, lambda: encoder, lambda: extractor, statistics, device=device)

    return made(frames, weights, (denoiser, encoder), engine, models)


def joyvasa(models: Path, frames: int) -> Made:
    """JoyVASA and LivePortrait."""
    network, weights = networks.joyvasa_network(models)
    path = found_file(WEIGHTS["joyvasa.template"], models)
    numbers = {name: torch.from_numpy(value) for name, value in random_joyvasa.template().items()}
    template = MotionTemplate(numbers) if path is None else read_template(path, "check")
    return made(
        frames, weights, (network,),
        lambda device, network, _: JoyVASAEngine(lambda: network, template, device=device), models,
    )  # fmt: skip


def takin(models: Path, frames: int) -> Made:
    """Takin-ADA as it ships, and LivePortrait."""
    network = networks.takin_network()
    return made(
        frames, "shipped", (network, networks.ear()),
        lambda device, network, ear, _: EarTakinEngine(
            lambda: network, lambda: ear, network.config.encoder, device=device
        ),
        models,
    )  # fmt: skip
