"""The portrait renderers that come with this pack, and those that others registered."""

from collections.abc import Callable, Mapping
from typing import Any

import comfy.model_management
import torch

from ...models.builtin.styles import PICTURE_STYLES
from ...models.contracts import RENDERERS, Entry, KeypointExtractor, PortraitRenderer, register_renderer
from ...models.options import Choice, File, Option, Socket
from ...models.weights.published import LIVEPORTRAIT_KEYS
from .loading import LoadedModel, load_shared, ready_together
from .menu import load_entry, put_first
from .node_names import LOAD_EXTRACTOR
from .node_names import LOAD_RENDERER as NODE
from .weight_files import menu_file

PRECISIONS = {"auto": None, "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FRAMINGS = ("LivePortrait", "KDTalker")
PARTS = ("appearance", "motion", "warping", "generator", "stitching")  # LivePortrait's networks
OPTIONS = (
    Choice(
        id="precision", choices=tuple(PRECISIONS),
        tooltip="LivePortrait's arithmetic. auto: fp16 on a GPU that is fast at it, else fp32. bf16 is twice "
        "as fast as fp32 on a recent CPU and a little coarser.",
    ),
    Choice(
        id="framing", choices=FRAMINGS,
        tooltip="What LivePortrait sees of the picture. LivePortrait: an upright square around head and "
        "shoulders. KDTalker: the tighter, unturned crop of its authors, whose films are this crop alone.",
    ),
)  # fmt: skip


STYLE = Choice(
    id="style", choices=PICTURE_STYLES,
    tooltip="How lids and the mouth's inside are drawn. photo: skin, teeth, tongue. drawn: flat colours and "
    "lines in the drawing's ink. auto: tells by the face's flat parts and sharp lines.",
)  # fmt: skip
EXTRACTOR = Socket(
    id="keypoint_extractor", io_type="KEYPOINT_EXTRACTOR",
    tooltip="From Load Keypoint Extractor: what reads the picture's keypoints, in the place of motion_file.",
)  # fmt: skip


def _builtin(options: Mapping[str, Any]) -> PortraitRenderer:
    from ...models.builtin.warp import WarpRenderer

    return WarpRenderer(options["style"])


def _liveportrait(variant: str) -> Callable[[Mapping[str, Any]], PortraitRenderer]:
    def load(options: Mapping[str, Any]) -> PortraitRenderer:
        from ...models.kdtalker import crop
        from ...models.liveportrait.renderer import Framing, LivePortraitRenderer, upright_square

        name = "LivePortrait" if not variant else f"LivePortrait ({variant}s)"
        own = options["framing"] == FRAMINGS[0]
        frame = upright_square if own else lambda image, points: Framing(*crop.framing(image, points))
        files = {part: options[f"{part}_file"] for part in PARTS}
        dtype, extractor = half_or_full(options["precision"]), options["keypoint_extractor"]
        return LivePortraitRenderer(LoadedNetworks(dtype, variant, files, extractor), name, frame)

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


def liveportrait_key(part: str, variant: str = "") -> str:
    """The weight of one of LivePortrait's networks; stitching is the same for people and animals."""
    return f"liveportrait.{part}" + (f"/{variant}" if variant and part != "stitching" else "")


def liveportrait_model(
    part: str, dtype: torch.dtype, node: str, variant: str = "", chosen: str | None = None
) -> LoadedModel:
    """One of LivePortrait's networks under ComfyUI's memory manager, from the file `chosen` in its menu."""
    from ...models.liveportrait.checkpoint import FILES

    file = FILES[part]
    path = menu_file(liveportrait_key(part, variant), chosen, f"{part}_file", node)
    return load_shared(f"liveportrait {part}", path, dtype, file.build, node, file.convert, exact=True)


class LoadedNetworks:
    """LivePortrait's networks for the renderer. All files are looked for at once, so that a missing one is
    said before the work."""

    def __init__(
        self, dtype: torch.dtype, variant: str, files: Mapping[str, str], extractor: KeypointExtractor | None
    ):
        """files: chosen in the menu of each part. extractor: in the place of the motion extractor's file."""
        self.dtype, self.device = dtype, comfy.model_management.get_torch_device()
        self._appearance, self._warping, self._generator = (
            liveportrait_model(part, dtype, NODE, variant, files[part])
            for part in ("appearance", "warping", "generator")
        )
        self._check_fit()
        self._motion = (
            extractor and with_keypoints(extractor, "LivePortrait's renderer")
        ) or liveportrait_model("motion", torch.float32, NODE, variant, files["motion"])
        self._stitching = liveportrait_model("stitching", torch.float32, NODE, chosen=files["stitching"])

    def _check_fit(self) -> None:
        from ...models.liveportrait.checkpoint import check_fit

        try:
            check_fit(*(model.patcher.model for model in (self._appearance, self._warping, self._generator)))
        except ValueError as problem:
            raise ValueError(f"{NODE}: {problem}.") from None

    def memory(self) -> tuple[int, int]:
        """See Networks."""
        manager: Any = comfy.model_management
        return int(manager.get_free_memory(self.device)), int(manager.get_total_memory(self.device))

    def encoders(self) -> tuple[Any, Any]:
        """See Networks."""
        if isinstance(self._motion, LoadedModel):
            appearance, motion = ready_together([self._appearance, self._motion])
            return appearance, motion
        return self._appearance.ready(), self._motion.ready()

    def drawers(self, memory: int) -> tuple[Any, Any]:
        """See Networks."""
        warping, generator = ready_together([self._warping, self._generator], memory)
        return warping, generator

    def retargeting(self) -> Any:
        """See Networks."""
        return self._stitching.ready()


def liveportrait_options(variant: str) -> tuple[Option, ...]:
    """What LivePortrait asks for: precision, framing, its files, and perhaps another keypoint extractor."""
    files = (
        File(id=f"{part}_file", key=liveportrait_key(part, variant), tooltip=f"LivePortrait's {part} network.",
            unless="keypoint_extractor" if part == "motion" else "")
        for part in PARTS
    )  # fmt: skip
    return (*OPTIONS, *files, EXTRACTOR)


OWN = (
    Entry("built-in warp", "Bends the photo itself, on any machine, with nothing to download.", _builtin,
        (STYLE,), licence="Apache-2.0"),
    Entry(
        "LivePortrait", "Draws the face anew, with wrinkles and teeth; needs its files and, for a film, a "
        "GPU.", _liveportrait(""),
        liveportrait_options(""), tuple(LIVEPORTRAIT_KEYS), "MIT",
    ),
    Entry(
        "LivePortrait (animals)", "The same with the files for cats and dogs, in its folder animal/.",
        _liveportrait("animal"),
        liveportrait_options("animal"), tuple(liveportrait_key(part, "animal") for part in PARTS), "MIT",
    ),
)  # fmt: skip
put_first(RENDERERS, OWN, register_renderer)


def load_renderer(name: str, given: Mapping[str, Any] | None = None) -> PortraitRenderer:
    """The renderer called `name` in the menu, with the defaults of the options that are not given."""
    return load_entry(RENDERERS[name], PortraitRenderer, given or {})


def with_keypoints(extractor: KeypointExtractor, who: str) -> KeypointExtractor:
    """The extractor, if it gives keypoints; ValueError for one that gives head and expression alone."""
    if getattr(extractor, "gives_keypoints", True):
        return extractor
    raise ValueError(
        f"keypoint_extractor is {getattr(extractor, 'id', 'one')}, which gives no keypoints, and {who} draws by them. "
        f"Choose LivePortrait in {LOAD_EXTRACTOR}."
    )
