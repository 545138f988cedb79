"""The networks that films are measured with, loaded from their files under ComfyUI's memory manager."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..models.face.arcface import ArcFace
from ..models.measures.evaluation import Values, tried
from ..models.measures.hopenet import Hopenet, hopenet_state
from ..models.measures.i3d import FeatureI3D, i3d_state
from ..models.measures.inception import FeatureInception, inception_state
from ..models.measures.lpips_network import lpips_network, lpips_state
from ..models.measures.network_values import (
    Shown,
    arcface_values,
    clip_cloud,
    fid_values,
    fvd_values,
    lpips_values,
    picture_cloud,
)
from ..models.measures.packages import check_package
from ..models.measures.syncnet import SyncNet
from .catalogue.loading import Converter, LoadedModel, load_shared

Made = Callable[..., nn.Module]


def model(kind: str, path: Path, node: str, make: Made, convert: Converter | None = None) -> LoadedModel:
    """A network in float32. ValueError in the node's name if the file is another's. make(device, dtype, operations)."""

    def build(
        state: Any, metadata: Any, device: Any = None, dtype: Any = None, operations: Any = torch.nn
    ) -> nn.Module:
        return make(device, dtype, operations)

    return load_shared(kind, path, torch.float32, build, node, convert, exact=True)


def plain(make: Callable[[], nn.Module]) -> Made:
    """A library's network, which knows no operations but torch's."""

    def made(device: Any, dtype: Any, operations: Any) -> nn.Module:
        with torch.device(device or "cpu"):
            return make().to(dtype)

    return made


def syncnet_model(path: Path, node: str) -> LoadedModel:
    """SyncNet's two networks."""
    return model("syncnet", path, node, SyncNet)


def hopenet_model(path: Path, node: str) -> LoadedModel:
    """Hopenet."""
    return model("hopenet", path, node, Hopenet, hopenet_state)


Measure = Callable[[], Values]


def arcface(path: Path, shown: Shown, reference: Shown, official: bool, node: str) -> Measure:
    """identity."""
    network = model("arcface", path, node, ArcFace)
    return lambda: arcface_values(network.ready(), shown, reference, official, network.device)


def inception(path: Path, shown: Shown, reference: Shown, official: bool, node: str) -> Measure:
    """fid."""
    network = model("inception", path, node, plain(FeatureInception), inception_state)
    return lambda: fid_values(
        *(picture_cloud(network.ready(), one.film, network.device) for one in (shown, reference))
    )


def i3d(path: Path, shown: Shown, reference: Shown, official: bool, node: str) -> Measure:
    """fvd."""
    network = model("i3d", path, node, FeatureI3D, i3d_state)
    return lambda: fvd_values(
        *(clip_cloud(network.ready(), one.film, network.device) for one in (shown, reference))
    )


def alexnet(path: Path, shown: Shown, reference: Shown, official: bool, node: str) -> Measure:
    """lpips."""
    check_package("lpips")
    network = model("lpips", path, node, plain(lpips_network), lpips_state)
    return lambda: lpips_values(network.ready(), shown.film, reference.film, shown.fps, network.device)


# menu -> what its file measures; ValueError in the node's name where it is another network's
BESIDE: dict[str, Callable[[Path, Shown, Shown, bool, str], Measure]] = {
    "arcface": arcface, "inception": inception, "i3d": i3d, "alexnet": alexnet,
}  # fmt: skip


def beside_reference(
    name: str, path: Path, shown: Shown, reference: Shown, official: bool, node: str
) -> tuple[Values, list[str]]:
    """What one of BESIDE says of a film and its reference, or why it says nothing."""
    values: Values = {}
    notes: list[str] = []
    tried(values, notes, BESIDE[name](path, shown, reference, official, node))
    return values, [f"{name}: {note}" for note in notes]
