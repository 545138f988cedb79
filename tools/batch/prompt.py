"""A row's prompt: its workflow with the row's files in the loaders and its overrides in the nodes."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..headless import LOADERS
from .manifest import FILES, Row

Prompt = dict[str, Any]  # ComfyUI's API format: node id -> class_type, inputs, _meta
SEEDS = ("seed", "noise_seed")


def row_prompt(
    row: Row, prompt: Prompt, nodes: Mapping[str, Any], add_input: Callable[[Path], str]
) -> Prompt:
    """The row's own copy of its workflow's prompt.

    nodes: ComfyUI's /object_info. add_input: gives a file to the server and returns the name that loaders take.
    ValueError with one line for each file, loader or override that is not there.
    """
    prompt = json.loads(json.dumps(prompt))
    faults = []
    for column, path in row.files.items():
        try:
            for node in loaders(prompt, FILES[column]):
                set_input(node, LOADERS[FILES[column]], add_input(existing(path)))
        except ValueError as error:
            faults.append(f"{column}: {error}")
    for name, value in row.overrides.items():
        try:
            node, given = find_input(name, prompt, nodes)
            if LOADERS.get(node["class_type"]) == given:
                set_input(node, given, add_input(existing(row.folder / str(value))))
            else:
                set_input(node, given, fitted(value, node["inputs"].get(given)))
        except ValueError as error:
            faults.append(f"{name}: {error}")
    if faults:
        raise ValueError("\n".join(faults))
    return prompt


def loaders(prompt: Prompt, class_type: str) -> list[dict[str, Any]]:
    """All nodes of a kind; ValueError if there are none."""
    found = [node for node in prompt.values() if node["class_type"] == class_type]
    if not found:
        raise ValueError(f"the workflow has no {class_type} node to give it to.")
    return found


def existing(path: Path) -> Path:
    """The path; ValueError if no file is there."""
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    return path


def find_input(name: str, prompt: Prompt, nodes: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The node and the input that "title or id.input" names; both may have dots. ValueError in words."""
    unfit = ""
    for dot in (place for place, letter in enumerate(name) if letter == "."):
        owner, given = name[:dot], name[dot + 1 :]
        found = [node for key, node in prompt.items() if owner == key]
        found = found or [node for node in prompt.values() if owner == title(node, nodes)]
        if len(found) > 1:
            raise ValueError(f"{len(found)} nodes are called {owner!r}; give the id of one of them instead.")
        if found and given in inputs_of(found[0], nodes):
            return found[0], given
        if found:
            known = ", ".join(sorted(inputs_of(found[0], nodes)))
            unfit = f"{owner!r} has no input {given!r}; it has {known}."
    titles = ", ".join(sorted({title(node, nodes) for node in prompt.values()}))
    raise ValueError(unfit or f"the workflow has no such node; it has {titles}.")


def title(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> str:
    """What a node is called in the page."""
    own = (node.get("_meta") or {}).get("title")
    return own or nodes.get(node["class_type"], {}).get("display_name") or node["class_type"]


def inputs_of(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> set[str]:
    """Names of all inputs that a node has or may have."""
    declared = nodes.get(node["class_type"], {}).get("input", {})
    return {*node["inputs"], *declared.get("required", {}), *declared.get("optional", {})}


def set_input(node: dict[str, Any], name: str, value: Any) -> None:
    """Give a node a value; ValueError if another node gives it one already."""
    if is_link(node["inputs"].get(name)):
        raise ValueError("it is connected to another node, so a value would have no effect.")
    node["inputs"][name] = value


def is_link(value: Any) -> bool:
    """Whether a prompt's input comes from another node: [id, output]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def fitted(value: Any, current: Any) -> Any:
    """A value; text where the workflow has no text (a table knows nothing else) is read as JSON: 5, 0.5, true."""
    if not isinstance(value, str) or isinstance(current, str):
        return value
    try:
        return json.loads(value.lower() if value.lower() in ("true", "false") else value)
    except ValueError:
        return value


def with_new_names(prompt: Prompt, prefix: str) -> Prompt:
    """Have every saving node write under `prefix`: so none is skipped as done before, and nobody else's file counts."""
    for node in prompt.values():
        if isinstance(node["inputs"].get("filename_prefix"), str):
            node["inputs"]["filename_prefix"] = prefix
    return prompt


def seeds(prompt: Prompt, nodes: Mapping[str, Any]) -> int | dict[str, int] | None:
    """The seed of a prompt, or each node's where they differ."""
    found = {
        f"{title(node, nodes)} {key}": value
        for key, node in prompt.items()
        for name in SEEDS
        if isinstance(value := node["inputs"].get(name), int)
    }
    if len(set(found.values())) < 2:
        return next(iter(found.values()), None)
    return found
