"""The renderers that Load Portrait Renderer offers: one line each."""

from collections.abc import Callable

from ..models.portrait import PortraitRenderer


def _builtin() -> PortraitRenderer:
    from ..models.builtin.warp import WarpRenderer

    return WarpRenderer()


RENDERERS: dict[str, Callable[[], PortraitRenderer]] = {"built-in warp": _builtin}


def load_renderer(name: str) -> PortraitRenderer:
    """The renderer called `name` in the menu."""
    return RENDERERS[name]()
