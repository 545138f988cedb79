"""Base of nodes that choose weight files in menus beside their other inputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..gates import Node
from .file_menu import FileMenu
from .menu import missing_weight
from .weight_files import chosen_fingerprint, menu_file, published_file, weights_fingerprint


class NodeWithFiles(Node):
    """All missing files of its menus are told at once, before anything runs.

    unless: menu -> the input that takes the file's place, where it is connected.
    """

    unless: Mapping[str, str] = {}

    @classmethod
    def file_menus(cls) -> list[FileMenu]:
        """The menus of files in its schema."""
        return [entry for entry in cls.define_schema().inputs if isinstance(entry, FileMenu)]

    @classmethod
    def validate_inputs(cls, **given: Any) -> bool:
        """ComfyUI asks before anything runs. ValueError that lists every file which is missing."""
        asked = [menu for menu in cls.file_menus() if menu.id not in cls.unless]
        missing = [text for menu in asked if (text := missing_weight(menu.key, given.get(menu.id), menu.id))]
        if missing:
            many = f"{len(missing)} files are missing.\n" if len(missing) > 1 else ""
            raise ValueError(f"{cls.define_schema().display_name}: {many}" + "\n".join(missing))
        return True

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> list:
        found = []
        for menu in cls.file_menus():
            chosen = given.get(menu.id)
            folder, published = published_file(menu.key)
            if chosen in (None, published):
                key, _, variant = menu.key.partition("/")
                found += weights_fingerprint([key], variant)
            else:
                found += chosen_fingerprint([(folder, chosen)])
        return found

    @classmethod
    def file(cls, name: str, chosen: str | None) -> Path:
        """Where the file lies that menu `name` chose; ValueError says what to get."""
        menu = next(menu for menu in cls.file_menus() if menu.id == name)
        return menu_file(menu.key, chosen, name, cls.define_schema().display_name)
