"""What ACTalker's nodes share: names, menus of the smaller networks' files, and how these are loaded."""

import torch

from ..models.actalker.parts import PARTS
from .catalogue.file_menu import FileMenu, file_menu
from .catalogue.loading import LoadedModel, load_shared
from .catalogue.weight_files import menu_file

CATEGORY = "talking portrait/actalker"
LOAD, AUDIO, VIDEO, CONDITION = (
    "Load ACTalker",
    "ACTalker Audio",
    "ACTalker Motion from Video",
    "ACTalker Conditioning",
)


def part_menu(name: str, tooltip: str, part: str = "") -> FileMenu:
    """The menu of files of one of PARTS."""
    key = PARTS[part or name].weight
    return file_menu(f"{name}_file", key, optional=True, advanced=True, tooltip=tooltip)


def actalker_part(name: str, node: str, chosen: str | None = None, menu: str = "") -> LoadedModel:
    """One of PARTS in float32, loaded once; ValueError in `node`'s name that says what to get where.

    chosen: the file in input `menu`, None for the published one.
    """
    part = PARTS[name]
    path = menu_file(part.weight, chosen, menu or f"{name}_file", node)
    return load_shared(f"actalker {name}", path, torch.float32, part.build, node, part.convert, exact=True)
