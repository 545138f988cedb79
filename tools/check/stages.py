"""The stages that are checked, in the order of the table."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from . import networks
from .made import ACTALKER_FRAMES, HALF, WAN_FRAMES, Made, Stage

BATCHES = (1, 2, 4, 8, 16, 32)
FILM, FILM_AT_LENGTH = 1, 186  # frames; the second is the sample voice


def late(module: str, name: str, **options: Any) -> Callable[[Path, int], Made]:
    """A stage whose file imports more than a bare machine has."""

    def make(models: Path, size: int) -> Made:
        found = importlib.import_module(f".{module}", __package__)
        return getattr(found, name)(models, size, **options)

    return make


def chain(mover: str, halves: tuple[torch.dtype, ...] = HALF, frames: int = FILM) -> Stage:
    """From sound to an encoded film, whose pictures are bytes."""
    make = late("chains", "sound_to_film", mover=mover)
    return Stage(
        f"{mover}: sound to film", make, halves=halves, sizes=(frames, FILM_AT_LENGTH), tolerance=5 / 255
    )


def actalker(signals: str, motion: bool) -> Stage:
    """A denoising step of a window of 4 frames of 128 pixels, or of 25 of 576."""
    make = late("core_models", "actalker_call", motion=motion)
    return Stage(f"ACTalker: a step, {signals}", make, halves=HALF, sizes=ACTALKER_FRAMES)


def fantasytalking(name: str, whole: bool, part_of: str | None = None) -> Stage:
    """A block on 9 frames of 128 pixels, or on 81 of 512."""
    make = late("core_models", "fantasytalking_block", whole=whole)
    return Stage(name, make, "blocks", HALF, WAN_FRAMES, part_of=part_of)


WAN_BLOCK = "FantasyTalking: a 14B block"

STAGES = (
    Stage("built-in: the ear", networks.builtin_ear, "s of speech"),
    Stage("built-in: warp", networks.builtin_warp, sizes=BATCHES),
    Stage("LivePortrait: appearance", partial(networks.picture_features, "appearance"), halves=HALF),
    Stage("LivePortrait: keypoints", partial(networks.picture_features, "motion")),
    Stage("LivePortrait: warp and decode", networks.liveportrait_frame, halves=HALF, sizes=BATCHES),
    Stage("KDTalker: speech", networks.wav2lip_hearing),
    Stage("KDTalker: a denoising step", networks.kdtalker_step),
    Stage("JoyVASA: speech", networks.joyvasa_hearing, "s of speech"),
    Stage("JoyVASA: a denoising step", networks.joyvasa_step),
    Stage("Takin-ADA: a denoising step", networks.takin_step),
    *(actalker(signals, motion) for signals, motion in (("sound", False), ("both", True))),
    fantasytalking(WAN_BLOCK, True),
    fantasytalking("FantasyTalking: its audio alone", False, WAN_BLOCK),
    chain("built-in", halves=(), frames=50),
    *(chain(mover) for mover in ("Takin-ADA", "KDTalker", "JoyVASA")),
)
