"""From a menu of entries to a loaded engine or renderer, the same for both."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import folder_paths

from ...models.contracts import Entry, members
from ...models.options import Choice
from .weight_files import chosen_fingerprint, find_weight, missing_weight_text, weights_fingerprint


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
    check_files(entry)
    part = entry.load({option.id: given.get(option.id, option.default) for option in entry.options})
    if lacking := [name for name in members(contract) if not hasattr(part, name)]:
        what = f"{entry.id} gave a {type(part).__name__} without {', '.join(lacking)}"
        raise ValueError(f"{what}; the pack that brought it is at fault.")
    return part


def check_files(entry: Entry) -> None:
    """ValueError that tells every file that an entry needs and that is not there, before anything is loaded."""
    missing = [text for file in entry.files if (text := missing_text(file))]
    if len(missing) > 1:
        raise ValueError(f"{entry.id} needs {len(missing)} files that are missing.\n" + "\n".join(missing))
    if missing:
        raise ValueError(missing[0])


def missing_text(file: str | tuple[str, str]) -> str:
    """What to say of a file that is not there; empty if it is."""
    if isinstance(file, str):
        key, _, variant = file.partition("/")
        try:
            find_weight(key, "", variant)
        except ValueError:
            return missing_weight_text(key, variant)
        return ""
    folder, name = file
    found = folder_paths.get_full_path(folder, name)
    return (
        ""
        if found
        else f"{name} was not found. Put it into ComfyUI/models/{folder}/ and press R in the page."
    )


def files_fingerprint(entry: Entry, given: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Where an entry's files lie and when they were written, so that it is loaded again after one was put in
    its place."""
    found = []
    for file in (file for file in entry.files if isinstance(file, str)):
        key, _, variant = file.partition("/")
        found += weights_fingerprint([key], variant)
    others = [file for file in entry.files if not isinstance(file, str)]
    menus = [
        (option.folder, given.get(option.id))
        for option in entry.options
        if isinstance(option, Choice) and option.folder
    ]
    return found + chosen_fingerprint([(folder, file) for folder, file in (*others, *menus) if file])
