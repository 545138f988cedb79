"""The nodes of this pack, and what happens once when ComfyUI loads it."""

import logging
import shutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import folder_paths
from comfy_api.latest import ComfyExtension, io

from ..models.core_parts import moved
from . import (
    audio,
    capture,
    crops,
    dubbing,
    emotion,
    evaluation,
    expression_editor,
    face,
    keypoints,
    liveportrait,
    loaders,
    measure,
    motion,
    motion_files,
    older,
    portrait,
    rendering,
    sampler,
    speech,
    stream,
)
from .catalogue.weight_files import register_folders
from .editor_route import register_editor_routes

# Their models are made of core's own classes, which move now and then.
ON_CORE = ("fantasytalking", "fantasytalking_extras", "actalker")
SAMPLES = Path(__file__).resolve().parent.parent / "samples"


class TalkingPortraitExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folders()
        register_editor_routes()
        copy_samples(Path(folder_paths.get_input_directory()))

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        rooms = (
            audio, sampler, face, motion, motion_files, emotion, portrait, rendering, liveportrait,
            expression_editor, *rooms_on_core(), stream, measure, evaluation, loaders, speech, keypoints, capture,
            dubbing, crops, older,
        )  # fmt: skip
        return [node for room in rooms for node in room.NODES]


def rooms_on_core() -> list[ModuleType]:
    """The nodes of FantasyTalking and ACTalker; what this ComfyUI lacks parts for is left out, which the log tells."""
    found = []
    for name in ON_CORE:
        try:
            found.append(import_module(f".{name}", __name__))
        except ImportError as error:
            if not (error.name or "").startswith("comfy."):
                raise
            logging.error(
                "Talking Portrait: the nodes of nodes/%s.py are left out: %s", name, moved(str(error.name))
            )
    return found


def copy_samples(input_folder: Path) -> None:
    """Put the pictures and voices that the shipped workflows name into ComfyUI's input folder, where they are
    not yet."""
    for example in sorted(SAMPLES.iterdir()):
        target = input_folder / example.name
        if not target.exists():
            try:
                shutil.copy(example, target)
            except OSError as error:
                logging.warning(
                    "Talking Portrait: the example %s could not be copied to %s: %s",
                    example.name,
                    target,
                    error,
                )
