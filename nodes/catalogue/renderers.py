"""The portrait renderers that come with this pack, and those that others registered."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import comfy.model_management
import torch

from ...models.contracts import RENDERERS, Entry, PortraitRenderer, register_renderer
from ...models.options import Choice
from ...models.weights.published import LIVEPORTRAIT_KEYS
from .loading import LoadedModel, load_shared, ready_together
from .menu import load_entry, put_first
from .node_names import LOAD_RENDERER as NODE
from .weight_files import find_weight

PRECISIONS = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FRAMINGS = ("LivePortrait", "KDTalker")
OPTIONS = (
    Choice(
        id="precision", choices=tuple(PRECISIONS),
        tooltip="LivePortrait's arithmetic. auto: fp16 on a GPU that is fast at it, else fp32. bf16 is twice "
            "as fast as fp32 on a "
        "recent CPU and a little coarser.",
    ),
    Choice(
        id="framing", choices=FRAMINGS,
        tooltip="What LivePortrait sees of the picture. LivePortrait: an upright square around head and "
            "shoulders. KDTalker: the "
        "tighter, unturned crop of its authors, whose films are this crop alone.",
    ),
)  # fmt: skip


def _builtin(options: Mapping[str, Any]) -> PortraitRenderer:
    from ...models.builtin.warp import WarpRenderer

    return WarpRenderer()


def _liveportrait(variant: str) -> Callable[[Mapping[str, Any]], PortraitRenderer]:
    def load(options: Mapping[str, Any]) -> PortraitRenderer:
        from ...models.kdtalker import crop
        from ...models.liveportrait.renderer import Framing, LivePortraitRenderer, upright_square

        name = "LivePortrait" if not variant else f"LivePortrait ({variant}s)"
        own = options["framing"] == FRAMINGS[0]
        frame = upright_square if own else lambda image, points: Framing(*crop.framing(image, points))
        return LivePortraitRenderer(LoadedNetworks(half_or_full(options["precision"]), variant), name, frame)

    return load


def half_or_full(precision: str) -> torch.dtype:
    """The type that a menu entry means on this machine; auto is fp16 on a GPU that is fast at it, else fp32."""
    chosen = PRECISIONS[precision]
    if chosen is not None:
        return chosen
    fast = comfy.model_management.should_use_fp16(
        comfy.model_management.get_torch_device(), prioritize_performance=True
    )
    return torch.float16 if fast else torch.float32


def liveportrait_model(part: str, dtype: torch.dtype, node: str, variant: str = "") -> LoadedModel:
    """One of LivePortrait's networks under ComfyUI's memory manager; stitching is the same for people and animals."""
    from ...models.liveportrait.checkpoint import FILES

    file = FILES[part]
    path: Path = find_weight(f"liveportrait.{part}", node, "" if part == "stitching" else variant)
    return load_shared(f"liveportrait {part}", path, dtype, file.build, node, file.convert, exact=True)


class LoadedNetworks:
    """LivePortrait's networks for the renderer. All files are looked for at once, so that a missing one is
    said before the work."""

    def __init__(self, dtype: torch.dtype, variant: str):
        self.dtype, self.device = dtype, comfy.model_management.get_torch_device()
        self._appearance, self._warping, self._generator = (
            liveportrait_model(part, dtype, NODE, variant) for part in ("appearance", "warping", "generator")
        )
        self._motion = liveportrait_model("motion", torch.float32, NODE, variant)
        self._stitching = liveportrait_model("stitching", torch.float32, NODE)

    def encoders(self) -> tuple[Any, Any]:
        """See Networks."""
        appearance, motion = ready_together([self._appearance, self._motion])
        return appearance, motion

    def drawers(self, memory: int) -> tuple[Any, Any]:
        """See Networks."""
        warping, generator = ready_together([self._warping, self._generator], memory)
        return warping, generator

    def retargeting(self) -> Any:
        """See Networks."""
        return self._stitching.ready()


ANIMALS = [key if key.endswith("stitching") else f"{key}/animal" for key in LIVEPORTRAIT_KEYS]
OWN = (
    Entry("built-in "
        "warp", "Bends the photo itself, on any machine, with nothing to download.", _builtin,
        licence="Apache-2.0"),
    Entry(
        "LivePortrait", "Draws the face anew, with wrinkles and teeth; needs its files and, for a film, a "
            "GPU.", _liveportrait(""),
        OPTIONS, tuple(LIVEPORTRAIT_KEYS), "MIT",
    ),
    Entry(
        "LivePortrait "
        "(animals)", "The same with the files for cats and dogs, in its folder animal/.",
        _liveportrait("animal"),
        OPTIONS, tuple(ANIMALS), "MIT",
    ),
)  # fmt: skip
put_first(RENDERERS, OWN, register_renderer)


def load_renderer(name: str, given: Mapping[str, Any] | None = None) -> PortraitRenderer:
    """The renderer called `name` in the menu, with the defaults of the options that are not given."""
    return load_entry(RENDERERS[name], PortraitRenderer, given or {})
