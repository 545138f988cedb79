"""Networks of the pack's stages, with published files where they are there, else with random numbers of the published
size, and what they are given. Files of other sizes run in theirs."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from ...models.face_motion import CONTROLS, FaceMotion, resolve
from ...models.joyvasa.checkpoint import joyvasa_state
from ...models.joyvasa.network import build_joyvasa
from ...models.kdtalker.checkpoint import audio_encoder_state, denoiser_state
from ...models.kdtalker.network import KDTalkerDenoiser, build_denoiser
from ...models.liveportrait.checkpoint import FILES
from ...models.speech.viseme_heads import build_heads
from ...models.speech.viseme_hearing import window_probabilities
from ...models.speech.wav2lip import AudioEncoder
from ...models.speech.whisper_tiny_en import build_encoder, encoder_state
from ...models.takin.network import Conditions, build_takin
from ...models.weights.int8 import in_float
from ...models.weights.published import PACK, WEIGHTS, weight_path
from .. import random_joyvasa
from ..random_state import random_state
from ..random_weights import liveportrait_states
from .files import published_state
from .made import Made, filled, filled_from, seeded

RATE = 16000
SAMPLE = PACK / "samples" / "talking_portrait_astronaut.png"


def liveportrait_networks(models: Path, *parts: str) -> tuple[list[Any], str]:
    """Some of LivePortrait's networks and where the weights of the first come from."""
    found = {part: published_state(f"liveportrait.{part}", models) for part in parts}
    random = liveportrait_states() if any(state is None for state, _ in found.values()) else {}
    networks = []
    for part, (state, _) in found.items():
        file = FILES[part]
        state = random[file.safetensors] if state is None else file.convert(state)
        networks.append(filled(file.build(state, {}, operations=nn), state))
    return networks, found[parts[0]][1]


def picture_features(part: str, models: Path, batch: int) -> Made:
    """LivePortrait's F or M on pictures."""
    (network,), source = liveportrait_networks(models, part)

    def run(networks, given, dtype):
        found = networks[0](given["pictures"].to(dtype))
        return found if isinstance(found, Tensor) else found.expression

    return Made((network,), {"pictures": seeded(batch, 3, 256, 256).sigmoid()}, run, batch, source)


def liveportrait_frame(models: Path, batch: int) -> Made:
    """W and G: keypoints to pictures of 512x512."""
    (warping, generator), source = liveportrait_networks(models, "warping", "generator")
    keypoints = seeded(1, 21, 3, scale=0.2)
    given = {
        "volume": seeded(1, warping.sizes.channels, warping.sizes.depth, 64, 64),
        "still": keypoints,
        "driving": keypoints + seeded(batch, 21, 3, scale=0.01),
    }

    def run(networks, given, dtype):
        warp, draw = networks
        prepared = warp.prepare(given["volume"].to(dtype), given["still"])
        return draw(warp(prepared, given["driving"]))

    return Made((warping, generator), given, run, batch, source)


def kdtalker_denoiser(models: Path) -> tuple[Any, str]:
    """KDTalker's denoiser and where its weights come from."""
    state, source = published_state("kdtalker.denoiser", models)
    with torch.device("meta"):
        sizes = KDTalkerDenoiser()
    state = random_state(sizes, 10) if state is None else denoiser_state(state)
    return filled_from(build_denoiser, state), source


def kdtalker_step(models: Path, batch: int) -> Made:
    """One call of the denoiser on a window of 64 frames; a film takes as many a window as the sampler has steps."""
    network, source = kdtalker_denoiser(models)
    sizes, frames = network.sizes, network.sizes.window
    given = {"noisy": seeded(batch, frames, sizes.motion), "reference": seeded(batch, sizes.motion),
             "canonical": seeded(batch, 3 * sizes.points), "speech": seeded(batch, frames, sizes.audio)}  # fmt: skip
    return Made(
        (network,),
        given,
        lambda networks, given, dtype: networks[0](step=500, **given),
        frames * batch,
        source,
    )


def wav2lip_encoder(models: Path) -> tuple[Any, str]:
    """Wav2Lip's audio encoder and where its weights come from."""
    state, source = published_state("kdtalker.audio", models)
    with torch.device("meta"):
        network = AudioEncoder()
    state = random_state(network, 11) if state is None else audio_encoder_state(state)
    return filled(AudioEncoder(), state), source


def wav2lip_hearing(models: Path, batch: int) -> Made:
    """Mel windows of 64 frames."""
    encoder, source = wav2lip_encoder(models)
    given = {"windows": seeded(64 * batch, 1, 80, 16)}
    return Made(
        (encoder,), given, lambda networks, given, dtype: networks[0](given["windows"]), 64 * batch, source
    )


def joyvasa_network(models: Path) -> tuple[Any, str]:
    """JoyVASA's network and where its weights come from."""
    state, source = published_state("joyvasa.motion", models)
    state = joyvasa_state(random_joyvasa.checkpoint(random_joyvasa.PUBLISHED) if state is None else state)
    return filled(build_joyvasa(state, {}), state), source


def joyvasa_hearing(models: Path, batch: int) -> Made:
    """HuBERT on windows of 4 s."""
    network, source = joyvasa_network(models)
    given = {"wave": seeded(batch, network.config.window * 640, scale=0.1)}
    return Made(
        (network,),
        given,
        lambda networks, given, dtype: networks[0].encode(given["wave"]),
        4.0 * batch,
        source,
    )


def joyvasa_step(models: Path, batch: int) -> Made:
    """One call of the denoiser on a window of 100 frames."""
    network, source = joyvasa_network(models)
    config = network.config
    given = {
        "motion": seeded(batch, config.window, config.motion),
        "speech": seeded(batch, config.window, config.width),
    }

    def run(networks, given, dtype):
        motion = given["motion"]
        steps = torch.full((len(motion),), 25, device=motion.device)
        return networks[0](motion, given["speech"], networks[0].start(motion), steps)

    return Made((network,), given, run, config.window * batch, source)


def shipped(key: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A file that ships with the pack."""
    with safe_open(str(weight_path(WEIGHTS[key])), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def takin_network() -> Any:
    """Takin-ADA's shipped network."""
    state, metadata = shipped("takin.motion")
    return filled(build_takin(state, metadata), state)


def ear() -> Any:
    """Whisper tiny.en's encoder, with which the built-in engine and Takin-ADA hear."""
    return filled_from(build_encoder, encoder_state(shipped("whisper_tiny_en")[0]))


def viseme_heads() -> Any:
    """What the built-in engine reads visemes with."""
    return filled_from(build_heads, in_float(shipped("viseme_heads")[0]))


def takin_step(models: Path, batch: int) -> Made:
    """One call of the shipped network on a window of 50 frames after 10."""
    network = takin_network()
    config, frames = network.config, 50
    given = {
        "noisy": seeded(batch, frames, 70),
        "speech": seeded(batch, config.previous + frames, config.width),
    }

    def run(networks, given, dtype):
        noisy = given["noisy"]
        conditions = Conditions(
            given["speech"], noisy.new_zeros(batch, config.previous, 71), noisy.new_zeros(batch, 7),
            noisy.new_zeros(batch, 1, 8), noisy.new_zeros(batch, 1, 64), noisy.new_zeros(batch, frames, 16),
        )  # fmt: skip
        return networks[0](noisy, torch.full((batch,), 100, device=noisy.device), conditions)

    return Made((network,), given, run, frames * batch, "shipped")


def builtin_ear(models: Path, batch: int) -> Made:
    """Whisper tiny.en's encoder and the viseme heads on 10 s of sound."""
    given = {"wave": seeded(10 * RATE, scale=0.1)}

    def run(networks, given, dtype):
        return window_probabilities(networks, given["wave"])

    return Made((ear(), viseme_heads()), given, run, 10.0, "shipped")


def sample_face() -> tuple[Tensor, Any]:
    """The sample picture [512,512,3] and the face in it. ImportError where ComfyUI's own packages are missing."""
    from PIL import Image

    from ...models.face.landmarks import landmarks_in_pixels
    from ...models.face.weights import load_face_detector
    from ...models.portrait import FaceLandmarks478

    photo = np.array(Image.open(SAMPLE).convert("RGB"))
    (found,) = load_face_detector().detect_batch([photo], 1, 0.5, "short")[0]
    return torch.from_numpy(photo).float() / 255, FaceLandmarks478(landmarks_in_pixels(found))


def builtin_warp(models: Path, batch: int) -> Made:
    """The built-in renderer on the sample portrait, 512x512. ImportError where ComfyUI's own packages are missing."""
    from ...models.builtin.warp import WarpRenderer

    renderer = WarpRenderer()
    portrait = renderer.prepare(*sample_face())
    still = torch.zeros(batch, 3)
    controls = seeded(batch, len(CONTROLS)).sigmoid() / 2
    motion = FaceMotion.from_controls(controls, still + 3, still, torch.ones(batch), Fraction(25), source={})
    resolved = resolve(motion, portrait.motion, portrait.policy)

    def run(networks, given, dtype):
        return renderer.render(portrait, resolved, given["place"].device)

    return Made((), {"place": torch.zeros(1)}, run, batch, "none")
