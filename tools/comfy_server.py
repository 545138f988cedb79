"""A real ComfyUI server in a folder of its own, for headless runs and tests."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import websocket

PACK = Path(__file__).resolve().parent.parent
START_LIMIT_SECONDS = 240
TEXT = 3  # ComfyUI's number of the binary messages in which nodes say something


class PromptError(RuntimeError):
    """A prompt that ComfyUI refused or that failed; `details` is what the server said."""

    def __init__(self, message: str, details: dict[str, Any]):
        super().__init__(message)
        self.details = details


def accelerator_present() -> bool:
    """True when PyTorch can use a GPU here, so that the server must not be told --cpu."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ComfyServer:
    """Start, use and stop one ComfyUI server; use it as a context manager.

    Models are looked for in `models`, by default the ComfyUI folder's own models/; input, output and temp
    live in a scratch folder that is removed at the end. `packs` are further custom node folders, name ->
    path; `folder` is what this pack's is called. The page is the one that ComfyUI's requirements name; where
    the variable COMFYUI_FRONTEND names a folder with another one's index.html, it is that.
    """

    def __init__(
        self, comfyui: Path, packs: dict[str, Path] | None = None, extra: list[str] | None = None,
        models: Path | None = None,
        folder: str = "talking_portrait",
    ):  # fmt: skip
        self.comfyui = Path(comfyui)
        self.base = Path(tempfile.mkdtemp(prefix="talking-portrait-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = uuid.uuid4().hex
        self.log_path = self.base / "server.log"
        self.folder = folder
        self._link_packs({folder: PACK, **(packs or {})})
        self.command = [
            sys.executable, "main.py", "--listen", "127.0.0.1", "--port", str(self.port),
            "--base-directory", str(self.base), "--models-directory", str(models or self.comfyui / "models"),
            "--database-url", "sqlite:///:memory:", "--disable-api-nodes", "--disable-auto-launch",
            *([] if accelerator_present() else ["--cpu"]), *(extra or []),
        ]  # fmt: skip
        if page := os.environ.get("COMFYUI_FRONTEND"):
            self.command += ["--front-end-root", page]
        self._start()

    def _start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.comfyui, env=environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start it again in the same folders."""
        self._start()
        self._wait_until_ready()

    def _link_packs(self, packs: dict[str, Path]) -> None:
        custom_nodes = self.base / "custom_nodes"
        custom_nodes.mkdir()
        (self.base / "input").mkdir()
        for name, path in packs.items():
            try:
                (custom_nodes / name).symlink_to(path, target_is_directory=True)
            except OSError:  # Windows without the right to make links
                shutil.copytree(path, custom_nodes / name, ignore=shutil.ignore_patterns(".*", "tests"))

    def __enter__(self) -> "ComfyServer":
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        limit = time.monotonic() + START_LIMIT_SECONDS
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                raise RuntimeError(f"ComfyUI ended while starting:\n{self.log()[-4000:]}")
            try:
                self.get("/system_stats")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError(f"ComfyUI did not answer within {START_LIMIT_SECONDS} s:\n{self.log()[-4000:]}")

    def stop(self) -> None:
        """End the server and remove its scratch folder."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:  # where a shell started us in the background, Ctrl-C is ignored
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def log(self) -> str:
        """What the server has printed so far."""
        return self.log_path.read_text(errors="replace")

    def get(self, path: str) -> Any:
        """JSON answer of a GET request."""
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """JSON answer (None if empty) of a POST request; PromptError for a 400."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            details = json.loads(error.read() or b"{}")
            raise PromptError(refusal_text(details), details) from None
        return json.loads(text) if text else None

    def add_input(self, path: Path) -> str:
        """Copy a file into the server's input folder; returns the name that loaders take."""
        shutil.copy(path, self.base / "input" / Path(path).name)
        return Path(path).name

    def to_prompt(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """API-format prompt of a workflow in the page's format (an API-format one is returned as it is)."""
        from comfy_cli.workflow_to_api import convert_ui_to_api, is_api_format

        return workflow if is_api_format(workflow) else convert_ui_to_api(workflow, self.get("/object_info"))

    def run(
        self, prompt: dict[str, Any], on_event: Callable[[str, dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Queue an API-format prompt, wait for its end, return its outputs by node id; PromptError if it fails.

        `on_event(type, data)` gets every message of the server; a preview picture arrives as type "preview",
        what a node says as "progress_text" with its nodeId and text.
        """
        link = websocket.create_connection(
            f"ws://127.0.0.1:{self.port}/ws?clientId={self.client}", timeout=1800
        )
        try:
            queued = self.post("/prompt", {"prompt": prompt, "client_id": self.client})
            prompt_id = queued["prompt_id"]
            if queued.get("node_errors"):  # ComfyUI would run what is left, and say nothing of the rest
                self.post("/queue", {"delete": [prompt_id]})
                self.post("/interrupt", {"prompt_id": prompt_id})
                raise PromptError(refusal_text(queued), queued)
            while True:
                message = link.recv()
                kind, data = parse_binary(message) if isinstance(message, bytes) else parse_event(message)
                if on_event:
                    on_event(kind, {**data, "queued_id": prompt_id})
                if kind != "preview" and data.get("prompt_id") not in (None, prompt_id):
                    continue
                if kind == "execution_error":
                    raise PromptError(f"{data['node_type']}: {data['exception_message'].strip()}", data)
                if kind == "execution_interrupted":
                    raise PromptError("interrupted", data)
                if kind == "executing" and data.get("node") is None:
                    return self.get(f"/history/{prompt_id}")[prompt_id]["outputs"]
        finally:
            link.close()

    def output_files(self, outputs: dict[str, Any], folder_type: str = "output") -> list[Path]:
        """Files that a finished prompt wrote, in node order; `folder_type` is output or temp."""
        found = []
        for result in outputs.values():
            for entries in result.values():
                for entry in entries if isinstance(entries, list) else []:
                    if isinstance(entry, dict) and entry.get("type") == folder_type:
                        found.append(self.base / folder_type / entry["subfolder"] / entry["filename"])
        return found


def parse_event(message: str) -> tuple[str, dict[str, Any]]:
    """Type and data of one text message from the server."""
    event = json.loads(message)
    return event["type"], event.get("data") or {}


def parse_binary(message: bytes) -> tuple[str, dict[str, Any]]:
    """Type and data of a binary message: a number, then a picture, or for TEXT a length, a node's id and its words."""
    if int.from_bytes(message[:4], "big") != TEXT:
        return "preview", {"bytes": message}
    end = 8 + int.from_bytes(message[4:8], "big")
    return "progress_text", {"nodeId": message[8:end].decode(), "text": message[end:].decode()}


def refusal_text(details: dict[str, Any]) -> str:
    """One line per reason why ComfyUI refused a prompt."""
    lines = []
    for node in (details.get("node_errors") or {}).values():
        lines += [f"{node['class_type']}: {error['message']}: {error['details']}" for error in node["errors"]]
    whole = details.get("error")
    if not lines and isinstance(whole, dict) and whole.get("message"):
        lines = [": ".join(part for part in (whole["message"], whole.get("details")) if part)]
    return "\n".join(lines) or json.dumps(details)
