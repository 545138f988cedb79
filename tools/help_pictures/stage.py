"""Real nodes on a real server: scenes add nodes to one prompt and say what they want of it; then it runs once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from ...models.face_motion import FaceMotion
from ...models.face_motion.storage import load_any

Ref = list[Any]  # [node, output]


class Server(Protocol):
    """What is used of a ComfyServer."""

    def get(self, path: str) -> Any: ...

    def run(self, prompt: dict[str, Any]) -> dict[str, Any]: ...

    def output_files(self, outputs: dict[str, Any]) -> list[Path]: ...


class Stage:
    """One prompt in the making. What a scene asks for is a function that answers when the prompt has run."""

    def __init__(self, server: Server):
        self.server = server
        self.known = server.get("/object_info")
        self.prompt: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

    def node(self, kind: str, **inputs: Any) -> Ref:
        """A node's first output; what is not given stands at its default. The same node twice is one."""
        declared = self.known[kind]["input"].get("required", {})
        given = {
            name: spec[1]["default"] for name, spec in declared.items() if "default" in (spec[1:] or [{}])[0]
        }
        given |= {name: _first(spec) for name, spec in declared.items() if name not in given and _first(spec)}
        wanted = {
            "class_type": kind,
            "inputs": given | {key.replace("__", "."): value for key, value in inputs.items()},
        }
        for name, made in self.prompt.items():
            if made == wanted:
                return [name, 0]
        name = str(len(self.prompt) + 1)
        self.prompt[name] = wanted
        return [name, 0]

    def picture(self, images: Ref, index: int = 0) -> Callable[[], Image.Image]:
        """One picture of a batch."""
        one = self.node("ImageFromBatch", image=images, batch_index=index, length=1)
        saved = self.node("SaveImage", images=one, filename_prefix="help/picture")
        return lambda: Image.open(self._file(saved)).convert("RGB")

    def motion(self, motion: Ref) -> Callable[[], FaceMotion]:
        """A motion, through Save Face Motion."""
        saved = self.node("TalkingPortraitSaveFaceMotion", face_motion=motion, filename_prefix="help/motion")
        told = self.text(saved)
        return lambda: load_any(Path(told()))

    def text(self, value: Ref) -> Callable[[], str]:
        """What a value is in words."""
        shown = self.node("PreviewAny", source=value)
        return lambda: self.outputs[shown[0]]["text"][0]

    def film(self, video: Ref) -> Callable[[], Path]:
        """A film's file."""
        saved = self.node("SaveVideo", video=video, filename_prefix="help/film", format="auto", codec="auto")
        return lambda: self._file(saved)

    def run(self) -> None:
        """All that was asked for."""
        self.outputs = self.server.run(self.prompt)

    def _file(self, saved: Ref) -> Path:
        return self.server.output_files({saved[0]: self.outputs[saved[0]]})[0]


def _first(spec: list[Any]) -> Any:
    """The first choice of a menu, None of what is none."""
    choices = spec[0] if isinstance(spec[0], list) else (spec[1:] or [{}])[0].get("options")
    if not choices:
        return None
    return choices[0]["key"] if isinstance(choices[0], dict) else choices[0]
