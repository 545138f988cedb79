"""Load what makes a motion and what draws it. Each choice in a menu shows only what it reads."""

from typing import Any

from comfy_api.latest import io

from ..models.contracts import ENGINES, RENDERERS
from . import sockets
from .catalogue.engines import load_engine
from .catalogue.loader import Loader
from .catalogue.node_names import LOAD_ENGINE, LOAD_RENDERER
from .catalogue.renderers import load_renderer


class LoadMotionEngine(Loader):
    menu, choice = ENGINES, "engine"

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitMotionEngine",
            display_name=LOAD_ENGINE,
            category="talking portrait/audio",
            description="Chooses what turns speech into face motion. The built-in engine needs no download.",
            search_aliases=["talking head", "lip sync", "speech to motion"],
            inputs=[cls.menu_input()],
            outputs=[sockets.MotionEngine.Output(tooltip="For Generate Face Motion.")],
            accept_all_inputs=True,
        )

    @classmethod
    def load(cls, name: str, options: dict) -> Any:
        return load_engine(name, options)


class LoadPortraitRenderer(Loader):
    menu, choice = RENDERERS, "renderer"
    older = {"precision": "renderer.precision", "framing": "renderer.framing"}

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadRenderer",
            display_name=LOAD_RENDERER,
            category="talking portrait/portrait",
            description="Chooses what draws the moving face. The built-in warp needs no download.",
            search_aliases=["talking head", "animate portrait", "face warp"],
            inputs=[cls.menu_input()],
            outputs=[sockets.PortraitRenderer.Output(tooltip="For Prepare Portrait.")],
            accept_all_inputs=True,
        )

    @classmethod
    def load(cls, name: str, options: dict) -> Any:
        return load_renderer(name, options)


NODES = [LoadMotionEngine, LoadPortraitRenderer]
