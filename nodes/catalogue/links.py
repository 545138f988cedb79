"""What is connected to a node, as ComfyUI tells it before a run: names and types, no values yet."""

from collections.abc import Mapping
from typing import Any

Linked = Mapping[str, str]  # input -> the type that comes through its link


def check_types(inputs: Mapping[str, Any], linked: Linked) -> None:
    """ValueError for a link whose type an input does not take; who asks for types must look at them itself."""
    from comfy_execution.validation import validate_node_input

    for name, given in linked.items():
        entry = inputs.get(name)
        if entry is not None and not validate_node_input(given, entry.get_io_type()):
            raise ValueError(f"{name} takes {entry.get_io_type()}, but {given} is connected to it.")
