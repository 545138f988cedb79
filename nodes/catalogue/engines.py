"""The motion engines that come with this pack, and those that others registered."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ...models.builtin.styles import HEAD_STYLES
from ...models.contracts import ENGINES, Entry, MotionEngine, register_engine
from ...models.options import Choice, File, Number, Socket, Switch, Whole
from ...models.weights.published import JOYVASA_KEYS, KDTALKER_KEYS
from .encoders import ear_model, fitting, joyvasa_model, wav2lip_model
from .loading import load_shared, ready_together
from .menu import load_entry, put_first
from .node_names import LOAD_ENGINE as NODE
from .renderers import EXTRACTOR, liveportrait_model, with_keypoints
from .sampler import SAMPLER, check_one_count
from .takin import TAKIN
from .weight_files import find_weight, menu_file


def hearing_networks(node: str) -> tuple[Callable[[], tuple[Any, Any]], torch.device]:
    """What loads the built-in engine's encoder and viseme heads when it is asked to, and where they compute."""
    from ...models.speech.viseme_heads import build_heads
    from ...models.weights.int8 import in_float

    encoder = ear_model(node)
    heads = load_shared(
        "viseme heads",
        find_weight("viseme_heads", node),
        torch.float32,
        build_heads,
        node,
        in_float,
        exact=True,
    )

    def networks() -> tuple[Any, Any]:
        one, other = ready_together([encoder, heads])
        return one, other

    return networks, encoder.device


def _builtin(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.builtin.motion_engine import BuiltinMotionEngine

    return BuiltinMotionEngine(*hearing_networks(NODE), options["style"])


def _kdtalker(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.kdtalker.checkpoint import denoiser_state, learned_points
    from ...models.kdtalker.engine import KDTalkerEngine
    from ...models.kdtalker.motion import read_statistics
    from ...models.kdtalker.network import build_denoiser

    check_one_count(options, KDTALKER_STEPS)

    def file(part: str) -> Path:
        return menu_file(f"kdtalker.{part}", options[f"{part}_file"], f"{part}_file", NODE)

    if options["audio_encoder"] is None:
        hearing = wav2lip_model(file("audio"), NODE).ready
    else:
        hearing = fitting(options["audio_encoder"], "KDTalker", "wav2lip").network
    given = options["keypoint_extractor"]
    extractor = (given and with_keypoints(given, "KDTalker")) or liveportrait_model(
        "motion", torch.float32, NODE, chosen=options["motion_file"]
    )
    denoiser = load_shared(
        "kdtalker denoiser", file("denoiser"), torch.float32, build_denoiser, NODE, denoiser_state
    )
    statistics = replace(read_statistics(file("norm"), NODE), points=learned_points(denoiser.metadata))
    sizes = denoiser.patcher.model.sizes
    return KDTalkerEngine(
        denoiser.ready, hearing, extractor.ready, statistics, options["steps"], denoiser.device,
        sampler=options["sampler"], window=sizes.window, points=sizes.points,
    )  # fmt: skip


def _joyvasa(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
    from ...models.joyvasa.motion import read_template
    from ...models.speech.encoding import weights_name

    check_one_count(options, JOYVASA_STEPS)
    own = dict(options)
    encoder = own.pop("audio_encoder")
    if encoder is not None:
        fitting(encoder, "JoyVASA", "joyvasa")
    motion, template = (
        menu_file(f"joyvasa.{part}", own.pop(f"{part}_file"), f"{part}_file", NODE)
        for part in ("motion", "template")
    )
    if encoder is not None:
        check_own_encoder(encoder, weights_name("joyvasa", motion))
    network = joyvasa_model(motion, NODE)
    return JoyVASAEngine(
        network.ready, read_template(template, NODE), JoyVASAOptions(**own), network.device,
        lambda: weights_name("joyvasa", motion),
    )  # fmt: skip


def check_own_encoder(encoder: Any, wanted: str) -> None:
    """ValueError unless an encoder is the one in JoyVASA's own file."""
    if encoder.name != wanted:
        raise ValueError(
            "audio_encoder is of another JoyVASA file than motion_file. Choose the same file in both, or "
            "take audio_encoder off."
        )


KDTALKER_STEPS = Whole(
    id="steps", default=10, low=1, high=1000,
    tooltip="Diffusion steps: 10 are as good as the 50 of its authors by their own measure; below 5 the lips suffer.",
)  # fmt: skip
JOYVASA_STEPS = Whole(
    id="steps", default=0, low=0, high=1000,
    tooltip="Diffusion steps; 0 takes all that its file was trained with, fewer are faster.",
)  # fmt: skip
ENCODER = Socket(
    id="audio_encoder", io_type="AUDIO_ENCODER",
    tooltip="From Load Speech Encoder, in the place of this engine's own; it must be what the engine was trained on.",
)  # fmt: skip
OWN = (
    Entry(
        "built-in", "Whisper's encoder hears for the mouth, rules move eyes, brows and head; works on any machine.",
        _builtin,
        options=(
            Choice(
                id="style", choices=tuple(HEAD_STYLES), advanced=False,
                tooltip="How much the head moves: natural, calm like a newsreader, or lively.",
            ),
        ),
        files=("whisper_tiny_en", "viseme_heads"), licence="Apache-2.0; Whisper's encoder MIT",
    ),
    Entry(
        "KDTalker", "Diffusion for the whole face and head; needs its files (non-commercial) and a portrait.",
        _kdtalker,
        options=(
            KDTALKER_STEPS,
            File(id="denoiser_file", key="kdtalker.denoiser", tooltip="KDTalker's network."),
            File(id="audio_file", key="kdtalker.audio", unless="audio_encoder",
                tooltip="Wav2Lip, which hears for it."),
            File(id="norm_file", key="kdtalker.norm", tooltip="The statistics of its motions."),
            File(id="motion_file", key="liveportrait.motion", unless="keypoint_extractor",
                tooltip="LivePortrait's motion extractor, which sees the portrait for it."),
            ENCODER,
            replace(EXTRACTOR, tooltip="From Load Keypoint Extractor, in the place of motion_file."),
            SAMPLER,
        ),
        files=(*KDTALKER_KEYS, "liveportrait.motion"), licence="CC BY-NC 4.0, non-commercial research",
    ),
    Entry(
        "JoyVASA", "Diffusion for the whole face and head from the voice alone; needs its files.", _joyvasa,
        options=(
            JOYVASA_STEPS,
            Number(
                id="guidance", default=2.0, low=1.0, high=5.0, step=0.1,
                tooltip="How strongly the voice drives the face. 1 as learned, a third faster; 2 to 2.8 as "
                "its authors use; more exaggerates.",
            ),
            Number(
                id="head_smoothing", default=0.0, low=0.0, high=0.99, step=0.01,
                tooltip="Share of the frame before that the head keeps. 0 none; 0.99 as its authors do, "
                "which leaves the head nearly still.",
            ),
            Switch(
                id="official_timing",
                tooltip="On, the motion comes 80 ms after the sound, as from its authors' program; off, in time.",
            ),
            File(id="motion_file", key="joyvasa.motion",
                tooltip="JoyVASA's network and the HuBERT that hears for it."),
            File(id="template_file", key="joyvasa.template", tooltip="The statistics of its motions."),
            ENCODER,
            SAMPLER,
        ),
        files=tuple(JOYVASA_KEYS), licence="MIT (verify on the model card)",
    ),
    TAKIN,
)  # fmt: skip
put_first(ENGINES, OWN, register_engine)


def load_engine(name: str, given: Mapping[str, Any] | None = None) -> MotionEngine:
    """The engine called `name` in the menu, with the defaults of the options that are not given."""
    return load_entry(ENGINES[name], MotionEngine, given or {})
