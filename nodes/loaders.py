"""Load what makes a motion and what draws it. Each choice in a menu shows only what it reads."""

from ..models.contracts import ENGINES, RENDERERS
from . import sockets
from .catalogue.engines import load_engine
from .catalogue.loader import About, Loader
from .catalogue.node_names import LOAD_ENGINE, LOAD_RENDERER
from .catalogue.renderers import load_renderer


class LoadMotionEngine(Loader):
    menu, choice, load = ENGINES, "engine", staticmethod(load_engine)
    about = About(
        "TalkingPortraitMotionEngine",
        LOAD_ENGINE,
        "talking portrait/audio",
        "Chooses what turns speech into face motion. The built-in engine needs no download.",
        sockets.MotionEngine.Output(tooltip="For Generate Face Motion."),
        (
            "talking head",
            "lip sync",
            "speech to motion",
            "wav2lip",
            "sadtalker",
            "kdtalker",
            "joyvasa",
            "takin",
        ),
    )


class LoadPortraitRenderer(Loader):
    menu, choice, load = RENDERERS, "renderer", staticmethod(load_renderer)
    older = {"precision": "renderer.precision", "framing": "renderer.framing"}
    about = About(
        "TalkingPortraitLoadRenderer",
        LOAD_RENDERER,
        "talking portrait/portrait",
        "Chooses what draws the moving face. The built-in warp needs no download.",
        sockets.PortraitRenderer.Output(tooltip="For Prepare Portrait."),
        ("talking head", "animate portrait", "face warp", "liveportrait", "avatar"),
    )


NODES = [LoadMotionEngine, LoadPortraitRenderer]
