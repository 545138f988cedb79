"""The keypoint extractors in one menu: the built-in one, which needs no download, before LivePortrait's."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from ...models.contracts import KEYPOINT_EXTRACTORS, Entry, KeypointExtractor, register_keypoint_extractor
from ...models.face.weights import load_face_detector
from ...models.options import File
from .menu import load_entry, put_first
from .node_names import LOAD_EXTRACTOR as NODE
from .renderers import liveportrait_model


def _liveportrait(variant: str) -> Callable[[Mapping[str, Any]], KeypointExtractor]:
    return lambda options: liveportrait_model("motion", torch.float32, NODE, variant, options["file"])


def entry(name: str, about: str, variant: str = "") -> Entry:
    """LivePortrait's motion extractor, for people or for animals."""
    key = f"liveportrait.motion/{variant}" if variant else "liveportrait.motion"
    tooltip = "LivePortrait's own, or one that was fine-tuned (docs/TRAINING.md)."
    menu = File(id="file", key=key, advanced=False, tooltip=tooltip)
    return Entry(name, about, _liveportrait(variant), (menu,), (key,), "MIT")


def _landmarks(options: Mapping[str, Any]) -> KeypointExtractor:
    from ...models.builtin.landmark_extractor import LandmarkExtractor

    return LandmarkExtractor(load_face_detector())


LANDMARKS = Entry(
    "built-in landmarks",
    "Head and expression by landmarks, with nothing to download; no keypoints, which LivePortrait's renderer and "
    "KDTalker need.",
    _landmarks,
)
OWN = (
    LANDMARKS,
    entry("LivePortrait", "Keypoints, head and expression of a picture; needs its file."),
    entry("LivePortrait (animals)", "The same for cats and dogs, from the folder animal/.", "animal"),
)
put_first(KEYPOINT_EXTRACTORS, OWN, register_keypoint_extractor)


def load_keypoint_extractor(name: str, given: Mapping[str, Any] | None = None) -> KeypointExtractor:
    """The extractor called `name` in the menu."""
    return load_entry(KEYPOINT_EXTRACTORS[name], KeypointExtractor, given or {})
