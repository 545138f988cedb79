"""Load Face Motion: a menu of the motions that lie in ComfyUI's folders, with upload by button or drop, or a path."""

import os
from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ..models.face_motion.storage import FORMATS, load_any
from . import sockets
from .catalogue.links import Linked, check_types
from .gates import Node, named
from .paths import AROUND, file_fingerprint, readable_file

NODE = "Load Face Motion"
FOLDER = "motion"  # where Save Face Motion writes by default
ENDINGS = tuple(FORMATS.values())


class MotionMenu(io.Combo.Input):
    """A menu that takes other names too: those of files that were saved since, and of older workflows."""

    takes_text = True


class LoadFaceMotion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadFaceMotion",
            display_name=NODE,
            category="talking portrait/motion",
            description="Reads a motion that Save Face Motion wrote, or a LivePortrait motion template (.pkl). Choose "
            "it, press upload, or drop the file onto the node.",
            search_aliases=[
                "import motion",
                "open motion",
                "motion template",
                "pkl",
                "upload motion",
                "driving motion",
            ],
            inputs=[
                MotionMenu(
                    "file",
                    options=motion_files(),
                    optional=True,
                    tooltip="Motions in ComfyUI's input folder and in output/motion, the newest first; R in the page "
                    "looks again.",
                ),
                io.String.Input(
                    "path",
                    default="",
                    optional=True,
                    tooltip="Takes the menu's place where it is not empty: name or path of a file in ComfyUI's "
                    "output, input or temp folder, such as the one that Save Face Motion gives.",
                ),
            ],
            outputs=[sockets.FaceMotion.Output(tooltip="The motion in the file.")],
        )

    @classmethod
    def execute(cls, file: str = "", path: str = "") -> io.NodeOutput:
        return io.NodeOutput(load_any(chosen_motion(file, path)))

    @classmethod
    def validate_inputs(
        cls, input_types: Linked | None = None, file: str | None = None, path: str | None = None
    ) -> bool:
        """ComfyUI asks before anything runs. ValueError where there is no such file, unless a link brings its name."""
        links, schema = dict(input_types or {}), cls.define_schema()
        with named(NODE):
            if links.get("file") == "STRING":  # a text was linked to it before it was a menu
                links.pop("file")
                file = None
            check_types({entry.id: entry for entry in schema.inputs}, links)
            if not input_types:
                chosen_motion(file or "", path or "")
        return True

    @classmethod
    def fingerprint_inputs(cls, file: str | None = None, path: str | None = None) -> list:
        return file_fingerprint(path if is_given(path) else file)


def is_given(path: object) -> bool:
    """Whether something was written."""
    return isinstance(path, str) and bool(path.strip(AROUND))


def chosen_motion(file: str, path: str) -> Path:
    """The file that a path names, else the menu; ValueError in words if there is none."""
    if is_given(path):
        return readable_file(path, "path")
    if not is_given(file):
        raise ValueError(
            "file is empty: no motion is chosen. Save one with Save Face Motion and press R in the page, drop a file "
            "onto the node, or write its path."
        )
    return readable_file(file)


def motion_files() -> list[str]:
    """Files in output/motion, the newest first and marked as ComfyUI marks them, then those of the input folder."""
    output, given = (
        Path(folder()) for folder in (folder_paths.get_output_directory, folder_paths.get_input_directory)
    )
    made = sorted(files_below(output / FOLDER), key=lambda entry: -entry[1])
    own = [*files_below(given, deep=False), *files_below(given / FOLDER)]
    return [
        *(f"{path.relative_to(output).as_posix()} [output]" for path, _ in made),
        *sorted(path.relative_to(given).as_posix() for path, _ in own),
    ]


def files_below(folder: Path, deep: bool = True) -> list[tuple[Path, float]]:
    """(file, when it was written) of the motions in a folder that may not be there, and in the folders in it."""
    found = []
    for place, folders, names in os.walk(folder):
        if not deep:
            folders.clear()
        for name in names:
            path = Path(place, name)
            if name.lower().endswith(ENDINGS) and path.is_file():
                found.append((path, path.stat().st_mtime))
    return found


NODES = [LoadFaceMotion]
