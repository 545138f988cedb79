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
        chosen = {menu: file for menu in asked if (file := menu.file_of(given.get(menu.id))) is not None}
        missing = [text for menu, file in chosen.items() if (text := missing_weight(menu.key, file, menu.id))]
        if missing:
            many = f"{len(missing)} files are missing.\n" if len(missing) > 1 else ""
            raise ValueError(f"{schema.display_name}: {many}" + "\n".join(missing))
        return True

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> list:
        menus = cls.file_menus()
        chosen = [
            (menu.key, file) for menu in menus if (file := menu.file_of(given.get(menu.id))) is not None
        ]
        return [found for key, file in chosen for found in menu_fingerprint(key, file)]

    @classmethod
    def file(cls, name: str, chosen: Any) -> Path:
        """Where the file lies that menu `name` chose; ValueError says what to get."""
        menu = next(menu for menu in cls.file_menus() if menu.id == name)
        return menu_file(menu.key, menu.file_of(chosen), name, cls.define_schema().display_name)

    @classmethod
    def wanted(cls, name: str, chosen: Any) -> Path | None:
        """The same of a menu that may be off: None where it is."""
        menu = next(menu for menu in cls.file_menus() if menu.id == name)
        return None if menu.file_of(chosen) is None else cls.file(name, chosen)
