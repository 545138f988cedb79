"""The gate of a menu whose choices have inputs of their own (ComfyUI's DynamicCombo)."""

from collections.abc import Callable, Mapping
from typing import Any

from .values import LISTED, shown

DYNAMIC = "COMFY_DYNAMICCOMBO_V3"
Check = Callable[[Any, Any], Any]  # check(input, value) -> the value as a node takes it


def gate_dynamic(entry: Any, value: Any, check: Check) -> dict[str, Any]:
    """{menu's name: choice, own inputs by name}; ValueError for a choice that is not there, or an input that
    it does not read.

    The choice alone will do; so will None in the place of an input that is not set, which is how ComfyUI tells it.
    """
    given = dict(value) if isinstance(value, Mapping) else {entry.id: value}
    choice = given.pop(entry.id, None)
    own = {own.id: own for own in chosen_inputs(entry, choice)}
    if ignored := [name for name, set_to in given.items() if name not in own and set_to is not None]:
        read = f"it reads {', '.join(own)}" if own else "it has no options"
        what = f"{', '.join(ignored)} is set, but {choice} does not read it: {read}"
        raise ValueError(f"{what}. Take it off, or choose another {entry.id}.")
    needed = {name for name, one in own.items() if not one.optional or given.get(name) is not None}
    return {entry.id: choice} | {
        name: check(one, given.get(name)) for name, one in own.items() if name in needed
    }


def chosen_inputs(entry: Any, choice: Any) -> list[Any]:
    """The inputs of a choice; ValueError if it is not in the menu."""
    for option in entry.options:
        if isinstance(choice, str) and option.key == choice:
            return option.inputs
    keys = [option.key for option in entry.options]
    menu = ", ".join(keys[:LISTED]) + (", ..." if len(keys) > LISTED else "")
    raise ValueError(f"{entry.id} is {shown(choice)}, which is not in its menu; choose one of: {menu}.")


def folded(given: Mapping[str, Any], entries: Mapping[str, Any], older: Mapping[str, str]) -> dict[str, Any]:
    """Inputs of a prompt with those of a menu's choice put to it: "menu.name" as prompts spell them, and
    older names for them."""
    result = dict(given)
    for name in given:
        menu, _, own = older.get(name, name).partition(".")
        if own and menu in entries and entries[menu].io_type == DYNAMIC:
            before = result.get(menu)
            nested = dict(before) if isinstance(before, Mapping) else {menu: before}
            value = result.pop(name)
            if nested.get(own) is None and not (
                name in older and unread_default(entries[menu], nested.get(menu), own, value)
            ):
                nested[own] = value
            result[menu] = nested
    return result


def unread_default(entry: Any, choice: Any, name: str, value: Any) -> bool:
    """Whether this is what the page sent before menus had inputs of their own: a default that the choice does
    not read."""
    inputs = {own.id: own for option in entry.options for own in option.inputs}
    reads = any(own.id == name for option in entry.options if option.key == choice for own in option.inputs)
    return not reads and name in inputs and value == inputs[name].default
