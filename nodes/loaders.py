"""Load what makes a motion and what draws it. Each choice in a menu shows only what it reads."""

from typing import Any

from ..models.contracts import ENGINES, RENDERERS
from . import sockets
from .catalogue.engines import load_engine
from .catalogue.loader import About, Loader
from .catalogue.node_names import LOAD_ENGINE, LOAD_RENDERER
from .catalogue.renderers import load_renderer


class LoadMotionEngine(Loader):
    menu, choice = ENGINES, "engine"
    about = About(
        "TalkingPortraitMotionEngine",
        LOAD_ENGINE,
        "talking portrait/audio",
        "Chooses what turns speech into face motion. The built-in engine needs no download.",
        sockets.MotionEngine.Output(tooltip="For Generate Face Motion."),
        ("talking head", "lip sync", "speech to motion"),
    )

    @classmethod
    def load(cls, name: str, options: dict) -> Any:
        return load_engine(name, options)


class LoadPortraitRenderer(Loader):
    menu, choice = RENDERERS, "renderer"
    older = {"precision": "renderer.precision", "framing": "renderer.framing"}
    about = About(
        "TalkingPortraitLoadRenderer",
        LOAD_RENDERER,
        "talking portrait/portrait",
        "Chooses what draws the moving face. The built-in warp needs no download.",
        sockets.PortraitRenderer.Output(tooltip="For Prepare Portrait."),
        ("talking head", "animate portrait", "face warp"),
    )

    @classmethod
    def load(cls, name: str, options: dict) -> Any:
        return load_renderer(name, options)


NODES = [LoadMotionEngine, LoadPortraitRenderer]
