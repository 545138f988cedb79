"""Base of nodes that choose weight files in menus beside their other inputs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..gates import Node, named
from .file_menu import FileMenu
from .links import Linked, check_types
from .menu import missing_weight
from .weight_files import menu_file, menu_fingerprint


class NodeWithFiles(Node):
    """All missing files of its menus are told at once, before anything runs.

    unless: menu -> the inputs that take the file's place, where one of them is connected.
    """

    unless: Mapping[str, tuple[str, ...]] = {}

    @classmethod
    def file_menus(cls) -> list[FileMenu]:
        """The menus of files in its schema."""
        return [entry for entry in cls.define_schema().inputs if isinstance(entry, FileMenu)]

    @classmethod
    def validate_inputs(cls, input_types: Linked | None = None, **given: Any) -> bool:
        """ComfyUI asks before anything runs. ValueError that lists every file which is missing."""
        links, schema = input_types or {}, cls.define_schema()
        with named(schema.display_name):
            check_types({entry.id: entry for entry in schema.inputs}, links)
        asked = [menu for menu in cls.file_menus() if not set(cls.unless.get(menu.id, ())) & set(links)]
        missing = [text for menu in asked if (text := missing_weight(menu.key, given.get(menu.id), menu.id))]
        if missing:
            many = f"{len(missing)} files are missing.\n" if len(missing) > 1 else ""
            raise ValueError(f"{schema.display_name}: {many}" + "\n".join(missing))
        return True

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> list:
        menus = cls.file_menus()
        return [found for menu in menus for found in menu_fingerprint(menu.key, given.get(menu.id))]

    @classmethod
    def file(cls, name: str, chosen: str | None) -> Path:
        """Where the file lies that menu `name` chose; ValueError says what to get."""
        menu = next(menu for menu in cls.file_menus() if menu.id == name)
        return menu_file(menu.key, chosen, name, cls.define_schema().display_name)
