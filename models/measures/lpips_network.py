"""LPIPS (Zhang et al. 2018): the package lpips with its own weights, over AlexNet's from a file."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .packages import check_package


def lpips_network() -> Any:
    """Pictures [n,3,H,W] in -1..1, twice -> their distances [n,1,1,1]. ValueError without the package."""
    check_package("lpips")
    import lpips as library  # pyright: ignore[reportMissingImports]

    return library.LPIPS(net="alex", pnet_rand=True, verbose=False)


def lpips_state(alexnet: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All of its weights, AlexNet's from torchvision's file. KeyError if that is another's."""
    network = lpips_network()
    layers = {key: key.split(".") for key in network.state_dict() if key.startswith("net.slice")}
    state = {key: alexnet[f"features.{parts[2]}.{parts[3]}"] for key, parts in layers.items()}
    return {**network.state_dict(), **state}
