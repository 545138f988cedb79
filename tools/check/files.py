"""Which published weight files a machine has, and whether they can be read."""

from pathlib import Path
from typing import Any

from ...models.weights.published import WEIGHTS, Weight
from ...models.weights.safe_files import load_tensors


def found_file(weight: Weight, models: Path) -> Path | None:
    """Where a published file lies below ComfyUI's models folder, None if it is not there."""
    places = (models / weight.folder / name for name in (weight.file, *weight.other_names))
    return next((path for path in places if path.is_file()), None)


def published_state(key: str, models: Path) -> tuple[Any, str]:
    """(what a weight's file holds, its name); (None, "random") where it is not there. ValueError if it is damaged."""
    path = found_file(WEIGHTS[key], models)
    return (None, "random") if path is None else (load_tensors(path), path.name)


def checked_files(models: Path) -> list[dict[str, Any]]:
    """Each published file that is not in the pack: key, file, size in MB or None, what is wrong with it or None."""
    rows = []
    for key, weight in WEIGHTS.items():
        if weight.in_pack:
            continue
        path, wrong = found_file(weight, models), None
        if path is not None and path.suffix in (".safetensors", ".pth", ".pt", ".ckpt", ".bin"):
            try:
                load_tensors(path)
            except ValueError as error:
                wrong = str(error)
        size = None if path is None else round(path.stat().st_size / 1e6, 1)
        rows.append({"key": key, "file": f"{weight.folder}/{weight.file}", "megabytes": size, "wrong": wrong})
    return rows
