"""What every node of the pack does before it runs and when it fails.

The schema says what each input may be, so one place checks them all: numbers (also those that come through a
link, where ComfyUI looks at no limits), choices, and one gate for each type of socket. What still fails
inside names its cause; the node's name is put before it here.
"""

import errno
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import comfy.model_management
from comfy_api.latest import io

from .dynamic import DYNAMIC, folded, gate_dynamic
from .sockets import SOCKET_GATES
from .values import VALUE_GATES

FULL = {errno.ENOSPC, errno.EDQUOT}
FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


class Node(io.ComfyNode):
    """Base of all nodes: `execute` sees checked inputs only, and its errors start with the node's name.

    older: names that prompts had for inputs of a menu's choice, such as {"precision": "renderer.precision"}.
    line: shows a sentence under the running node, for nodes that have such a line: it then ends with why they failed.
    """

    older: dict[str, str] = {}
    line: Callable[[str], None] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = cls.__dict__.get("execute")
        # ComfyUI clones classes
        if isinstance(own, classmethod) and not hasattr(own.__func__, "__wrapped__"):
            cls.execute = classmethod(gated(own.__func__))  # type: ignore[assignment]


def gated(execute: Callable[..., io.NodeOutput]) -> Callable[..., io.NodeOutput]:
    """`execute` behind the gates of its node's schema."""
    parameters = list(inspect.signature(execute).parameters.values())[1:]
    names = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]

    @functools.wraps(execute)
    def run(cls: type[Node], *values: Any, **inputs: Any) -> io.NodeOutput:
        schema = cls.define_schema()
        told = names or [entry.id for entry in schema.inputs]
        with last_words(cls.line), named(schema.display_name):
            given = dict(zip(told, values, strict=False)) | inputs
            return execute(cls, **checked_inputs(schema, given, cls.older))

    return run


def folded_inputs(node: type[Node], given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a prompt as a node knows them: older names replaced, those of a menu's choice put to it."""
    known = {entry.id: entry for entry in node.define_schema().inputs}
    return folded(given, known, node.older)


def checked_inputs(schema: io.Schema, given: dict[str, Any], older: dict[str, str]) -> dict[str, Any]:
    """The inputs of a node as its `execute` takes them; ValueError that names the first wrong one."""
    known = {entry.id: entry for entry in schema.inputs}
    given = folded(given, known, older)
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(
            f"there is no input called {', '.join(unknown)}; there are {', '.join(known) or 'none'}."
        )
    result = {}
    for name, entry in known.items():
        if name in given or not entry.optional:
            result[name] = checked_input(entry, given.get(name))
    return result


def checked_input(entry: Any, value: Any) -> Any:
    """One input's value; ValueError that names it. An optional input may be empty, where it is a socket."""
    if gate := VALUE_GATES.get(entry.io_type):
        return gate(entry, value)
    if value is None and entry.optional:
        return None
    if entry.io_type == DYNAMIC:
        return gate_dynamic(entry, value, checked_input)
    return SOCKET_GATES[entry.io_type](entry, value)


@contextmanager
def last_words(line: Callable[[str], None] | None) -> Iterator[None]:
    """Show under a node why it failed, or that it was stopped, in the place of what an earlier run left there."""
    try:
        yield
    except (ValueError, comfy.model_management.InterruptProcessingException) as error:
        if line:
            line(str(error) if isinstance(error, ValueError) else "stopped")
        raise


@contextmanager
def named(node: str) -> Iterator[None]:
    """Errors about inputs and files leave in the node's name; what is our own fault leaves as it is."""
    try:
        yield
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(f"{node}: ") else f"{node}: {text}") from error
    except OSError as error:
        raise ValueError(f"{node}: {about_disk(error)}") from error


def about_disk(error: OSError) -> str:
    """A sentence for what a disk refused."""
    place = error.filename or "the file"
    if error.errno in FULL:
        return f"the disk is full; nothing was kept of {place}. Free some space and run again."
    if error.errno in FORBIDDEN:
        return f"{place} may not be written or read ({error.strerror}); check the folder's permissions and run again."
    return f"{place} could not be written or read ({error.strerror or error}); check the disk and run again."
