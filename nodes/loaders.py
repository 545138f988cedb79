"""Load what makes a motion and what draws it. Each choice in a menu shows only what it reads."""

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io

from ..models.contracts import ENGINES, RENDERERS
from .catalogue.engines import load_engine
from .catalogue.inputs import menu_of
from .catalogue.menu import files_fingerprint
from .catalogue.node_names import LOAD_ENGINE, LOAD_RENDERER
from .catalogue.renderers import load_renderer
from .gates import Node


class LoadMotionEngine(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitMotionEngine",
            display_name=LOAD_ENGINE,
            category="talking portrait/audio",
            description="Chooses what turns speech into face motion. The built-in engine needs no download.",
            search_aliases=["talking head", "lip sync", "speech to motion"],
            inputs=[menu_of(ENGINES, "engine")],
            outputs=[io.Custom("MOTION_ENGINE").Output(tooltip="For Generate Face Motion.")],
            # so that an option which the engine does not read is refused, not dropped
            accept_all_inputs=True,
        )

    @classmethod
    def execute(cls, engine: Mapping[str, Any]) -> io.NodeOutput:
        return io.NodeOutput(load_engine(engine["engine"], engine))

    @classmethod
    def fingerprint_inputs(cls, engine: Any = None, **others) -> list:
        return chosen_files(ENGINES, "engine", engine)


class LoadPortraitRenderer(Node):
    older = {"precision": "renderer.precision", "framing": "renderer.framing"}

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TalkingPortraitLoadRenderer",
            display_name=LOAD_RENDERER,
            category="talking portrait/portrait",
            description="Chooses what draws the moving face. The built-in warp needs no download.",
            search_aliases=["talking head", "animate portrait", "face warp"],
            inputs=[menu_of(RENDERERS, "renderer")],
            outputs=[io.Custom("PORTRAIT_RENDERER").Output(tooltip="For Prepare Portrait.")],
            accept_all_inputs=True,
        )

    @classmethod
    def execute(cls, renderer: Mapping[str, Any]) -> io.NodeOutput:
        return io.NodeOutput(load_renderer(renderer["renderer"], renderer))

    @classmethod
    def fingerprint_inputs(cls, renderer: Any = None, **others) -> list:
        return chosen_files(RENDERERS, "renderer", renderer)


def chosen_files(entries: Mapping[str, Any], name: str, chosen: Any) -> list:
    """The files of the entry that a menu has chosen, of a prompt that nobody has checked yet."""
    given = chosen if isinstance(chosen, Mapping) else {name: chosen}
    entry = entries.get(wanted) if isinstance(wanted := given.get(name), str) else None
    return [] if entry is None else files_fingerprint(entry, given)


NODES = [LoadMotionEngine, LoadPortraitRenderer]
