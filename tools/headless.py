"""Run a workflow in a real ComfyUI server from a terminal: the demo, or any workflow file.

Films are written to OUT, over what is there: a file, or a folder for what the workflow calls them. Ctrl-C stops.
"""

import argparse
import json
import mimetypes
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .comfy_server import PACK, ComfyServer, PromptError
from .workflow_drafts import shipped

SAMPLES = PACK / "samples"
CLEARED = "\r\x1b[K"  # the line of a terminal
LOADERS = {"LoadImage": "image", "LoadAudio": "audio", "LoadVideo": "file"}


def progress_printer(prompt: dict[str, Any]):
    """A callback for ComfyServer.run that writes what nodes say, and one line of progress, to the terminal."""
    shown = {"line": ""}
    said: dict[str, str] = {}

    def show(kind: str, data: dict[str, Any]) -> None:
        if kind == "progress_text":
            node, text = prompt.get(data["nodeId"]), data["text"]
            if node and said.get(title_of(node)) != text:
                said[title_of(node)] = text
                cleared = CLEARED if sys.stderr.isatty() else ""
                print(f"{cleared}{title_of(node)}: {text}", file=sys.stderr, flush=True)
            return
        if kind == "executing" and data.get("node"):
            line = prompt[data["node"]]["class_type"]
        elif kind == "progress":
            line = f"{prompt[data['node']]['class_type']} {data['value']}/{data['max']}"
        else:
            return
        if line != shown["line"]:
            end = "\r" if sys.stderr.isatty() else "\n"
            if sys.stderr.isatty() or kind == "executing":
                print(
                    f"{CLEARED}{line}" if sys.stderr.isatty() else line, end=end, file=sys.stderr, flush=True
                )
            shown["line"] = line

    return show


def title_of(node: dict[str, Any]) -> str:
    """What the page calls a node."""
    return node.get("_meta", {}).get("title") or node["class_type"]


def replace_inputs(server: ComfyServer, prompt: dict[str, Any], files: dict[str, Path]) -> None:
    """Point the loader nodes of a prompt at other files; `files` is loader class -> path."""
    for class_type, path in files.items():
        nodes = [node for node in prompt.values() if node["class_type"] == class_type]
        if not nodes:
            raise SystemExit(f"the workflow has no {class_type} node to give {path} to")
        name = server.add_input(path)
        for node in nodes:
            node["inputs"][LOADERS[class_type]] = name


def collect(written: list[Path], out: Path) -> list[Path]:
    """Copy a prompt's files to `out`: a file name if one file was written, else a folder."""
    if not written:
        raise SystemExit("the workflow ran, but none of its nodes saved a file; add Save Video or Save Image")
    if out.suffix:
        if len(written) > 1:
            names = ", ".join(path.name for path in written)
            raise SystemExit(
                f"the workflow wrote {len(written)} files ({names}); give a folder instead of {out}"
            )
        if written[0].suffix != out.suffix:
            print(f"{out} would be no {out.suffix[1:]}, so it is called {written[0].suffix}", file=sys.stderr)
            out = out.with_suffix(written[0].suffix)
        out.parent.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copy(written[0], out))]
    out.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, out / path.name)) for path in written]


def check_order(files: dict[str, Path]) -> None:
    """Say it where picture and voice changed places."""
    picture, voice = files.get("LoadImage"), files.get("LoadAudio")
    if picture and voice and is_picture(voice) and not is_picture(picture):
        raise SystemExit(f"the picture comes first: {voice} {picture}")


def is_picture(path: Path) -> bool:
    """Whether a file is called as pictures are."""
    return (mimetypes.guess_type(path.name)[0] or "").startswith("image/")


def run_workflow(workflow: Path, out: Path, files: dict[str, Path]) -> list[Path]:
    """Run one workflow file in a fresh server and copy what it saved to `out`; returns the copies."""
    check_order(files)
    for path in (workflow, *files.values()):
        if not path.is_file():
            raise SystemExit(f"no such file: {path}")
    print("Starting ComfyUI ...", file=sys.stderr, flush=True)
    with ComfyServer(Path(os.environ["COMFYUI_PATH"])) as server:
        prompt = server.to_prompt(json.loads(workflow.read_text(encoding="utf-8")))
        replace_inputs(server, prompt, files)
        started = time.monotonic()
        outputs = server.run(prompt, progress_printer(prompt))
        copies = collect(server.output_files(outputs), out)
        print(f"Done in {time.monotonic() - started:.1f} s.", file=sys.stderr)
    return copies


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    shows_defaults = argparse.ArgumentDefaultsHelpFormatter
    demo = verbs.add_parser(
        "demo", help="a talking video from a portrait and a voice", formatter_class=shows_defaults
    )
    for name, default, words in (
        ("portrait", SAMPLES / "talking_portrait_astronaut.png", "a picture of a face"),
        ("speech", SAMPLES / "talking_portrait_speech.wav", "a sound, or a film with sound"),
        ("out", Path("talking_portrait.mp4"), "the film, an MP4, written over what is there; or a folder"),
    ):
        demo.add_argument(name, nargs="?", type=Path, default=default, help=words)
    run = verbs.add_parser("workflow", help="any workflow file; its loaders read ComfyUI's input folder")
    run.add_argument("file", type=Path)
    run.add_argument("out", type=Path, help="a file, written over what is there, or a folder")
    for option, loader in (("--image", "LoadImage"), ("--audio", "LoadAudio"), ("--video", "LoadVideo")):
        run.add_argument(option, type=Path, dest=loader, help=f"use this file in every {loader} node")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server and its folder go in either case
    try:
        if arguments.verb == "demo":
            files = {"LoadImage": arguments.portrait, "LoadAudio": arguments.speech}
            copies = run_workflow(shipped("talking_portrait"), arguments.out, files)
        else:
            files = {loader: path for loader in LOADERS if (path := getattr(arguments, loader))}
            copies = run_workflow(arguments.file, arguments.out, files)
    except PromptError as error:
        raise SystemExit(f"ComfyUI: {error}") from None
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        raise SystemExit(130) from None
    for copy in copies:
        print(copy)


if __name__ == "__main__":
    main()
