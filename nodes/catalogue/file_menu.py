"""Menus of weight files: what lies in their folder, with the published name to start with, there or not.

A name that the menu starts with and that is not in its list is what ComfyUI's page shows as a missing model.
"""

from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io

from ...models.weights.published import WEIGHTS, editions, published_file
from .weight_files import menu_file


class FileMenu(io.Combo.Input):
    """A menu of one weight's files. key: of models/weights/published.py, perhaps with a variant."""

    key: str = ""

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The published name, which may be asked for before its file is there."""
        return (published_file(self.key)[1],)

    def file_of(self, value: Any) -> str | None:
        """The file that a choice means, None where none is wanted."""
        return published_file(self.key)[1] if value is None else value


def file_menu(name: str, key: str, **common: Any) -> FileMenu:
    """The menu for a weight, with its licence and size in the tooltip."""
    weight = WEIGHTS[key.partition("/")[0]]
    facts = f"In models/{weight.folder}/: {weight.file}, {weight.size} MB, {weight.licence}."
    tooltip = " ".join(text for text in (common.pop("tooltip", ""), facts) if text)
    shown = common | {"tooltip": tooltip, "default": published_file(key)[1], "extra_dict": {"weight": key}}
    menu = FileMenu(name, options=choices(key), **shown)
    menu.key = key
    return menu


def choices(key: str) -> list[str]:
    """The files in a weight's folder, without those that are published as other weights.

    The published name stands first where the weight is there, under whatever of its names.
    """
    folder, published = published_file(key)
    others = {
        Path(name).name
        for other, weight in WEIGHTS.items()
        if weight.folder == folder and other != key.partition("/")[0]
        for name in editions(other)
    }
    found = [name for name in files_in(folder) if name != published and Path(name).name not in others]
    try:
        menu_file(key, None, "", "")
    except ValueError:
        return found
    return [published, *found]


def files_in(folder: str) -> list[str]:
    """What lies in a model folder; ComfyUI is told of one that it does not know."""
    if not folder:
        return []
    if folder not in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(folder, str(Path(folder_paths.models_dir) / folder))
    return folder_paths.get_filename_list(folder)
