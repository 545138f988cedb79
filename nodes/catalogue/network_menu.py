"""Menus of the networks that a measure may be taken with: off, or one of a weight's files."""

from typing import Any

from .file_menu import FileMenu, choices, file_menu

OFF = "off"


class NetworkMenu(FileMenu):
    """A menu of one weight's files that is off unless somebody wants it. Its published name is always in it, since
    being asked for a file is how one learns where to get it. true and false stand in workflows from before the menu."""

    unlisted = (True, False)  # type: ignore[assignment]

    def file_of(self, value: Any) -> str | None:
        if value in (None, False, OFF):
            return None
        return self.options[1] if value is True else str(value)  # type: ignore[index]


def network_menu(name: str, key: str, tooltip: str, **place: bool) -> NetworkMenu:
    """The menu for a weight of the measures; place: `optional` and `advanced`, both so unless said otherwise."""
    how: dict[str, Any] = {"optional": True, "advanced": True, **place}
    plain = file_menu(name, key, tooltip=tooltip, **how)
    published = plain.default
    listed = [OFF, published, *(file for file in choices(key) if file != published)]
    menu = NetworkMenu(
        name, options=listed, default=OFF, tooltip=plain.tooltip, extra_dict={"weight": key}, **how
    )
    menu.key = key
    return menu
