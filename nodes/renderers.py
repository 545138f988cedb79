"""The renderers that Load Portrait Renderer offers: one line each."""

from collections.abc import Callable
from pathlib import Path

import comfy.model_management
import torch
from torch import nn

from ..models.portrait import PortraitRenderer
from .loading import LoadedModel, load_shared, ready_together
from .registry import find_weight

NODE = "Load Portrait Renderer"
PRECISIONS = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


FRAMINGS = ("LivePortrait", "KDTalker")


def _builtin(precision: str, framing: str) -> PortraitRenderer:
    from ..models.builtin.warp import WarpRenderer

    return WarpRenderer()


def _liveportrait(variant: str) -> Callable[[str, str], PortraitRenderer]:
    def load(precision: str, framing: str) -> PortraitRenderer:
        from ..models.kdtalker import crop
        from ..models.liveportrait.renderer import Framing, LivePortraitRenderer, upright_square

        name = "LivePortrait" if not variant else f"LivePortrait ({variant}s)"
        frame = upright_square if framing == FRAMINGS[0] else lambda image, points: Framing(*crop.framing(image, points))
        return LivePortraitRenderer(LoadedNetworks(half_or_full(precision), variant), name, frame)

    return load


def half_or_full(precision: str) -> torch.dtype:
    """The type that a menu entry means on this machine; auto is fp16 on a GPU that is fast at it, else fp32."""
    chosen = PRECISIONS[precision]
    if chosen is not None:
        return chosen
    fast = comfy.model_management.should_use_fp16(comfy.model_management.get_torch_device(), prioritize_performance=True)
    return torch.float16 if fast else torch.float32


def liveportrait_model(part: str, dtype: torch.dtype, node: str, variant: str = "") -> LoadedModel:
    """One of LivePortrait's networks under ComfyUI's memory manager; stitching is the same for people and animals."""
    from ..models.liveportrait.checkpoint import FILES

    file = FILES[part]
    path: Path = find_weight(f"liveportrait.{part}", node, "" if part == "stitching" else variant)
    return load_shared(f"liveportrait {part}", path, dtype, file.build, node, file.convert, exact=True)


class LoadedNetworks:
    """LivePortrait's networks for the renderer. All files are looked for at once, so that a missing one is said before the work."""

    def __init__(self, dtype: torch.dtype, variant: str):
        self.dtype, self.device = dtype, comfy.model_management.get_torch_device()
        self._appearance, self._warping, self._generator = (
            liveportrait_model(part, dtype, NODE, variant) for part in ("appearance", "warping", "generator")
        )
        self._motion = liveportrait_model("motion", torch.float32, NODE, variant)
        self._stitching = liveportrait_model("stitching", torch.float32, NODE)

    def encoders(self) -> tuple[nn.Module, ...]:
        """See Networks."""
        return tuple(ready_together([self._appearance, self._motion]))

    def drawers(self, memory: int) -> tuple[nn.Module, ...]:
        """See Networks."""
        return tuple(ready_together([self._warping, self._generator], memory))

    def retargeting(self) -> nn.Module:
        """See Networks."""
        return self._stitching.ready()


RENDERERS: dict[str, Callable[[str, str], PortraitRenderer]] = {
    "built-in warp": _builtin,
    "LivePortrait": _liveportrait(""),
    "LivePortrait (animals)": _liveportrait("animal"),
}


def load_renderer(name: str, precision: str = "auto", framing: str = FRAMINGS[0]) -> PortraitRenderer:
    """The renderer called `name` in the menu."""
    return RENDERERS[name](precision, framing)
