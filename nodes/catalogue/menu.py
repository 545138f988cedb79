"""From a menu of entries to a loaded engine or renderer, the same for both."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import folder_paths

from ...models.contracts import Entry, members
from ...models.options import Choice, File
from ...models.weights.published import published_file
from .weight_files import chosen_fingerprint, menu_file, menu_fingerprint, missing_weight_text


def put_first(menu: dict[str, Entry], own: Sequence[Entry], register: Callable[[Entry], None]) -> None:
    """Register this pack's own entries before those that other packs may have registered already."""
    others = dict(menu)
    menu.clear()
    for entry in own:
        register(entry)
    for entry in others.values():
        if entry.id in menu:
            logging.warning(
                "Talking Portrait: another pack's %s is left out; the pack's own is called so too.", entry.id
            )
        else:
            register(entry)


def load_entry(entry: Entry, contract: type, given: Mapping[str, Any]) -> Any:
    """What an entry loads, with the default of each option that is not given. ValueError names all files that
    are missing."""
    check_files(entry, given)
    part = entry.load({option.id: given.get(option.id, option.default) for option in entry.options})
    if lacking := [name for name in members(contract) if not hasattr(part, name)]:
        what = f"{entry.id} gave a {type(part).__name__} without {', '.join(lacking)}"
        raise ValueError(f"{what}; the pack that brought it is at fault.")
    return part


def check_files(entry: Entry, given: Mapping[str, Any]) -> None:
    """ValueError that tells every file that an entry needs and that is not there, before anything is loaded."""
    missing = [text for file in entry.files if (text := missing_text(file, entry, given))]
    if len(missing) > 1:
        raise ValueError(f"{entry.id} needs {len(missing)} files that are missing.\n" + "\n".join(missing))
    if missing:
        raise ValueError(missing[0])


def missing_text(file: str | tuple[str, str], entry: Entry, given: Mapping[str, Any]) -> str:
    """What to say of a file that is not there; empty if it is."""
    if isinstance(file, str):
        option = file_option(entry, file)
        if option and option.unless and given.get(option.unless) is not None:
            return ""
        return missing_weight(file, given.get(option.id) if option else None, option.id if option else "file")
    folder, name = file
    found = folder_paths.get_full_path(folder, name)
    return (
        ""
        if found
        else f"{name} was not found. Put it into ComfyUI/models/{folder}/ and press R in the page."
    )


def file_option(entry: Entry, key: str) -> File | None:
    """The menu in which a weight of an entry is chosen, if it has one."""
    menus = (option for option in entry.options if isinstance(option, File))
    return next((option for option in menus if option.key == key), None)


def missing_weight(key: str, chosen: str | None, name: str) -> str:
    """What to say of a weight whose file (`chosen` in the menu `name`, None for the published one) is not there."""
    try:
        menu_file(key, chosen, name, "")
    except ValueError as error:
        weight, _, variant = key.partition("/")
        own = chosen in (None, published_file(key)[1])
        return missing_weight_text(weight, variant) if own else str(error).removeprefix(": ")
    return ""


def files_fingerprint(entry: Entry, given: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Where an entry's files lie and when they were written, so that it is loaded again after one was put in
    its place."""
    found = []
    for file in (file for file in entry.files if isinstance(file, str)):
        option = file_option(entry, file)
        found += menu_fingerprint(file, given.get(option.id) if option else None)
    others = [file for file in entry.files if not isinstance(file, str)]
    menus = [
        (option.folder, given.get(option.id))
        for option in entry.options
        if isinstance(option, Choice) and option.folder
    ]
    return found + chosen_fingerprint([(folder, file) for folder, file in (*others, *menus) if file])
