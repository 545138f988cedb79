"""Menus of engines and renderers as inputs of a node: each shows only its own options."""

from collections.abc import Callable, Mapping
from typing import Any

from comfy_api.latest import io

from ...models.contracts import Entry
from ...models.options import Choice, File, Mood, Number, Option, Socket, Switch, Text, Whole
from .emotion_menu import EmotionMenu
from .file_menu import file_menu, files_in

Common = dict[str, Any]  # what every input has


def menu_of(entries: Mapping[str, Entry], name: str) -> io.DynamicCombo.Input:
    """The menu of all entries, with what each asks for."""
    options = [
        io.DynamicCombo.Option(entry.id, [input_of(option) for option in entry.options])
        for entry in entries.values()
    ]
    return io.DynamicCombo.Input(name, options=options, tooltip=about(entries))


def about(entries: Mapping[str, Entry]) -> str:
    """What each entry is, and what its licence is."""
    return " ".join(
        f"{entry.id}: {entry.about}" + (f" ({entry.licence})" if entry.licence else "")
        for entry in entries.values()
    )


def input_of(option: Option) -> Any:
    """The input that asks for an option; one that a saved workflow may lack."""
    common = {"optional": True, "tooltip": option.tooltip}
    folded = {} if isinstance(option, Socket) else {"default": option.default, "advanced": option.advanced}
    if isinstance(option, Socket):
        return io.Custom(option.io_type).Input(option.id, **common)
    return KINDS[type(option)](option, common | folded)


def number(option: Number, common: Common) -> Any:
    return io.Float.Input(option.id, min=option.low, max=option.high, step=option.step, **common)


def whole(option: Whole, common: Common) -> Any:
    return io.Int.Input(option.id, min=option.low, max=option.high, **common)


def menu(option: Choice, common: Common) -> Any:
    return io.Combo.Input(option.id, options=[*option.choices, *files_in(option.folder)], **common)


KINDS: dict[type[Option], Callable[[Any, Common], Any]] = {
    Number: number,
    Whole: whole,
    Switch: lambda option, common: io.Boolean.Input(option.id, **common),
    Text: lambda option, common: io.String.Input(option.id, **common),
    Choice: menu,
    Mood: lambda option, common: EmotionMenu(option.id, options=list(option.choices), **common),
    File: lambda option, common: file_menu(option.id, option.key, **common),
}
