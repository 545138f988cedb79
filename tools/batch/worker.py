"""A worker: one warm ComfyUI server that makes one film after another."""

import json
import os
import shutil
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from ..comfy_server import ComfyServer, PromptError
from .guard_pack import OWNER, VALIDATE
from .manifest import Row, short_hash
from .prompt import Prompt, row_prompt, seeds, with_new_names
from .results import part_path

FILMS = {".mp4", ".webm", ".mkv", ".mov"}
GUARD = Path(__file__).resolve().parent / "guard_pack"


class ServerDied(RuntimeError):
    """The worker's ComfyUI ended by itself: killed, or out of memory."""


@dataclass(frozen=True)
class Made:
    """What came of a row on a worker. part: the film's hidden file, whole, or None; then `error` says why."""

    part: Path | None
    error: str
    seconds: float
    frames: int
    seed: Any
    workflow: str
    worker: str


class Worker:
    """One warm server and what it knows of workflows; use it as a context manager."""

    def __init__(self, name: str, comfyui: Path):
        self.name = f"{name}@{socket.gethostname()}"
        os.environ[OWNER] = str(os.getpid())  # the server ends with this process, however that ends
        self.server = ComfyServer(comfyui, {"talking_portrait_batch": GUARD})
        self.prompts: dict[str, Prompt] = {}
        self.nodes: dict[str, Any] = {}

    def __enter__(self) -> "Worker":
        self.server.__enter__()
        self.nodes = self.server.get("/object_info")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()

    def check(self, row: Row) -> None:
        """ValueError with everything that can be known to be wrong with a row before it runs."""
        prompt, _ = self._prompt(row)
        try:
            self.server.post(VALIDATE, {"prompt": prompt})
        except PromptError as error:
            raise ValueError(str(error)) from None
        finally:
            self._forget_inputs(set())

    def make(self, row: Row, out: Path) -> Made:
        """Run a row and leave its film hidden in `out`. ServerDied if ComfyUI ended meanwhile."""
        started, workflow, seed = time.monotonic(), "", None
        try:
            prompt, workflow = self._prompt(row)
            seed = seeds(prompt, self.nodes)
            part = self._film(with_new_names(prompt, f"batch/{uuid.uuid4().hex}"), out, row.id)
            error, frames = "", frame_total(part)
        except Exception as fault:  # where a row ends: it fails alone, with its sentence
            if self._is_dead():
                raise ServerDied(self.server.log()[-2000:]) from None
            part, error, frames = None, sentence(fault), 0
        return Made(part, error, time.monotonic() - started, frames, seed, workflow, self.name)

    def _prompt(self, row: Row) -> tuple[Prompt, str]:
        """A row's prompt, and the hash of its workflow's file; ValueError in words."""
        workflow, digest = read_workflow(row.workflow)
        if digest not in self.prompts:
            self.prompts[digest] = converted(self.server, workflow, row.workflow)
        inputs: set[str] = set()

        def add_input(path: Path) -> str:
            name = self._add_input(path)
            inputs.add(name)
            return name

        prompt = row_prompt(row, self.prompts[digest], self.nodes, add_input)
        self._forget_inputs(inputs)
        return prompt, digest

    def _add_input(self, path: Path) -> str:
        """Give the server a file under a name of its own, so that a picture of many rows is read and prepared once."""
        about = path.stat()
        key = short_hash(f"{path.resolve()} {about.st_size} {about.st_mtime_ns}".encode())
        name = f"batch_{key}{path.suffix.lower()}"
        target = self.server.base / "input" / name
        if not target.is_file():
            shutil.copyfile(path, target)
        return name

    def _forget_inputs(self, kept: set[str]) -> None:
        """Remove the files of earlier rows."""
        for path in (self.server.base / "input").glob("batch_*"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _film(self, prompt: Prompt, out: Path, row_id: str) -> Path:
        """Run a prompt and move the film that it saves into `out`; ValueError unless it is just one."""
        try:
            outputs = self.server.run(prompt)
            films = [path for path in self.server.output_files(outputs) if path.suffix.lower() in FILMS]
            if len(films) != 1:
                raise ValueError(
                    f"the workflow saved {len(films)} films, and a row is one; leave one Save Video in it."
                )
            part = part_path(out, row_id, films[0].suffix.lower())
            shutil.copyfile(films[0], part)
            return part
        finally:
            shutil.rmtree(self.server.base / "output" / "batch", ignore_errors=True)

    def _is_dead(self) -> bool:
        """Whether ComfyUI ended; a lost connection is seen a moment before that."""
        limit = time.monotonic() + 2
        while self.server.process.poll() is None and time.monotonic() < limit:
            try:
                self.server.get("/system_stats")
                return False
            except OSError:
                time.sleep(0.1)
        return self.server.process.poll() is not None


def read_workflow(path: Path) -> tuple[bytes, str]:
    """A workflow's file and its hash; ValueError in words."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"workflow: {path} cannot be read ({error.strerror}).") from None
    return data, short_hash(data)


def converted(server: ComfyServer, workflow: bytes, path: Path) -> Prompt:
    """A workflow as ComfyUI's API format; ValueError that names the file."""
    try:
        prompt = server.to_prompt(json.loads(workflow))
        if not all(isinstance(node, dict) and "class_type" in node for node in prompt.values()):
            raise ValueError("it has no nodes with a class_type")
    except Exception as error:  # whatever a file that is no workflow does to the converter
        raise ValueError(f"workflow: {path} is no workflow of ComfyUI ({error}).") from None
    return prompt


def frame_total(film: Path) -> int:
    """Frames of a film as it was written."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        return stream.frames or sum(1 for packet in container.demux(stream) if packet.size)


def sentence(fault: Exception) -> str:
    """What a row's result says of a fault."""
    return str(fault).strip() or type(fault).__name__
