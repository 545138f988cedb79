"""The nodes of this pack, and what happens once when ComfyUI loads it."""

import logging
import shutil
from pathlib import Path

import folder_paths
from comfy_api.latest import ComfyExtension, io

from . import (
    actalker,
    audio,
    emotion,
    expression_editor,
    face,
    fantasytalking,
    fantasytalking_extras,
    keypoints,
    liveportrait,
    loaders,
    measure,
    motion,
    older,
    portrait,
    rendering,
    sampler,
    speech,
    stream,
)
from .catalogue.weight_files import register_folders
from .editor_route import register_editor_routes

SAMPLES = Path(__file__).resolve().parent.parent / "samples"


class TalkingPortraitExtension(ComfyExtension):
    async def on_load(self) -> None:
        register_folders()
        register_editor_routes()
        copy_samples(Path(folder_paths.get_input_directory()))

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        rooms = (
            audio, sampler, face, motion, emotion, portrait, rendering, liveportrait,
            expression_editor, fantasytalking, fantasytalking_extras, actalker, stream, measure,
            loaders, speech, keypoints, older,
        )  # fmt: skip
        return [node for room in rooms for node in room.NODES]


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
