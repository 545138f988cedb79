"""Where weight files lie in ComfyUI's model folders, and what an artist reads when one is missing."""

from pathlib import Path

import folder_paths

from ...models.weights.published import WEIGHTS, published_file, weight_path

# of the models folder, unknown to ComfyUI
OWN_FOLDERS = ("liveportrait", "kdtalker", "joyvasa", "actalker", "takin", "measures")
# variant -> folders within the model folder where its files may lie
PLACES = {"": ("",), "animal": ("animal/", "animals/", "liveportrait_animals/", "base_models_v1.1/")}


def register_folders() -> None:
    """Tell ComfyUI about the pack's own model folders."""
    for name in OWN_FOLDERS:
        folder_paths.add_model_folder_path(name, str(Path(folder_paths.models_dir) / name))


def find_weight(key: str, node: str, variant: str = "") -> Path:
    """Where a weight lies, in the pack or in ComfyUI's model folders; `variant` is a folder within ("animal").

    ValueError says what to get.
    """
    weight = WEIGHTS[key]
    if weight.in_pack and weight_path(weight).is_file():
        return weight_path(weight)
    for name in () if weight.in_pack else (weight.file, *weight.other_names):
        for place in PLACES[variant]:
            found = folder_paths.get_full_path(weight.folder, place + name)
            if found is not None:
                return Path(found)
    raise ValueError(missing_weight_message(key, node, variant))


def chosen_file(folder: str, file: str, name: str, node: str) -> Path:
    """Path of a file that input `name` has from a model folder's menu; ValueError if it is not there any more."""
    found = folder_paths.get_full_path(folder, file)
    if found is None:
        raise ValueError(
            f"{node}: {name} is {file}, which is not in ComfyUI/models/{folder}/. Put it there, press R in the page."
        )
    return Path(found)


def menu_file(key: str, chosen: str | None, name: str, node: str) -> Path:
    """Where the file lies that input `name` has from a weight's menu; its published name means any edition.

    key: of models/weights/published.py, perhaps with "/animal". ValueError says what to get.
    """
    weight, _, variant = key.partition("/")
    folder, published = published_file(key)
    if chosen in (None, published):
        return find_weight(weight, node, variant)
    return chosen_file(folder, chosen, name, node)


def menu_fingerprint(key: str, chosen: str | None) -> list[tuple[str, float]]:
    """Where the file that a weight's menu chose lies and when it was written, so that a node runs again after one
    was put in its place; empty while there is none."""
    try:
        path = menu_file(key, chosen, "", "")
    except ValueError:
        return []
    return [(str(path), path.stat().st_mtime)]


def chosen_fingerprint(chosen: list[tuple[str, str | None]]) -> list[tuple[str, float]]:
    """The same for files chosen in menus, (folder, file) each; what is no file of the folder is left out."""
    found = [folder_paths.get_full_path(folder, file) for folder, file in chosen if file]
    return [(path, Path(path).stat().st_mtime) for path in found if path is not None]


def missing_weight_message(key: str, node: str, variant: str = "") -> str:
    """The same in a node's name."""
    return f"{node}: {missing_weight_text(key, variant)}"


def missing_weight_text(key: str, variant: str = "") -> str:
    """What an artist must read when a weight is not there: file, folder, link, size, licence."""
    weight = WEIGHTS[key]
    if weight.in_pack:
        return (
            f"{weight.file} is missing or damaged in the pack's own folder {weight.folder}/. It ships with "
            f"the pack: get it back with `git checkout -- {weight.folder}/{weight.file}`, or install the "
            "pack again."
        )
    return (
        f"{weight.file} ({weight.size} MB{weight.note and ' ' + weight.note}, licence: {weight.licence}) was not "
        f"found. Get it from {weight.url}, put it into ComfyUI/models/{weight.folder}/{variant and variant + '/'} "
        "under this name and press R in the page."
    )
