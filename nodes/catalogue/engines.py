"""The motion engines that come with this pack, and those that others registered."""

from collections.abc import Mapping
from typing import Any

import torch

from ...models.contracts import ENGINES, Entry, MotionEngine, register_engine
from ...models.options import Number, Switch, Whole
from ...models.weights.published import JOYVASA_KEYS, KDTALKER_KEYS
from .loading import load_shared
from .menu import load_entry, put_first
from .node_names import LOAD_ENGINE as NODE
from .renderers import liveportrait_model
from .sampler import SAMPLER, check_one_count
from .takin import TAKIN
from .weight_files import find_weight


def _builtin(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.builtin.motion_engine import BuiltinMotionEngine
    from ...models.speech.speech_net import build_speech_net

    model = load_shared("speech", find_weight("speech", NODE), torch.float32, build_speech_net, NODE)
    return BuiltinMotionEngine(model.ready, model.device)


def _kdtalker(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.kdtalker.checkpoint import audio_encoder_state, denoiser_state
    from ...models.kdtalker.engine import KDTalkerEngine
    from ...models.kdtalker.motion import read_statistics
    from ...models.kdtalker.network import build_denoiser
    from ...models.speech.wav2lip import build_audio_encoder

    check_one_count(options, KDTALKER_STEPS)
    paths = {part: find_weight(f"kdtalker.{part}", NODE) for part in ("denoiser", "audio", "norm")}
    motion = liveportrait_model("motion", torch.float32, NODE)
    denoiser = load_shared(
        "kdtalker denoiser", paths["denoiser"], torch.float32, build_denoiser, NODE, denoiser_state
    )
    encoder = load_shared(
        "wav2lip", paths["audio"], torch.float32, build_audio_encoder, NODE, audio_encoder_state
    )
    statistics = read_statistics(paths["norm"], NODE)
    return KDTalkerEngine(
        denoiser.ready, encoder.ready, motion.ready, statistics, options["steps"], denoiser.device,
        sampler=options["sampler"],
    )  # fmt: skip


def _joyvasa(options: Mapping[str, Any]) -> MotionEngine:
    from ...models.joyvasa.checkpoint import joyvasa_state
    from ...models.joyvasa.engine import JoyVASAEngine, JoyVASAOptions
    from ...models.joyvasa.motion import read_template
    from ...models.joyvasa.network import build_joyvasa

    check_one_count(options, JOYVASA_STEPS)
    paths = {part: find_weight(f"joyvasa.{part}", NODE) for part in ("motion", "template")}
    network = load_shared("joyvasa", paths["motion"], torch.float32, build_joyvasa, NODE, joyvasa_state)
    return JoyVASAEngine(
        network.ready, read_template(paths["template"], NODE), JoyVASAOptions(**options), network.device
    )


KDTALKER_STEPS = Whole(
    id="steps", default=10, low=1, high=1000,
    tooltip="Diffusion steps: 10 are as good as the 50 of its authors by their own measure; below 5 the lips suffer.",
)  # fmt: skip
JOYVASA_STEPS = Whole(
    id="steps", default=0, low=0, high=1000,
    tooltip="Diffusion steps; 0 takes all that its file was trained with, fewer are faster.",
)  # fmt: skip
OWN = (
    Entry(
        "built-in", "A small network for the mouth, rules for blinks, brows and head; works on any machine.",
        _builtin,
        files=("speech", "presence"), licence="Apache-2.0",
    ),
    Entry(
        "KDTalker", "Diffusion for the whole face and head; needs its files (non-commercial) and a "
            "portrait.", _kdtalker,
        options=(KDTALKER_STEPS, SAMPLER),
        files=(*KDTALKER_KEYS, "liveportrait.motion"), licence="CC BY-NC 4.0, non-commercial research",
    ),
    Entry(
        "JoyVASA", "Diffusion for the whole face and head from the voice alone; needs its files.", _joyvasa,
        options=(
            JOYVASA_STEPS,
            Number(
                id="guidance", default=2.0, low=1.0, high=5.0, step=0.1,
                tooltip="How strongly the voice drives the face. 1 as learned, a third faster; 2 to 2.8 as "
                    "its authors use; more "
                "exaggerates.",
            ),
            Number(
                id="head_smoothing", default=0.0, low=0.0, high=0.99, step=0.01,
                tooltip="Share of the frame before that the head keeps. 0 none; 0.99 as its authors do, "
                    "which leaves the head "
                "nearly still.",
            ),
            Switch(
                id="official_timing",
                tooltip="On, the motion comes 80 ms after the sound, as from its authors' program; off, in time.",
            ),
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
