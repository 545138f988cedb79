"""What the loaders of all stages share: a menu of entries, each with its own options, whose files are there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io

from ...models.contracts import Entry
from ...models.options import Socket
from ..gates import Node, checked_input, folded_inputs, named
from ..gates.dynamic import chosen_inputs
from .inputs import menu_of
from .links import Linked, check_types
from .menu import check_files, files_fingerprint

CONNECTED = object()  # stands for what a link will bring


@dataclass(frozen=True)
class About:
    """What a loader says of itself in the page. node_id: in workflows. output: its one output."""

    node_id: str
    name: str
    category: str
    text: str
    output: Any
    aliases: tuple[str, ...] = ()


class Loader(Node):
    """Base of nodes with one menu. menu: its entries. choice: the input's name. load: what the entry of that name
    makes of its options."""

    about: About
    menu: Mapping[str, Entry]
    choice: str
    load: Callable[[str, Mapping[str, Any]], Any]

    @classmethod
    def define_schema(cls) -> io.Schema:
        about = cls.about
        return io.Schema(
            node_id=about.node_id,
            display_name=about.name,
            category=about.category,
            description=about.text,
            search_aliases=list(about.aliases),
            inputs=[menu_of(cls.menu, cls.choice)],
            outputs=[about.output],
            accept_all_inputs=True,  # so that an option which nobody reads is refused, not dropped
        )

    @classmethod
    def execute(cls, **given: Mapping[str, Any]) -> io.NodeOutput:
        chosen = given[cls.choice]
        return io.NodeOutput(cls.load(chosen[cls.choice], chosen))

    @classmethod
    def validate_inputs(cls, input_types: Linked | None = None, **given: Any) -> bool:
        """ComfyUI asks before anything runs. ValueError for a wrong option, or that lists every missing file.

        input_types: of what is connected, whose value nobody knows yet.
        """
        entry, options = cls.chosen(given)
        if entry is not None:
            schema, start = cls.define_schema(), f"{cls.choice}."
            links = {
                name[len(start) :]: kind
                for name, kind in (input_types or {}).items()
                if name.startswith(start)
            }
            with named(schema.display_name):
                menu = schema.inputs[0]
                check_types({own.id: own for own in chosen_inputs(menu, entry.id)}, links)
                sockets = {option.id for option in entry.options if isinstance(option, Socket)}
                check_files(
                    entry, checked_input(menu, options) | dict.fromkeys(sockets & set(links), CONNECTED)
                )
        return True

    @classmethod
    def fingerprint_inputs(cls, **given: Any) -> list:
        entry, options = cls.chosen(given)
        return [] if entry is None else files_fingerprint(entry, options)

    @classmethod
    def chosen(cls, given: Mapping[str, Any]) -> tuple[Entry | None, Mapping[str, Any]]:
        """The entry that a prompt has chosen, if there is one, and its options; nobody has checked them yet."""
        found = folded_inputs(cls, given).get(cls.choice)
        options = found if isinstance(found, Mapping) else {cls.choice: found}
        name = options.get(cls.choice)
        return cls.menu.get(name) if isinstance(name, str) else None, options
